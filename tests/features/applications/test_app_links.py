"""Links between applications: in one process, over a suite, across kills, and wrong ones."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.messaging.messages import Message, Subscribed
from flowmesh.apps.offline.checking import check, peers_of, silent_log
from flowmesh.apps.runtime.application import Application
from flowmesh.apps.runtime.links import Peers, add_links
from flowmesh.apps.wiring.ports import BROKER
from flowmesh.apps.wiring.registry import ServiceRegistry
from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from tests.features.application_hosts.test_apphost import Host, pid_of
from tests.features.apps import eventually, running

Module = dict[str, Any]
WEB: Module = {"name": "web", "type": "http.server", "config": {"address": ":0"}}
BUS: Module = {"name": "bus", "type": "messaging.broker"}


def step(kind: str, **config: Json) -> Json:
    return {"name": kind, "type": f"step.{kind}", "config": config}


def route(method: str, path: str, *steps: Json) -> Json:
    return {"method": method, "path": path, "pipeline": {"steps": list(steps)}}


def document(name: str, *, modules: Any = (), routes: Any = (), **rest: Any) -> str:
    listed = [
        WEB,
        *modules,
        {"name": "routes", "type": "http.router", "config": {"routes": routes}},
    ]
    return yaml.safe_dump({"name": name, "modules": listed, **rest}, sort_keys=False)


SHOP = document(
    "shop",
    modules=[BUS],
    routes=[
        route(
            "POST",
            "/orders/{topic}",
            step("request_parse", path_params=["topic"], parse_body=True),
            step("publish", topic="order.{{ .path_params.topic }}", payload="{{ .body }}"),
        )
    ],
)
STORE: Module = {
    "name": "db",
    "type": "database.workflow",
    "config": {
        "driver": "sqlite",
        "dsn": "warehouse.db",
        "migrations": ["CREATE TABLE parcels (item TEXT)"],
    },
}
INSERT = step(
    "db_exec", database="db", query="INSERT INTO parcels VALUES (?)", params=["{{ .item }}"]
)
PARCELS = route(
    "GET",
    "/parcels",
    step("db_query", database="db", query="SELECT item FROM parcels"),
    step("json_response", body_from="steps.db_query.rows"),
)
WAREHOUSE = document(
    "warehouse", modules=[STORE], routes=[PARCELS], pipelines={"pack": {"steps": [INSERT]}}
)
DESK = document(
    "desk",
    modules=[BUS, {"name": "notes", "type": "messaging.handler", "config": {"topic": "order.*"}}],
    workflows={"http": {"routes": [{"method": "GET", "path": "/notes", "handler": "notes"}]}},
)


def link(source: str, target: str, pattern: str, action: str = "", kind: str = "trigger") -> Json:
    found = {
        "source": source,
        "target": target,
        "link_type": f"event_{kind}",
        "event_pattern": pattern,
    }
    return {**found, "target_action": action} if action else found


@asynccontextmanager
async def app_run(
    *paths: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, str]]]:
    """Run `flowmesh app run` in a process of its own; yield it and the URL of each application."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "flowmesh.suite", "app", "run", *map(str, paths)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )
    urls: dict[str, str] = {}
    assert process.stdout is not None
    try:
        wanted = len([each for each in paths if "modules" in each.read_text()])
        async with asyncio.timeout(30):
            while len(urls) < wanted:
                line = (await process.stdout.readline()).decode()
                assert line, f"the command ended: {await process.wait()}"
                if " listens on http://" in line and not line.startswith("{"):
                    name, _, url = line.strip().partition(": ")
                    urls[name] = url.rpartition(" ")[2]
        drained = asyncio.create_task(process.stdout.read())
        yield process, urls
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()
        if urls:
            drained.cancel()


async def post(url: str, body: Json) -> int:
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        return answer.status


async def get(url: str) -> Json:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


@pytest.mark.long
@pytest.mark.feature("S1-96", "S1-142", "S1-151")
async def test_an_event_of_one_application_starts_an_action_of_another(tmp_path: Path) -> None:
    """In one process, events trigger an action with their data, and are forwarded to brokers."""
    links = [
        link("shop", "warehouse", "order.paid", "pack"),
        link("shop", "desk", "order.*", kind="forward"),
    ]
    files = {
        "shop": SHOP,
        "warehouse": WAREHOUSE,
        "desk": DESK,
        "all": yaml.safe_dump({"links": links}),
    }
    paths = [tmp_path / f"{name}.yaml" for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.write_text(text)
    async with app_run(*paths) as (process, urls):
        assert await post(f"{urls['shop']}/orders/paid", {"item": "lamp"}) == 200
        assert await post(f"{urls['shop']}/orders/opened", {"item": "desk"}) == 200

        async def noted() -> bool:
            return bool((await get(f"{urls['desk']}/notes"))["handled"] == 2)

        async def packed() -> bool:
            return bool(await get(f"{urls['warehouse']}/parcels") == [{"item": "lamp"}])

        await eventually(noted)
        await eventually(packed)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


@pytest.fixture
async def carrier() -> AsyncIterator[tuple[str, asyncio.Queue[Json]]]:
    """A called service: the first request of an item never gets an answer."""
    seen: asyncio.Queue[Json] = asyncio.Queue()
    items: set[str] = set()

    async def handle(request: web.Request) -> web.Response:
        body = await request.json()
        seen.put_nowait(body)
        if body["item"] not in items:
            items.add(body["item"])
            await asyncio.Event().wait()
        return web.json_response({"ok": True})

    application = web.Application()
    application.router.add_post("/", handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/", seen
    await runner.cleanup()


@pytest.mark.long
@pytest.mark.feature("S1-96", "S1-142")
async def test_an_event_is_delivered_again_after_a_kill_of_the_target(
    tmp_path: Path, suite: Suite, carrier: tuple[str, asyncio.Queue[Json]]
) -> None:
    """Over a suite, events wait for the target; one that a kill interrupts is delivered again."""
    url, calls = carrier
    links = [link("shop", "warehouse", "order.paid", "pack")]
    call = step("http_call", url=url, method="POST", body={"item": "{{ .item }}"}, timeout="30s")
    for name, text in (
        ("shop", SHOP),
        (
            "warehouse",
            document(
                "warehouse",
                modules=[STORE],
                routes=[PARCELS],
                pipelines={"pack": {"steps": [call, INSERT]}},
            ),
        ),
    ):
        (tmp_path / f"{name}.yaml").write_text(text + yaml.safe_dump({"links": links}))
    of_suite = {"FLOWMESH_ADDRESS": suite.grpc_address}
    warehouse = tmp_path / "warehouse.yaml"
    async with app_run(tmp_path / "shop.yaml", environment=of_suite) as (_, urls):
        # The target has never run.
        assert await post(f"{urls['shop']}/orders/paid", {"item": "lamp"}) == 200
        async with app_run(warehouse, environment=of_suite) as (process, _):
            async with asyncio.timeout(30):
                assert (await calls.get())["item"] == "lamp"
            process.send_signal(signal.SIGKILL)
            await process.wait()
        async with app_run(warehouse, environment=of_suite) as (_, there):

            async def packed() -> bool:
                return bool(await get(f"{there['warehouse']}/parcels") == [{"item": "lamp"}])

            await eventually(packed, within_s=60)
            assert (await calls.get())["item"] == "lamp"


@pytest.mark.feature("S1-96", "S1-142")
async def test_a_stop_sends_the_events_that_wait(
    tmp_path: Path, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those in the queue of the source are in the queue of the link when it has stopped."""
    monkeypatch.setenv("FLOWMESH_ADDRESS", suite.grpc_address)
    links = [link("shop", "depot", "order.*", "pack")]
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP + yaml.safe_dump({"links": links}))
    async with running(path) as shop:
        bus = shop.application.built.registry.need(BROKER, "bus")
        for number in range(200):
            await bus.publish("order.paid", {"number": number})
    async with Client(suite.grpc_address) as client:
        depths = {each.name: each.depth async for each in client.broker.queues()}
    assert [n for name, n in depths.items() if name.startswith("link.shop.depot.")] == [200, 0]


@pytest.mark.feature("S1-96", "S1-142")
async def test_an_event_keeps_its_headers_over_a_suite(
    tmp_path: Path, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those with the names that a link has for its own."""
    monkeypatch.setenv("FLOWMESH_ADDRESS", suite.grpc_address)
    links = yaml.safe_dump({"links": [link("shop", "desk", "order.sent", kind="forward")]})
    paths = [tmp_path / "shop.yaml", tmp_path / "desk.yaml"]
    for path, text in zip(paths, (SHOP, DESK), strict=True):
        path.write_text(text + links)
    given = {"app-topic": "mine", "app-key": "mine", "app-fm-x": "1"}
    seen: asyncio.Queue[Message] = asyncio.Queue()
    desk = Application(
        load(paths[1], Loading(environment={}, required=True)), log=silent_log("desk")
    )
    broker = desk.built.registry.need(BROKER, "bus")
    broker.subscribe(Subscribed("order.sent", "test", seen.put))
    await desk.start()
    try:
        async with running(paths[0]) as shop:
            bus = shop.application.built.registry.need(BROKER, "bus")
            await bus.publish("order.sent", 1, key="k", headers=given)
        async with asyncio.timeout(30):
            message = await seen.get()
    finally:
        await desk.stop()
    assert (message.topic, message.key) == ("order.sent", "k")
    assert message.headers == {**given, "fm-link": "shop"}


@pytest.mark.long
@pytest.mark.feature("S1-96", "S1-142")
async def test_links_join_the_applications_of_the_host(
    suite: Suite, carrier: tuple[str, asyncio.Queue[Json]]
) -> None:
    """Both releases import the links; an event comes to the process after a killed one."""
    url, calls = carrier
    host = Host(suite, "linked-apps")
    links = yaml.safe_dump({"links": [link("shop", "warehouse", "order.paid", "pack")]})
    call = step("http_call", url=url, method="POST", body={"item": "{{ .item }}"}, timeout="30s")
    steps = {"pack": {"steps": [call, INSERT]}}
    texts = {
        "shop": SHOP,
        "warehouse": document("warehouse", modules=[STORE], routes=[PARCELS], pipelines=steps),
    }
    urls: dict[str, str] = {}
    for name, text in texts.items():
        more = {"files": {"links.yaml": {"text": links}}}
        done = await host.deploy(name, f"{text}imports: [links.yaml]\n", **more)
        assert done.status == 201, done.text
        urls[name] = f"http://{(await host.app(name))['addresses']['web']}"
    assert await post(f"{urls['shop']}/orders/paid", {"item": "lamp"}) == 200
    async with asyncio.timeout(30):
        assert (await calls.get())["item"] == "lamp"
    os.kill(await pid_of(host, "warehouse"), signal.SIGKILL)

    async def packed() -> bool:
        with suppress(aiohttp.ClientError):
            return bool(await get(f"{urls['warehouse']}/parcels") == [{"item": "lamp"}])
        return False

    await eventually(packed, within_s=60)
    for name in texts:
        assert (await host.call("DELETE", f"/{name}")).status == 204


def _problems(folder: Path, links: Json, *names: str, **texts: str) -> list[tuple[str, str, bool]]:
    """The code, the message and whether it is an error, of the findings of all documents."""
    known = {"shop": SHOP, "warehouse": WAREHOUSE, "desk": DESK, **texts}
    paths = [folder / f"{name}.yaml" for name in names]
    for path in paths:
        path.write_text(known[path.stem])
    paths.append(folder / "links.yaml")
    paths[-1].write_text(yaml.safe_dump({"name": "links", "links": links}))
    how = Loading(environment={})
    peers = peers_of(paths, how)
    checked = [check(path, how, peers=peers) for path in paths]
    return [(p.code, p.message, not p.warning) for each in checked for p in each.problems]


WRONG = {
    "text": ("all", "links is a list"),
    "item": (["all"], "a link is an object"),
    "empty": ([{}], "a link needs source"),
    "kind": ([link("shop", "desk", "a", "x", "copy")], "link_type is event_trigger or event_for"),
    "unnamed action": ([link("shop", "warehouse", "a")], "needs target_action"),
    "unknown source": (
        [link("shopp", "desk", "a", kind="forward")],
        "'shopp' here; did you mean shop",
    ),
    "unknown target": ([link("shop", "dust", "a", "x")], "unknown application 'dust'"),
    "pattern": ([link("shop", "warehouse", "order..x", "pack")], "not 'order..x'"),
    "unknown action": (
        [link("shop", "warehouse", "order.paid", "park")],
        "warehouse has no action 'park' for the link shop → warehouse (order.paid)",
    ),
    "no subscription": (
        [link("shop", "desk", "parcel.*", kind="forward")],
        "desk has no action ''",
    ),
    "no broker": ([link("warehouse", "desk", "order.*", kind="forward")], "without a broker"),
    "itself": ([link("shop", "shop", "order.*", kind="forward")], "cycle: shop → shop"),
    "cycle": (
        [
            link("shop", "desk", "order.*", kind="forward"),
            link("desk", "warehouse", "order.*", "pack"),
            link("warehouse", "shop", "order.*", kind="forward"),
        ],
        "cycle: shop → desk → warehouse → shop",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_link_is_refused(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown applications, patterns, actions and cycles are named by the error."""
    monkeypatch.delenv("FLOWMESH_ADDRESS", raising=False)
    links, message = WRONG[case]
    found = _problems(tmp_path, links, "shop", "warehouse", "desk")
    wanted = [text for _, text, _ in found if message in text]
    assert wanted, found


class Reluctant:
    """A broker that takes no subscriptions."""

    def subscribe(self, _subscription: Subscribed) -> None:
        raise HttpProblem(422, "BROKER_FULL", "it has too many subscriptions")


def test_the_refusal_of_a_broker_is_a_finding(tmp_path: Path) -> None:
    """The link would never send an event."""
    path = tmp_path / "desk.yaml"
    path.write_text(DESK + yaml.safe_dump({"links": [link("desk", "shop", "order.*", "pack")]}))
    document = load(path, Loading(environment={}))
    registry = ServiceRegistry(document)
    registry.offer("Broker", "bus", Reluctant())
    add_links(document, registry, Peers())
    assert [(each.code, each.message) for each in document.findings.found if not each.warning] == [
        ("APP_LINK_INVALID", "the link desk → shop (order.*): it has too many subscriptions")
    ]


def test_a_link_to_an_application_elsewhere_needs_a_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an address of a suite it is refused; with one the other application may be away."""
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP + yaml.safe_dump({"links": [link("shop", "depot", "order.*", "pack")]}))
    monkeypatch.delenv("FLOWMESH_ADDRESS", raising=False)
    found = check(path, Loading(environment={})).problems
    assert [(each.code, each.place) for each in found] == [("SUITE_MISSING", "links[0]")]
    monkeypatch.setenv("FLOWMESH_ADDRESS", "127.0.0.1:1")
    assert check(path, Loading(environment={})).problems == []
