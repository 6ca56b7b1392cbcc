"""Calls by the mesh over those of plain grpcio channels, and discovery from the cache.

`.venv/bin/python -m benchmarks.events.mesh [--calls 2000] [--rounds 3]` alternates the mesh with a
plain channel, and then counts the failed calls while one instance of three is sick, by the mesh
and by the outlier detection of grpcio.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from benchmarks.events.common import PATIENCE_S, medians, show
from benchmarks.load import Metrics
from flowmesh.mesh import Mesh, Served
from flowmesh.sdk import Client, ServiceDiscovery
from flowmesh.testing.suite import Suite

WARM_UP = 200
SICK_CALLS = 1_000
LOOKUPS = 2_000
SERVICE, READ, WRITE = "bench.Billing", "GetInvoice", "Charge"
# An instance that fails most of its calls is ejected after the shortest useful interval.
OUTLIER_DETECTION: Final = {
    "loadBalancingConfig": [
        {
            "outlier_detection_experimental": {
                "interval": "0.1s",
                "baseEjectionTime": "30s",
                "maxEjectionPercent": 50,
                "failurePercentageEjection": {
                    "threshold": 50,
                    "minimumHosts": 3,
                    "requestVolume": 5,
                },
                "childPolicy": [{"round_robin": {}}],
            }
        }
    ]
}


def answering(*, sick: bool) -> grpc.GenericRpcHandler:
    """Return a service that echoes, or fails each call as a sick instance does."""

    async def echo(request: bytes, context: Any) -> bytes:
        if sick:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "sick")
        return request

    handler: Any = grpc.unary_unary_rpc_method_handler(echo)
    methods = {READ: handler, WRITE: handler}
    return grpc.method_handlers_generic_handler(SERVICE, methods)


@asynccontextmanager
async def served(own: Mesh, name: str, *, sick: bool = False) -> AsyncIterator[Served]:
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    server.add_generic_rpc_handlers([answering(sick=sick)])
    async with own.serve(server, name) as running:
        yield running


async def calls(stub: Any, count: int) -> list[float]:
    took = []
    request = health_pb2.HealthCheckRequest()
    for _ in range(count):
        began = time.perf_counter()
        await stub.Check(request)
        took.append((time.perf_counter() - began) * 1_000_000)
    return took


async def latency(own: Mesh, count: int, rounds: int) -> Metrics:
    """Return the p50 of a call by both channels, each the median of the rounds."""
    async with (
        served(own, "measured") as running,
        grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        stubs = {
            "plain": health_pb2_grpc.HealthStub(channel),
            "mesh": health_pb2_grpc.HealthStub(own.channel("measured")),
        }
        for stub in stubs.values():
            await calls(stub, WARM_UP)
        found: list[Metrics] = []
        for _ in range(rounds):
            took = {name: sorted(await calls(stub, count)) for name, stub in stubs.items()}
            p50 = {name: each[len(each) // 2] for name, each in took.items()}
            figures: Metrics = {f"{name}_p50_us": round(each) for name, each in p50.items()}
            found.append(figures | {"overhead_us": round(p50["mesh"] - p50["plain"])})
            show(found[-1])
    return medians(found)


async def failed(channel: grpc.aio.Channel, method: str) -> int:
    """Return the failed calls of 1,000, one after the other."""
    call: Any = channel.unary_unary(f"/{SERVICE}/{method}")
    count = 0
    for _ in range(SICK_CALLS):
        count += await call(b"given").code() is not grpc.StatusCode.OK
    return count


async def with_a_sick_instance(own: Mesh, method: str, name: str) -> tuple[int, int]:
    """Return the failed calls by the mesh and by grpcio while one instance of three is sick."""
    async with AsyncExitStack() as stack:
        ports = [
            (await stack.enter_async_context(served(own, name, sick=sick))).port
            for sick in (True, False, False)
        ]
        channel = own.channel(name)
        async with asyncio.timeout(PATIENCE_S):
            while len(channel.instances.balancer.backends) < len(ports):
                await channel.instances.until_changed()
        address = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)
        options = (("grpc.service_config", json.dumps(OUTLIER_DETECTION)),)
        plain = grpc.aio.insecure_channel(address, options=options)
        other = await stack.enter_async_context(plain)
        return await failed(channel, method), await failed(other, method)


async def sick(own: Mesh) -> Metrics:
    """Return the failed calls of reads, which the mesh repeats elsewhere, and of writes."""
    figures: Metrics = {}
    for method in (READ, WRITE):
        own_failed, of_grpcio = await with_a_sick_instance(own, method, f"sick-{method.lower()}")
        figures[f"failed_of_1000_{method}"] = own_failed
        figures[f"failed_of_1000_{method}_grpcio"] = of_grpcio
    show(figures)
    return figures


def lookups(address: str) -> Metrics:
    """Return the p50 of a lookup that the cache of `ServiceDiscovery` answers."""
    with ServiceDiscovery(address) as discovery:
        took = []
        for _ in range(LOOKUPS):
            began = time.perf_counter()
            discovery.discover_services(name="measured")
            took.append((time.perf_counter() - began) * 1_000_000)
    took.sort()
    figures: Metrics = {"discover_p50_us": round(took[len(took) // 2], 1)}
    show(figures)
    return figures


async def main(count: int, rounds: int) -> Metrics:
    """Print and return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            Suite(Path(folder) / "data") as suite,
            Client(suite.grpc_address) as client,
            Mesh(client, name="bench") as own,
        ):
            figures = await latency(own, count, rounds)
            figures |= await sick(own)
            async with served(own, "measured"):
                figures |= await asyncio.to_thread(lookups, suite.grpc_address)
            return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(main(given.calls, given.rounds))
