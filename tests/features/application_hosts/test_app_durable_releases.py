"""Durable runs across releases: old forms of a pipeline, and hosted applications."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.runtime.application import Application
from flowmesh.contract.json_value import Json
from flowmesh.errors import Unavailable
from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.application_hosts.durable_cases import (
    BODY,
    INSERT,
    SAVE,
    SAVED,
    app,
    route,
    step,
)
from tests.features.apps import RunningApp, eventually, written
from tests.features.closed import closed_suite

ASK = step("ask", "http_call", url="${WORLD}/held", method="POST")


def pipeline(*steps: Json) -> Json:
    return route("/orders", {"durable": True, "wait": "0s", "steps": list(steps)})


def answer(word: str) -> Json:
    return step("answer", "json_response", body={"by": word, "got": "{{ .steps.ask.body }}"})


@asynccontextmanager
async def cut_off(path: Path, world: World) -> AsyncIterator[RunningApp]:
    """An application that gives its runs no time to end when it stops."""
    how = Loading(environment={"PORT": "0", "WORLD": world.address}, required=True)
    lines: list[bytes] = []
    made = Application(load(path, how), log=LogHub(app="x", write=lines.append))
    await made.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield RunningApp(made, session, lines)
    finally:
        await made.stop(runs_s=0)


@pytest.mark.long
@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ((BODY, ASK, SAVE, answer("new")), "new"),
        ((BODY, SAVE, ASK, answer("new")), "NON_DETERMINISTIC"),
    ],
    ids=["later", "earlier"],
)
async def test_a_run_whose_form_is_gone_continues_in_the_new_one(
    tmp_path: Path,
    suite: Suite,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    changed: tuple[Json, ...],
    expected: str,
) -> None:
    """By the rule of durable handlers: it repeats the recorded steps, or fails and says so."""
    monkeypatch.setenv("FLOWMESH_ADDRESS", suite.grpc_address)
    name = f"moved-{expected.lower().replace('_', '-')}"
    world.hold("second")
    second = step("second", "http_call", url="${WORLD}/second", method="POST")
    path = written(tmp_path, app([pipeline(BODY, ASK, second, answer("old"))], name))
    async with cut_off(path, world) as found:
        begun = await found.call("POST", "/orders", {"item": "a"})
        assert begun.status == 202
        await world.called("second")
    written(tmp_path, app([pipeline(*changed)], name))
    world.release("second")
    async with cut_off(path, world) as found:
        ended = await found.call("GET", begun.headers["Location"] + "?wait=20")
        assert ended.status == (200 if expected == "new" else 500), ended.body
        assert expected in (ended.body.get("by"), ended.body.get("code"))
        calls = world.calls("held")
        assert len(calls) == 1


@pytest.mark.long
@pytest.mark.feature("S1-06", "S1-114")
async def test_a_hosted_release_lets_old_runs_end_on_the_old_form(
    suite: Suite, world: World, request: pytest.FixtureRequest
) -> None:
    """It is attached to the suite of its host; runs of both releases end as they began."""
    name, namespace = "forms", f"hosted-{request.node.name[-20:].replace('_', '-')}".strip("-")
    headers = {"Flowmesh-Namespace": namespace}
    variables = {"WORLD": world.address}

    async def deploy(*steps: Json) -> str:
        text = app([pipeline(*steps)], name).replace("${PORT:-0}", "0")
        body = {"document": text, "environment": variables}
        made = await suite.request("POST", f"/api/v1/apps/{name}:deploy", body, headers=headers)
        assert made.status == 201, made.text
        about = await suite.request("GET", f"/api/v1/apps/{name}", headers=headers)
        return f"http://{about.json['addresses']['web']}"

    world.hold("held")
    # An open connection of the former release is served by it.
    fresh = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=fresh) as session:
        url = await deploy(BODY, ASK, answer("old"))
        async with session.post(f"{url}/orders", json={"item": "a"}) as begun:
            assert begun.status == 202, await begun.text()
            old = begun.headers["Location"]
        await world.called("held")
        assert await deploy(BODY, SAVE, ASK, answer("new")) == url
        async with session.post(f"{url}/orders", json={"item": "b"}) as begun:
            assert begun.status == 202, await begun.text()
            new = begun.headers["Location"]
        await world.called("held", times=2)
        world.release("held")
        for place, word in ((old, "old"), (new, "new")):
            async with session.get(f"{url}{place}?wait=20") as ended:
                assert (await ended.json())["by"] == word
    assert len(world.calls("held")) == 2
    async with Client(suite.grpc_address, namespace) as client:

        async def alone() -> bool:
            workers = [each for each in await client.workers() if f"app.{name}" in each.queues]
            return len(workers) == 1

        await eventually(alone, within_s=40)
        await suite.request("POST", f"/api/v1/apps/{name}:stop", headers=headers)


def telling(engine: str, word: str, *, durable: bool) -> str:
    """Return an application whose held run publishes; a held handler of that publishes again."""

    def on(topic: str, *steps: Json) -> Json:
        trigger = {"type": "event", "config": {"topic": topic, "broker": "bus"}}
        return {"trigger": trigger, "steps": list(steps)}

    def tell(topic: str, item: str) -> Json:
        return step("tell", "publish", broker="bus", topic=topic, payload={"item": item})

    pack = on(
        "orders.done",
        step("ask", "http_call", url="${WORLD}/packed", method="POST"),
        tell("orders.packed", "{{ .item }}"),
    )
    save = step("save", "db_exec", database="db", query=INSERT, params=["{{ .item }}", 1])
    note = {**on("orders.packed", save), "durable": durable}
    read = step("read", "db_query", database="db", query="SELECT item FROM orders")
    shown = step("shown", "json_response", body_from="steps.read.rows")
    return app(
        [
            pipeline(BODY, ASK, tell("orders.done", word), answer(word)),
            route("/orders", [read, shown], "GET"),
        ],
        f"telling-{engine}-{durable}".lower(),
        modules=[{"name": "bus", "type": "messaging.broker", "config": {"engine": engine}}],
        pipelines={"pack": pack, "note": note},
    )


@pytest.mark.long
@pytest.mark.feature("S1-06", "S1-114")
@pytest.mark.parametrize(
    ("engine", "durable"),
    [("memory", False), ("memory", True), ("suite", True)],
    ids=["memory", "memory-durable", "suite"],
)
async def test_a_run_of_the_replaced_release_still_publishes(
    tmp_path: Path,
    suite: Suite,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    engine: str,
    durable: bool,
) -> None:
    """Its brokers take messages, and those in memory deliver them, until the runs have ended."""
    monkeypatch.setenv("FLOWMESH_ADDRESS", suite.grpc_address)
    caplog.set_level(logging.INFO, "flowmesh.sdk")
    world.hold("held")
    world.hold("packed")
    path = written(tmp_path, telling(engine, "old", durable=durable))
    async with cut_off(path, world) as old:
        begun = await old.call("POST", "/orders", {"item": "a"})
        assert begun.status == 202, begun.body
        await world.called("held")
        written(tmp_path, telling(engine, "new", durable=durable))
        async with cut_off(path, world) as new:
            stopping = asyncio.create_task(old.application.stop(runs_s=30))

            async def waits_for_its_run() -> bool:
                return "draining" in caplog.messages

            await eventually(waits_for_its_run)
            world.release("held")
            ended = await new.call("GET", begun.headers["Location"] + "?wait=20")
            assert (ended.status, ended.body.get("by")) == (200, "old"), ended.body
            world.release("packed")
            await stopping

            async def stored() -> bool:
                return bool((await new.call("GET", "/orders")).body == [{"item": "old"}])

            await eventually(stored)


@pytest.mark.long
@pytest.mark.feature("S1-85")
async def test_a_closed_suite_takes_an_application_with_a_key(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of an admin lets it register, start and work; without one it does not start."""
    path = written(
        tmp_path, app([route("/orders", {"durable": True, "steps": [BODY, SAVE, SAVED]})])
    )
    async with closed_suite(tmp_path / "closed") as closed:
        project = await closed.project("shop")
        monkeypatch.setenv("FLOWMESH_ADDRESS", closed.suite.grpc_address)
        monkeypatch.setenv("FLOWMESH_NAMESPACE", "shop")
        with pytest.raises(Unavailable, match="credential"):
            async with cut_off(path, world):
                raise AssertionError
        key = await closed.key(project.id, "admin")
        monkeypatch.setenv("FLOWMESH_API_KEY", key.credential)
        async with cut_off(path, world) as found:
            answered = await found.call("POST", "/orders", {"item": "a"})
            assert (answered.status, answered.body) == (201, {"id": 1})
