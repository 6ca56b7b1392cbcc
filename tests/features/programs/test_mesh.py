"""The mesh: calls by service name over real servers, with the registry of the running suite."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from flowmesh import mesh
from flowmesh.certificates import Authority, Request, issue
from flowmesh.mesh import DeadlineInterceptor, Mesh, Served
from flowmesh.sdk import Client, ExecutionFailed, Worker
from flowmesh.testing.polling import done, until
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.natives import applied, http_task, resource, workflow
from tests.integration.worker.payments import CHARGE, serving

PATIENCE_S = 20
SERVING = health_pb2.HealthCheckResponse.SERVING
Check = Callable[..., Any]


class Health(health_pb2_grpc.HealthServicer):
    """The methods of a health service, with the behaviour that a test sets."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[dict[str, Any]] = []
        self.left_s: list[float | None] = []
        self.abort: grpc.StatusCode | None = None
        self.further: Check | None = None

    async def Check(self, request: Any, context: Any) -> Any:
        self.calls.append(dict(context.invocation_metadata()))
        self.left_s.append(context.time_remaining())
        if self.abort is not None:
            await context.abort(self.abort, "as the test asks")
        if self.further is not None:
            await self.further(request)
        context.set_trailing_metadata((("served-by", self.name),))
        return health_pb2.HealthCheckResponse(status=SERVING)

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield health_pb2.HealthCheckResponse(status=SERVING)
        yield health_pb2.HealthCheckResponse(status=SERVING)


@asynccontextmanager
async def served(own: Mesh, name: str, servicer: Health, **options: Any) -> AsyncIterator[Served]:
    server = grpc.aio.server(interceptors=[DeadlineInterceptor()])
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    async with own.serve(server, name, id=f"{name}-{servicer.name}", **options) as running:
        yield running


@pytest.fixture
async def own(suite: Suite) -> AsyncIterator[Mesh]:
    async with Client(suite.grpc_address) as client, Mesh(client, name="tests") as made:
        yield made


def stub_of(channel: grpc.aio.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel)


def unique() -> str:
    return f"billing-{uuid.uuid4().hex[:8]}"


async def known(own: Mesh, name: str, count: int) -> None:
    """Return when the channel knows so many instances."""
    channel = own.channel(name)
    async with asyncio.timeout(PATIENCE_S):
        while len(channel.instances.balancer.backends) < count:
            await channel.instances.until_changed()


@asynccontextmanager
async def three(own: Mesh, name: str) -> AsyncIterator[list[Health]]:
    async with AsyncExitStack() as stack:
        servicers = [Health(each) for each in "abc"]
        for servicer in servicers:
            await stack.enter_async_context(served(own, name, servicer))
        await known(own, name, 3)
        yield servicers


@pytest.mark.long
async def test_calls_by_name_are_spread_over_the_instances(own: Mesh) -> None:
    """300 calls reach all three, none fails, and metadata and status arrive."""
    name = unique()
    async with three(own, name) as servicers:
        stub = stub_of(own.channel(name))
        by = Counter[str]()
        for _ in range(300):
            call: Any = stub.Check(health_pb2.HealthCheckRequest())
            assert (await call).status == SERVING
            assert await call.code() is grpc.StatusCode.OK
            by[dict(await call.trailing_metadata())["served-by"]] += 1
        assert len(by) == 3
        assert min(by.values()) >= 15
        assert sum(len(each.calls) for each in servicers) == 300


@pytest.mark.long
async def test_one_sick_instance_of_three_fails_few_calls(own: Mesh) -> None:
    """It is ejected after five failures; reads are repeated elsewhere, so none of 1,000 fails."""
    name = unique()
    async with three(own, name) as servicers:
        servicers[0].abort = grpc.StatusCode.UNAVAILABLE
        stub: Any = own.channel(name).unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        failed = 0
        for _ in range(1_000):
            call = stub(health_pb2.HealthCheckRequest())
            failed += await call.code() is not grpc.StatusCode.OK
        assert failed <= 10
        assert len(servicers[0].calls) <= 20
        backend = own.channel(name).instances.balancer.backends[f"{name}-a"]
        assert backend.ejections >= 1


async def test_an_instance_that_is_gone_costs_no_call(own: Mesh) -> None:
    """A call that was never sent is repeated on another instance, with its attempt."""
    name = unique()
    one, other = Health("one"), Health("other")
    async with served(own, name, one) as dying, served(own, name, other):
        await known(own, name, 2)
        stub = stub_of(own.channel(name))
        await dying.server.stop(None)
        for _ in range(20):
            await stub.Check(health_pb2.HealthCheckRequest())
        attempts = {each.get("fm-attempt", "1") for each in other.calls}
        assert len(other.calls) == 20
        assert attempts <= {"1", "2"}


async def test_a_drained_instance_gets_no_new_calls(own: Mesh) -> None:
    """Draining loses no call: callers choose the other instance before this one stops."""
    name = unique()
    one, other = Health("one"), Health("other")
    async with served(own, name, other):
        async with served(own, name, one):
            await known(own, name, 2)
            stub = stub_of(own.channel(name))
            ended = asyncio.Event()

            async def call_on() -> int:
                calls = 0
                while not ended.is_set():
                    await stub.Check(health_pb2.HealthCheckRequest())
                    calls += 1
                return calls

            calling = asyncio.create_task(call_on())
            await done("calls of both", lambda: one.calls and other.calls, within_s=PATIENCE_S)
        ended.set()
        calls = await calling
    assert calls == len(one.calls) + len(other.calls)


async def test_what_is_left_of_the_deadline_is_handed_on(own: Mesh) -> None:
    """A server that calls another one has its own remaining time, and a call without one 10 s."""
    name, behind = unique(), unique()
    front, back = Health("front"), Health("back")
    stub = stub_of(own.channel(behind))

    async def further(_request: Any) -> None:
        await stub.Check(health_pb2.HealthCheckRequest(), timeout=60)

    front.further = further
    async with served(own, name, front), served(own, behind, back):
        caller = stub_of(own.channel(name))
        await caller.Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert back.left_s[0] is not None
        assert back.left_s[0] < 6
        await stub_of(own.channel(behind)).Check(health_pb2.HealthCheckRequest())
        assert back.left_s[1] is not None
        assert 6 < back.left_s[1] < 11


async def test_a_service_without_instances_is_unavailable(own: Mesh) -> None:
    """Within the deadline, with its name."""
    stub = stub_of(own.channel("missing-service"))
    with pytest.raises(grpc.aio.AioRpcError, match="no instance of missing-service") as failed:
        await stub.Check(health_pb2.HealthCheckRequest(), timeout=0.3)
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_streams_go_to_one_instance(own: Mesh) -> None:
    """All messages arrive, and the call is no longer open afterwards."""
    name = unique()
    async with served(own, name, Health("one")):
        await known(own, name, 1)
        stub = stub_of(own.channel(name))
        stream: Any = stub.Watch(health_pb2.HealthCheckRequest())
        assert [each.status async for each in stream] == [SERVING, SERVING]
        backend = own.channel(name).instances.balancer.backends[f"{name}-one"]
        await done("ended", lambda: not backend.open_calls, within_s=PATIENCE_S)


async def test_both_sides_prove_their_names(suite: Suite, tmp_path: Path) -> None:
    """The right certificate is let in and named; another name, authority and none are refused."""
    name = unique()
    authority = Authority.create(tmp_path / "ca")
    for each in (name, "caller", "other"):
        issue(authority, Request("service", each, (each,)), tmp_path / each)
    foreign = Authority.create(tmp_path / "foreign-ca")
    issue(foreign, Request("service", "foreign", ("foreign",)), tmp_path / "foreign")
    callers: list[str] = []

    class Named(Health):
        async def Check(self, request: Any, context: Any) -> Any:
            callers.append(mesh.caller_name(context))
            return await super().Check(request, context)

    async def call(tls: Path | None, service: str = name) -> None:
        async with Client(suite.grpc_address) as client, Mesh(client, tls=tls) as caller:
            stub = stub_of(caller.channel(service))
            await stub.Check(health_pb2.HealthCheckRequest(), timeout=3)

    async with (
        Client(suite.grpc_address) as client,
        Mesh(client, tls=tmp_path / name) as own,
        served(own, name, Named("one")),
    ):
        await call(tmp_path / "caller")
        assert callers == ["caller"]
        for wrong in (tmp_path / "foreign", None):
            with pytest.raises(grpc.aio.AioRpcError):
                await call(wrong)
    async with (
        Client(suite.grpc_address) as client,
        Mesh(client, tls=tmp_path / "other") as impostor,
        served(impostor, name, Health("impostor")),
    ):
        with pytest.raises(grpc.aio.AioRpcError):
            await call(tmp_path / "caller")
    assert callers == ["caller"]


async def edges_to(suite: Suite, name: str, calls: int) -> tuple[list[Any], Any]:
    """The edges to a service, once they count so many calls, and the whole topology."""
    found: list[Any] = []

    async def counted() -> bool:
        answer = (await suite.get("/api/v1/topology?minutes=5")).json
        edges = [each for each in answer["edges"] if each["target"] == name]
        found[:] = [edges, answer]
        return bool(sum(each["calls"] for each in edges) == calls)

    try:
        await until(f"{calls} calls of {name}", counted, within_s=PATIENCE_S)
    except AssertionError as error:
        raise AssertionError(f"counted: {found[0]}") from error
    return found[0], found[1]


@pytest.mark.long
@pytest.mark.feature("S0-01")
async def test_the_topology_counts_real_calls(suite: Suite, own: Mesh) -> None:
    """Per pair with errors and durations, by gRPC, REST and command."""
    name = unique()
    servicer = Health("one")
    async with served(own, name, servicer, capabilities=["charge"]):
        stub = stub_of(own.channel(name))
        for _ in range(20):
            await stub.Check(health_pb2.HealthCheckRequest())
        servicer.abort = grpc.StatusCode.INTERNAL
        for _ in range(5):
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.Check(health_pb2.HealthCheckRequest())
        (edge,), answer = await edges_to(suite, name, 25)
        assert (edge["source"], edge["errors"]) == ("tests", 5)
        assert 0 < edge["p50Ms"] <= edge["p95Ms"] <= edge["p99Ms"]
        (node,) = [each for each in answer["nodes"] if each["name"] == name]
        assert (node["instances"], node["healthy"]) == (1, 1)
        printed = await command(suite, "topology", "--json")
    assert [each["calls"] for each in printed.json["edges"] if each["target"] == name] == [25]


@pytest.mark.feature("S0-01")
async def test_the_topology_counts_addresses_and_workers(suite: Suite) -> None:
    """By the names that the topology of the workflow has for them; a refused answer is no error."""
    name = unique()
    requests: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        requests.append(request.path)
        if request.path == "/fails":
            return web.Response(status=500)
        return web.json_response({}, status=404 if request.path == "/none" else 200)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server, Client(suite.grpc_address) as client:
        origin = f"http://127.0.0.1:{server.port}"
        pages = ["found", "none", "fails"]
        await applied(
            suite,
            *(
                http_task(f"{name}-{page}", f"{origin}/{page}", retry={"maxAttempts": 1})
                for page in pages
            ),
            resource("WorkflowTask", f"{name}-work", type=f"{name}.work"),
            *(
                workflow(f"{name}-{page}", {"id": "a", "taskRef": f"{name}-{page}"})
                for page in pages
            ),
            workflow(name, {"id": "a", "taskRef": f"{name}-work"}),
        )

        async def work(value: Any) -> Any:
            return value

        async with Worker(client, {f"{name}.work": work}):
            for workflow_name in (name, *(f"{name}-{page}" for page in pages)):
                handle = await client.start(workflow_name, {})
                with suppress(ExecutionFailed):
                    await handle.result()
        assert sorted(requests) == ["/fails", "/found", "/none"]
        (edge,), _ = await edges_to(suite, f"workers of {name}.work", 1)
        assert (edge["source"], edge["errors"]) == (name, 0)
        edges, _ = await edges_to(suite, origin, 3)
        assert {each["source"]: each["errors"] for each in edges} == {
            f"{name}-found": 0,
            f"{name}-none": 0,
            f"{name}-fails": 1,
        }


@pytest.mark.long
async def test_a_workflow_calls_a_service_by_name(suite: Suite) -> None:
    """Over both instances, counted in the topology; without instances the task fails with why."""
    service = unique()
    call = {
        "service": service,
        "method": CHARGE,
        "request": {"orderId": "{{input.id}}", "cents": "4200"},
    }
    task = {
        "apiVersion": "workflow.io/v1",
        "kind": "WorkflowTask",
        "metadata": {"name": service},
        "spec": {"type": "grpc.call", "grpc": call},
    }
    flow = {
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {"name": service},
        "spec": {
            "tasks": [{"id": "charge", "taskRef": service, "input": {"id": "{{input.id}}"}}],
            "output": {"payment": "{{tasks.charge.output.paymentId}}"},
        },
    }
    assert (await suite.post("/api/v1/tasks", task)).status in (200, 201)
    applied = await suite.post("/api/v1/workflows", flow)
    assert applied.status in (200, 201), applied.text
    async with serving() as one, serving() as other:
        for each, payments in (("one", one), ("other", other)):
            body = {
                "id": f"{service}-{each}",
                "name": service,
                "endpoint": payments.address,
                "heartbeatIntervalMs": 60_000,
            }
            assert (await suite.post("/api/v1/services", body)).status == 201
        async with Client(suite.grpc_address) as client:
            for number in range(20):
                output = await client.run(service, {"id": str(number)})
                assert output == {"payment": f"pay-{number}"}
        assert len(one.calls) + len(other.calls) == 20
        assert one.calls
        assert other.calls
        (edge,), _ = await edges_to(suite, service, 20)
        assert (edge["source"], edge["errors"]) == (service, 0)
