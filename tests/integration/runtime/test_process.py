"""A process of services: composed, discovered, serving, drained; also without its servers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.api.registry.v1 import registry_service_pb2_grpc as pb_grpc
from flowmesh.errors import Unavailable
from flowmesh.runtime import Endpoint, Loop, Process, Runtime, Settings, StartError
from flowmesh.runtime.http.server import answer
from flowmesh.runtime.process import ServiceRun
from flowmesh.storage.redis_cache import CONNECTIONS_MAX
from flowmesh.testing.reflection import reflected_services

NAME = "flowmesh.api.registry.v1.RegistryService"
CHECK = "/grpc.health.v1.Health/Check"
SERVING = health_pb2.HealthCheckResponse.SERVING


class Echo(pb_grpc.RegistryServiceServicer):
    """Answers with the id it was asked for and the name of its process."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def GetInstance(
        self, request: pb.GetInstanceRequest, context: Any
    ) -> pb.GetInstanceResponse:
        return pb.GetInstanceResponse(instance=pb.Instance(id=request.id, name=self._name))


def echo(name: str) -> ServiceRun:
    """A service with one servicer."""

    async def run(runtime: Runtime) -> None:
        servicer = cast(Any, Echo)(name)
        runtime.serve(servicer, pb_grpc.add_RegistryServiceServicer_to_server, NAME)
        await runtime.until_stopped()

    return run


@asynccontextmanager
async def running(
    settings: Settings, services: dict[str, ServiceRun], **more: Any
) -> AsyncIterator[Process]:
    """The process, ready; stopped and awaited at the end."""
    process = Process(settings.model_copy(update=more), services)
    ready = asyncio.Event()

    async def note(_process: Process) -> None:
        ready.set()

    task = asyncio.ensure_future(process.run(note))
    waiting = asyncio.ensure_future(ready.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        task.result()
    try:
        yield process
    finally:
        process.stop()
        await task


async def http(process: Process, path: str) -> tuple[int, Any]:
    url = f"http://127.0.0.1:{process.http_port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        text = await answer.text()
        return answer.status, text if path == "/metrics" else await answer.json()


@pytest.mark.parametrize("path", ["/health", "/healthz", "/livez", "/ready", "/readyz", "/metrics"])
async def test_six_paths_answer_in_every_process(settings: Settings, path: str) -> None:
    """Health, readiness and metrics need no gateway."""
    async with running(settings, {"demo": echo("a")}) as process:
        await process.bus.until_connected()
        status, body = await http(process, path)
        assert status == 200, body


async def test_other_paths_are_not_found_as_json(settings: Settings) -> None:
    """A process without an HTTP app says so in the form of all errors."""
    async with running(settings, {"demo": echo("a")}) as process:
        status, body = await http(process, "/nothing")
    assert (status, body["error"]["reason"]) == (404, "ROUTE_NOT_FOUND")


@pytest.mark.feature("S4-82", "S4-02")
@pytest.mark.parametrize(("away", "there"), [("nats", "redis"), ("redis", "nats")])
async def test_a_process_is_not_ready_without_its_dependencies(
    settings: Settings, unused_tcp_port: int, away: str, there: str
) -> None:
    """It starts and lives while a server is away, and says that it is not ready."""
    address = {away: f"{away}://127.0.0.1:{unused_tcp_port}"}
    async with running(settings, {"demo": echo("a")}, **address) as process:
        if there == "nats":
            await process.bus.until_connected()
        assert (await http(process, "/livez"))[0] == 200
        status, body = await http(process, "/ready")
    assert (status, body["checks"][there]) == (503, "ok")
    assert body["checks"][away] != "ok"


@pytest.mark.feature("S4-02")
async def test_services_of_a_process_share_one_pool_of_redis(settings: Settings) -> None:
    """Its client is bounded, and outlives the loss of every connection."""
    clients: list[object] = []

    async def asking(runtime: Runtime) -> None:
        clients.append(runtime.cache)
        await runtime.until_stopped()

    async with running(settings, {"one": asking, "two": asking}) as process:
        cache = process.cache
        assert clients == [cache, cache]
        before = {each["id"] for each in await cache.client_list()}
        assert await asyncio.gather(*(cache.ping() for _ in range(100))) == [True] * 100
        opened = {each["id"] for each in await cache.client_list()} - before
        assert len(opened) < CONNECTIONS_MAX
        await cache.client_kill_filter(_type="normal", skipme=False)
        assert await asyncio.gather(*(cache.ping() for _ in range(100))) == [True] * 100


async def test_health_and_reflection_answer_for_every_service(settings: Settings) -> None:
    """grpc.health.v1 by full name, reflection in both versions."""
    async with (
        running(settings, {"demo": echo("a")}) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        health: Any = health_pb2_grpc.HealthStub(channel)
        for name in ("", NAME):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        for version in ("v1", "v1alpha"):
            assert NAME in await reflected_services(channel, version)


async def test_a_health_watcher_sees_every_change_of_status(settings: Settings) -> None:
    """Watch says SERVING at once, and NOT_SERVING when the process begins to drain."""
    async with (
        running(settings, {"demo": echo("a")}) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        health: Any = health_pb2_grpc.HealthStub(channel)
        calls = [health.Watch(health_pb2.HealthCheckRequest(service=name)) for name in ("", NAME)]
        unknown = health.Watch(health_pb2.HealthCheckRequest(service="none"))
        first = [(await call.read()).status for call in (*calls, unknown)]
        process.stop()
        second = [(await call.read()).status for call in calls]
    assert first == [SERVING, SERVING, health_pb2.HealthCheckResponse.SERVICE_UNKNOWN]
    assert second == [health_pb2.HealthCheckResponse.NOT_SERVING] * 2


async def test_garbage_to_health_and_reflection_is_refused(settings: Settings) -> None:
    """The standard services refuse malformed bytes as ours do."""
    async with (
        running(settings, {"demo": echo("a")}) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        call: Any = channel.unary_unary(CHECK)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"\xff\xff")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_services_of_one_process_call_each_other(settings: Settings) -> None:
    """A stub reaches a service beside it, even one that is composed later."""
    answered = asyncio.get_running_loop().create_future()

    async def caller(runtime: Runtime) -> None:
        stub: Any = runtime.stub(pb_grpc.RegistryServiceStub, "demo")
        answer = await stub.GetInstance(pb.GetInstanceRequest(id="x"))
        answered.set_result(answer.instance.name)
        await runtime.until_stopped()

    async with running(settings, {"caller": caller, "demo": echo("beside")}):
        assert await answered == "beside"


async def test_a_service_elsewhere_is_called_at_its_address(settings: Settings) -> None:
    """A stub for an address calls it; one for an unavailable service raises."""
    stubs: dict[str, Any] = {}

    async def caller(runtime: Runtime) -> None:
        stubs["there"] = runtime.stub_at(pb_grpc.RegistryServiceStub, other.address)
        stubs["nowhere"] = runtime.stub(pb_grpc.RegistryServiceStub, "missing")
        await runtime.until_stopped()

    async with (
        running(settings, {"demo": echo("there")}) as other,
        running(settings, {"caller": caller}),
    ):
        answer = await stubs["there"].GetInstance(pb.GetInstanceRequest(id="x"))
        assert answer.instance.name == "there"
        with pytest.raises(Unavailable, match="no missing service is available"):
            await stubs["nowhere"].GetInstance(pb.GetInstanceRequest(), timeout=0.2)


async def test_the_instances_of_a_service_of_this_process(settings: Settings) -> None:
    """Without a registry there is the local one."""
    found: asyncio.Future[tuple[Endpoint, ...]] = asyncio.get_running_loop().create_future()

    async def watcher(runtime: Runtime) -> None:
        async def watch() -> None:
            async for endpoints in runtime.instances("demo"):
                if endpoints:
                    found.set_result(endpoints)
                    return

        task = asyncio.create_task(watch())
        await runtime.until_stopped()
        await task

    async with running(settings, {"watcher": watcher, "demo": echo("a")}):
        (endpoint,) = await found
        assert endpoint.address == "local"


async def test_a_drain_runs_in_order(settings: Settings) -> None:
    """Callbacks in order while loops still run, then the services end, then the process."""
    seen: list[str] = []
    first_round = asyncio.Event()

    class Beat(Loop):
        interval_ms = 10

        async def run_once(self) -> None:
            first_round.set()

    async def service(runtime: Runtime) -> None:
        beat = Beat()

        async def hand_over() -> None:
            first_round.clear()
            beat.wake()
            await first_round.wait()
            seen.append("handed over")

        async def say_goodbye() -> None:
            seen.append("goodbye")

        runtime.add_loop(beat)
        runtime.on_drain(hand_over)
        runtime.on_drain(say_goodbye)
        await runtime.until_stopped()
        seen.append("closed")

    async with running(settings, {"demo": service}) as process:
        await first_round.wait()
        assert process.checks.phase == "serving"
    assert seen == ["handed over", "goodbye", "closed"]


async def test_the_service_composed_last_drains_first(settings: Settings) -> None:
    """Later services drain while earlier ones still serve; a failure does not stop the drain."""
    seen: list[str] = []

    def service(name: str) -> ServiceRun:
        async def run(runtime: Runtime) -> None:
            async def drained() -> None:
                seen.append(name)
                if name == "middle":
                    raise ValueError(name)

            runtime.on_drain(drained)
            await runtime.until_stopped()

        return run

    async with running(settings, {name: service(name) for name in ("below", "middle", "top")}):
        pass
    assert seen == ["top", "middle", "below"]


async def test_requests_end_before_what_serves_them(settings: Settings) -> None:
    """The HTTP app's own service lets a running request end; those below drain after that."""
    seen: list[str] = []
    draining = asyncio.Event()

    async def below(runtime: Runtime) -> None:
        async def drained() -> None:
            seen.append("below")

        runtime.on_drain(drained)
        await runtime.until_stopped()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            process.stop()
            await draining.wait()
            seen.append("answered")
            await answer(send, 200, {"ok": True})

    async def top(runtime: Runtime) -> None:
        async def drained() -> None:
            draining.set()

        runtime.on_drain(drained)
        runtime.serve_http(app)
        await runtime.until_stopped()

    async with running(settings, {"below": below, "top": top}) as process:
        assert await http(process, "/work") == (200, {"ok": True})
    assert seen == ["answered", "below"]


async def test_a_drain_is_bounded(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback that hangs does not keep the process."""
    monkeypatch.setattr("flowmesh.runtime.process.CALLBACKS_TIMEOUT_S", 0.1)

    async def service(runtime: Runtime) -> None:
        runtime.on_drain(asyncio.Event().wait)  # type: ignore[arg-type]
        await runtime.until_stopped()

    async with running(settings, {"demo": service}):
        pass


async def test_a_service_that_fails_ends_the_process(settings: Settings) -> None:
    """Half a process is none: the failure is raised after the drain."""

    async def broken(runtime: Runtime) -> None:
        raise ValueError("cannot be composed")

    with pytest.raises(ValueError, match="cannot be composed"):
        async with running(settings, {"demo": echo("a"), "broken": broken}):
            pass


@pytest.mark.parametrize(
    ("kind", "flag"), [("http_port", "--http-port"), ("grpc_port", "--grpc-port")]
)
async def test_a_taken_port_is_one_line_with_a_hint(
    settings: Settings, kind: str, flag: str
) -> None:
    """The error names the port and the flag that changes it."""
    async with running(settings, {"demo": echo("a")}) as process:
        taken = {kind: getattr(process, kind)}
        with pytest.raises(StartError, match=rf"port {taken[kind]} .*{flag}"):
            async with running(settings, {"demo": echo("b")}, **taken):
                pass
