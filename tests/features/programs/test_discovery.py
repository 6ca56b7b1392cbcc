"""Service discovery as programs use it: snippets, cache, callbacks, checks, REST, commands."""

import asyncio
import runpy
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from aiohttp import web

from flowmesh.errors import Invalid, NotFound, Unavailable
from flowmesh.sdk import (
    Client,
    HealthCheck,
    Service,
    ServiceDiscovery,
    ServiceEndpoint,
    ServiceStatus,
    ServiceType,
)
from flowmesh.testing import polling
from flowmesh.testing.suite import Suite
from tests.features.commands import command

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
PATIENCE_S = 20


@pytest.fixture
def discovery(suite: Suite) -> Iterator[ServiceDiscovery]:
    with ServiceDiscovery(suite.grpc_address) as made:
        yield made


def agent(*capabilities: str, **options: Any) -> Service:
    name = f"agent-{uuid.uuid4().hex[:8]}"
    return Service(
        id=name,
        name=name,
        type=options.pop("type", ServiceType.AGENT),
        endpoint=ServiceEndpoint(port=8080),
        capabilities=capabilities,
        **options,
    )


async def until(found: Callable[[], Any]) -> Any:
    """The first true result of a function that blocks for a short time."""
    results: list[Any] = []

    async def there() -> object:
        results.append(await asyncio.to_thread(found))
        return results[-1]

    await polling.until("found", there, within_s=PATIENCE_S)
    return results[-1]


@pytest.mark.feature("S4-95", "S4-52", "S4-45")
async def test_the_snippets_run(suite: Suite) -> None:
    """An MCP server and an agent are registered, found by capability, and have a URL."""
    main = runpy.run_path(str(EXAMPLES / "sdk_discovery.py"))["main"]
    endpoints = await asyncio.to_thread(main, suite.grpc_address)
    assert endpoints == ["http://127.0.0.1:8081", "http://127.0.0.1:8080"]


@pytest.mark.feature("S4-52", "S4-43")
async def test_services_are_discovered_by_all_filters(
    suite: Suite, discovery: ServiceDiscovery
) -> None:
    """Type, status, several capabilities, name and metadata."""
    unique = uuid.uuid4().hex[:8]
    both = agent(unique, "b", metadata={"zone": "a"})
    other = agent(unique, "c", type=ServiceType.WORKER)
    for each in (both, other):
        await asyncio.to_thread(discovery.register_service, each)

    def names(**filters: Any) -> set[str]:
        return {each.id for each in discovery.discover_services(**filters)}

    await until(lambda: names(capabilities=[unique]) == {both.id, other.id})
    assert names(capabilities=[unique, "b"]) == {both.id}
    assert names(capabilities=[unique], service_type=ServiceType.WORKER) == {other.id}
    assert names(capabilities=[unique], metadata={"zone": "a"}) == {both.id}
    assert names(name=both.name, status=ServiceStatus.HEALTHY) == {both.id}
    assert names(name=both.name, status="DEGRADED") == set()
    discovery.update_status(both.id, ServiceStatus.DEGRADED)
    await until(lambda: names(name=both.name, status="DEGRADED") == {both.id})
    discovery.deregister_service(both.id)
    await until(lambda: names(name=both.name) == set())
    assert names(name=both.name, status=ServiceStatus.OFFLINE) == {both.id}


@pytest.mark.feature("S4-90")
async def test_lookups_are_served_by_a_cache_that_follows_changes(
    suite: Suite, discovery: ServiceDiscovery
) -> None:
    """A thousand lookups without a call, 50 µs each, and a change of another program is seen."""
    service = agent("cached")
    async with Client(suite.grpc_address) as client, client.registered(service):
        await until(lambda: discovery.discover_services(name=service.name))
        before = discovery.cache_info()
        began = time.perf_counter()
        for _ in range(1_000):
            assert len(discovery.discover_services(name=service.name)) == 1
        took = time.perf_counter() - began
        after = discovery.cache_info()
    assert (after.hits - before.hits, after.misses - before.misses) == (1_000, 0)
    assert after.stale_s == 0
    assert took / 1_000 < 200e-6
    await until(lambda: not discovery.discover_services(name=service.name))


@pytest.mark.feature("S4-46")
async def test_callbacks_are_called_on_every_change(
    suite: Suite, discovery: ServiceDiscovery
) -> None:
    """Registered, changed, left, in this order; one that raises or has ended disturbs no other."""
    service, seen = agent("watched"), Queue[tuple[str, str, str]]()

    def broken(*_: Any) -> None:
        raise RuntimeError("a callback that fails")

    def record(event: str, each: Service, before: Service | None) -> None:
        seen.put((event, str(each.status), str(before.status) if before else ""))

    discovery.on_change(broken, name=service.name)
    stop = discovery.on_change(record, name=service.name)
    ended = discovery.on_change(record, name=service.name)
    ended()
    async with Client(suite.grpc_address) as client:
        await client.register_service(service)
        assert await until(lambda: seen.get(timeout=1)) == ("registered", "HEALTHY", "")
        await client.heartbeat_service(service.id, "UNHEALTHY")
        assert await until(lambda: seen.get(timeout=1)) == ("changed", "UNHEALTHY", "HEALTHY")
        await client.deregister_service(service.id)
        assert await until(lambda: seen.get(timeout=1)) == ("left", "OFFLINE", "UNHEALTHY")
    stop()
    assert seen.empty()


async def test_a_callback_that_blocks_holds_up_no_lookup(
    suite: Suite, discovery: ServiceDiscovery
) -> None:
    """Another service is found meanwhile."""
    blocked, release = threading.Event(), threading.Event()

    def block(*_: Any) -> None:
        blocked.set()
        release.wait(PATIENCE_S)

    first, second = agent("block"), agent("block")
    discovery.on_change(block, name=first.name)
    try:
        await asyncio.to_thread(discovery.register_service, first)
        assert await asyncio.to_thread(blocked.wait, PATIENCE_S)
        await asyncio.to_thread(discovery.register_service, second)
        await until(lambda: discovery.discover_services(name=second.name))
    finally:
        release.set()


@pytest.mark.long
async def test_a_registry_away_is_said(tmp_path: Path) -> None:
    """A lookup fails after a heartbeat without the registry, or says how old its answer is."""
    async with Suite(tmp_path / "data") as own:
        with (
            ServiceDiscovery(own.grpc_address) as strict,
            ServiceDiscovery(own.grpc_address, stale_ok=True) as lenient,
        ):
            service = agent("kept")
            await asyncio.to_thread(strict.register_service, service)
            await until(lambda: lenient.discover_services(name=service.name))
            await until(lambda: strict.discover_services(name=service.name))
            await own.kill()
            await until(lambda: lenient.cache_info().stale_s > 1.5)
            assert [each.id for each in lenient.discover_services(name=service.name)] == [
                service.id
            ]
            with pytest.raises(Unavailable, match="no server responds"):
                await asyncio.to_thread(strict.discover_services)


async def test_wrong_uses_are_refused(discovery: ServiceDiscovery) -> None:
    """Each with what is wrong."""
    with pytest.raises(Invalid, match="not the text 'a'"):
        discovery.discover_services(capabilities="a")
    with pytest.raises(Invalid, match="'BROKEN' is none of HEALTHY"):
        discovery.discover_services(status="BROKEN")
    with pytest.raises(Invalid, match="not callable"):
        discovery.on_change("callback")  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        discovery.update_status("nothing", "HEALTHY")
    with pytest.raises(NotFound):
        await asyncio.to_thread(discovery.get_service, "nothing")
    with pytest.raises(Invalid, match="is none of grpc, http, tcp"):
        await asyncio.to_thread(
            discovery.register_service,
            agent(check=HealthCheck("icmp")),  # type: ignore[arg-type]
        )


@pytest.fixture
async def checked_server() -> AsyncIterator[tuple[str, list[int]]]:
    """A server whose health the test sets."""
    status = [200]

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status[0])

    application = web.Application()
    application.router.add_get("/health", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", status
    await runner.cleanup()


@pytest.mark.feature("S4-42")
async def test_a_checked_service_lives_by_rest_alone(
    suite: Suite, checked_server: tuple[str, list[int]]
) -> None:
    """Registered by REST with a check, healthy without heartbeats, unhealthy when it fails."""
    endpoint, status = checked_server
    name = f"checked-{uuid.uuid4().hex[:8]}"
    check = {"kind": "http", "path": "/health", "intervalMs": 100, "timeoutMs": 1_000}
    body = {"id": name, "name": name, "endpoint": endpoint, "check": check}
    answer = await suite.post("/api/v1/services", body)
    assert (answer.status, answer.json["endpoint"]) == (201, endpoint)
    async with Client(suite.grpc_address) as client:
        changes = client.registry.watch(name=name)
        async with asyncio.timeout(PATIENCE_S):
            assert (await anext(changes)).service.status == "HEALTHY"
            status[0] = 500
            while (await anext(changes)).service.status != "UNHEALTHY":
                pass
    shown = (await suite.get(f"/api/v1/services/{name}")).json
    assert shown["checkProblem"] == "the status is 500"
    assert (await suite.request("DELETE", f"/api/v1/services/{name}")).status == 200
    assert (await suite.get(f"/api/v1/services/{name}")).json["status"] == "OFFLINE"


async def test_rest_registers_renews_and_drains(suite: Suite) -> None:
    """A drained instance is UNHEALTHY with every heartbeat until it is taken back."""
    name = f"rest-{uuid.uuid4().hex[:8]}"
    body = {"id": name, "name": name, "endpoint": "9000", "heartbeatIntervalMs": 60_000}
    answer = await suite.post("/api/v1/services", body)
    assert (answer.status, answer.json["endpoint"]) == (201, "127.0.0.1:9000")
    path = f"/api/v1/services/{name}"
    assert (await suite.post(f"{path}:heartbeat", {"status": "DEGRADED"})).status == 200
    assert (await suite.get(path)).json["status"] == "DEGRADED"
    drained = (await suite.post(f"{path}:drain", {})).json
    assert (drained["status"], drained["draining"]) == ("UNHEALTHY", True)
    await suite.post(f"{path}:heartbeat", {})
    assert (await suite.get(path)).json["status"] == "UNHEALTHY"
    back = (await suite.post(f"{path}:drain", {"undo": True})).json
    assert (back["status"], back["draining"]) == ("HEALTHY", False)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"id": "x", "endpoint": "1"}, "name"),
    "no endpoint": ({"id": "x", "name": "x"}, "endpoint"),
    "a file": ({"id": "x", "name": "x", "endpoint": "file:///etc/passwd"}, "instance.endpoint"),
    "an unknown check": (
        {"id": "x", "name": "x", "endpoint": "1", "check": {"kind": "icmp"}},
        "check.kind",
    ),
    "a link-local check": (
        {"id": "x", "name": "x", "endpoint": "169.254.169.254:80", "check": {"kind": "tcp"}},
        "instance.check.kind",
    ),
    "a name of 129 characters": ({"id": "x", "name": "x" * 129, "endpoint": "1"}, "instance.name"),
    "257 capabilities": (
        {"id": "x", "name": "x", "endpoint": "1", "capabilities": ["c"] * 257},
        "instance.capabilities",
    ),
}


@pytest.mark.parametrize("case", WRONG)
async def test_rest_refuses_wrong_registrations(suite: Suite, case: str) -> None:
    """With the field."""
    body, field = WRONG[case]
    answer = await suite.post("/api/v1/services", body)
    assert answer.status == 400, answer.text
    assert field in [each["field"] for each in answer.json["error"]["details"]]


@pytest.mark.long
async def test_the_commands_register_show_drain_and_watch(suite: Suite) -> None:
    """A checked service by the command line alone."""
    name = f"cli-{uuid.uuid4().hex[:8]}"
    port = suite.grpc_address.rpartition(":")[2]
    made = await command(
        suite,
        "service",
        "register",
        name,
        f"127.0.0.1:{port}",
        "--id",
        name,
        "--capability",
        "one",
        "--check",
        "grpc",
    )
    assert made.code == 0, made.err
    assert made.out.startswith(f"{name} is registered as {name} at 127.0.0.1:{port}")
    shown = await command(suite, "service", "show", name, "--json")
    assert (shown.json["status"], shown.json["capabilities"]) == ("HEALTHY", ["one"])
    drained = await command(suite, "service", "drain", name)
    assert drained.out == f"{name} {name} drains\n"
    watched = await command(suite, "service", "watch", "--name", name, "--limit", "1")
    assert watched.out.split() == ["registered", name, name, "UNHEALTHY"]
    listed = await command(suite, "service", "list", "--name", name, "--json")
    assert [each["status"] for each in listed.json] == ["UNHEALTHY"]
    gone = await command(suite, "service", "deregister", name)
    assert gone.code == 0
    wrong = await command(suite, "service", "show", "nothing")
    assert wrong.code == 1
