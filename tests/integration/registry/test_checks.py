"""Active checks against real servers: gRPC health, HTTP, TCP."""

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc.aio
import pytest
import structlog
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from redis.asyncio import Redis

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.egress import LINK_LOCAL, OPEN, PUBLIC, Egress
from flowmesh.errors import Invalid
from flowmesh.registry.checking import CheckLoop
from flowmesh.registry.instances import Instances
from flowmesh.registry.probes import Probes
from flowmesh.registry.store import InstanceStore
from flowmesh.telemetry import Metrics
from flowmesh.testing.polling import until

pytestmark = pytest.mark.long

PATIENCE_S = 20
HEALTHY, DEGRADED = pb.INSTANCE_STATUS_HEALTHY, pb.INSTANCE_STATUS_DEGRADED
UNHEALTHY, OFFLINE = pb.INSTANCE_STATUS_UNHEALTHY, pb.INSTANCE_STATUS_OFFLINE


class Checked:
    """One registry process that makes checks."""

    def __init__(self, redis: Redis, prefix: str, policy: object = OPEN) -> None:
        self.store = InstanceStore(redis=redis, prefix=prefix)
        self.instances = Instances(store=self.store)
        self.probes = Probes(lambda: Egress(policy))  # type: ignore[arg-type]
        self.loop = CheckLoop(store=self.store, probes=self.probes, log=structlog.get_logger())

    async def register(self, endpoint: str, check: pb.HealthCheck) -> str:
        name = f"s-{uuid.uuid4().hex[:8]}"
        instance = pb.Instance(
            namespace="default", id=name, name=name, endpoint=endpoint, check=check
        )
        await self.instances.register(instance, interval_ms=0)
        return name

    async def until(self, name: str, status: int, problem: str = "") -> pb.Instance:
        """The instance once it has the status and a problem with this text."""
        found: list[pb.Instance] = []

        async def there() -> bool:
            found.append(await self.instances.get("default", name))
            return found[-1].status == status and problem in found[-1].check_problem

        await until(f"status {status}", there, within_s=PATIENCE_S)
        return found[-1]


@asynccontextmanager
async def checking(redis: Redis, prefix: str, policy: object = OPEN) -> AsyncIterator[Checked]:
    made = Checked(redis, prefix, policy)
    task = asyncio.create_task(made.loop.run(Metrics()))
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await made.loop.close()
        await made.probes.close()


@pytest.fixture
async def checked(redis: Redis) -> AsyncIterator[Checked]:
    async with checking(redis, f"t{uuid.uuid4().hex[:8]}") as made:
        yield made


@asynccontextmanager
async def http_server() -> AsyncIterator[tuple[int, list[int]]]:
    """Serves `/health` with the status of a list, which the test changes."""
    status = [200]

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status[0])

    application = web.Application()
    application.router.add_get("/health", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1], status
    finally:
        await runner.cleanup()


def http(interval_ms: int = 100) -> pb.HealthCheck:
    return pb.HealthCheck(http=pb.HttpCheck(path="health"), interval_ms=interval_ms, timeout_ms=500)


async def test_an_http_check_changes_the_status_both_ways(checked: Checked) -> None:
    """Degraded at once, unhealthy after three failures, offline after six intervals, and back."""
    async with http_server() as (port, status):
        name = await checked.register(f"http://127.0.0.1:{port}", http())
        first = await checked.until(name, HEALTHY)
        assert first.check.unhealthy_after == 3
        status[0] = 503
        await checked.until(name, DEGRADED, "the status is 503")
        await checked.until(name, UNHEALTHY)
        await checked.until(name, OFFLINE)
        status[0] = 204
        assert not (await checked.until(name, HEALTHY)).check_problem


async def test_it_stays_healthy_without_heartbeats(checked: Checked) -> None:
    """For more intervals than a lease has."""
    async with http_server() as (port, _):
        name = await checked.register(f"http://127.0.0.1:{port}", http())
        registered = (await checked.until(name, HEALTHY)).registered_at_us

        async def renewed() -> bool:
            found = await checked.instances.get("default", name)
            assert found.status == HEALTHY
            return found.heartbeat_at_us - registered > 4_000_000

        await until("renewed for 4 s", renewed, within_s=PATIENCE_S)


async def test_a_grpc_check_asks_the_health_service(checked: Checked) -> None:
    """For the service that the check names."""
    servicer = health.aio.HealthServicer()
    await servicer.set("shop.Orders", health_pb2.HealthCheckResponse.SERVING)
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    check = pb.HealthCheck(
        grpc=pb.GrpcCheck(service="shop.Orders"), interval_ms=100, timeout_ms=500
    )
    try:
        name = await checked.register(f"127.0.0.1:{port}", check)
        await checked.until(name, HEALTHY)
        await servicer.set("shop.Orders", health_pb2.HealthCheckResponse.NOT_SERVING)
        await checked.until(name, UNHEALTHY, "the service is NOT_SERVING")
    finally:
        await server.stop(None)


async def test_a_tcp_check_connects(checked: Checked) -> None:
    """Healthy while the port is open, unhealthy after."""

    def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    check = pb.HealthCheck(tcp=pb.TcpCheck(), interval_ms=100, timeout_ms=500)
    name = await checked.register(f"127.0.0.1:{port}", check)
    await checked.until(name, HEALTHY)
    server.close()
    await server.wait_closed()
    await checked.until(name, UNHEALTHY, "Connect call failed")


async def test_a_silent_server_fails_at_the_timeout(checked: Checked) -> None:
    """With the timeout as the problem."""
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    check = pb.HealthCheck(http=pb.HttpCheck(), interval_ms=100, timeout_ms=200)
    name = await checked.register(f"http://127.0.0.1:{port}", check)
    async with server:
        await checked.until(name, UNHEALTHY, "no answer within 200 ms")


async def test_two_processes_share_the_checks(redis: Redis) -> None:
    """A server sees about one check an interval, not two."""
    calls = 0

    def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    check = pb.HealthCheck(tcp=pb.TcpCheck(), interval_ms=200, timeout_ms=1_000)
    prefix = f"t{uuid.uuid4().hex[:8]}"
    async with checking(redis, prefix) as one, checking(redis, prefix) as other, server:
        name = await one.register(f"127.0.0.1:{port}", check)
        began = (await one.until(name, HEALTHY)).registered_at_us

        async def renewed() -> bool:
            found = await other.instances.get("default", name)
            return found.heartbeat_at_us - began > 2_000_000

        await until("renewed for 2 s", renewed, within_s=PATIENCE_S)
    assert 3 <= calls <= 13


async def test_the_egress_policy_holds(redis: Redis) -> None:
    """A check of a private address is refused where only public ones may be called."""
    async with (
        http_server() as (port, _),
        checking(redis, f"t{uuid.uuid4().hex[:8]}", PUBLIC) as made,
    ):
        name = await made.register(f"http://127.0.0.1:{port}", http())
        await made.until(name, UNHEALTHY, "not one that steps may call")


class Rebinding(AbstractResolver):
    """A resolver whose names lead to loopback once, and to where clouds keep secrets then."""

    def __init__(self) -> None:
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        found = "127.0.0.1" if self.asked == 1 else "169.254.169.254"
        flags = socket.AI_NUMERICHOST
        return [
            ResolveResult(hostname=host, host=found, port=port, family=family, proto=0, flags=flags)
        ]

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    ("check", "endpoint"),
    [
        (http(), "http://rebound.example:1"),
        (pb.HealthCheck(tcp=pb.TcpCheck()), "http://rebound.example:1"),
        (pb.HealthCheck(grpc=pb.GrpcCheck()), "rebound.example:1"),
    ],
    ids=["http", "tcp", "grpc"],
)
async def test_a_name_leads_to_no_link_local_address(check: pb.HealthCheck, endpoint: str) -> None:
    """A check resolves a name once, and connects to the address that was judged."""
    policy, names = replace(OPEN, refused=LINK_LOCAL), Rebinding()
    check.timeout_ms = 1_000
    instance = pb.Instance(endpoint=endpoint, check=check)
    for refused in (False, True):
        probes = Probes(lambda: Egress(policy, resolver=names))
        found = await probes.problem(instance)
        await probes.close()
        assert ("not one that steps may call" in found) == refused, found
    assert names.asked == 2


async def test_a_deregistered_instance_is_checked_no_more(checked: Checked) -> None:
    """Its check is removed, and it stays offline."""
    async with http_server() as (port, _):
        name = await checked.register(f"http://127.0.0.1:{port}", http())
        await checked.until(name, HEALTHY)
        await checked.instances.deregister("default", name)

        async def ended() -> bool:
            return (await checked.store.claim_checks(0, 1))[0] == -1

        await until("no check", ended, within_s=PATIENCE_S)
        assert (await checked.instances.get("default", name)).status == OFFLINE


WRONG = {
    "http://169.254.169.254/latest": (http(), "link-local"),
    "http://[fe80::1]:80": (http(), "link-local"),
    "127.0.0.1:80": (http(), "needs an endpoint http://"),
    "http://127.0.0.1:81": (pb.HealthCheck(grpc=pb.GrpcCheck()), "needs an endpoint host:port"),
    "http://127.0.0.1:82": (pb.HealthCheck(interval_ms=500), "must be grpc, http or tcp"),
    "http://127.0.0.1:83": (pb.HealthCheck(tcp=pb.TcpCheck(), interval_ms=300_001), "300000 ms"),
    "http://127.0.0.1:84": (pb.HealthCheck(tcp=pb.TcpCheck(), timeout_ms=30_001), "30000 ms"),
    "http://127.0.0.1:85": (
        pb.HealthCheck(http=pb.HttpCheck(path="a b")),
        "printable ASCII characters",
    ),
    "http://127.0.0.1:87": (
        pb.HealthCheck(http=pb.HttpCheck(path="a" * 513)),
        "at most 512 printable ASCII characters",
    ),
    "http://127.0.0.1:86": (
        pb.HealthCheck(tcp=pb.TcpCheck(), unhealthy_after=101),
        "at most 100",
    ),
    "file:///etc/passwd": (http(), "has no port"),
}


@pytest.mark.parametrize("endpoint", WRONG)
async def test_a_wrong_check_is_refused(checked: Checked, endpoint: str) -> None:
    """With the field, and nothing is registered."""
    check, text = WRONG[endpoint]
    with pytest.raises(Invalid, match=text) as refused:
        await checked.register(endpoint, check)
    assert all(each.field.startswith("instance.") for each in refused.value.violations)
