"""The time of a call by the mesh over that of a plain grpcio channel, alternating.

`.venv/bin/python -m benchmarks.events.mesh [--calls 2000] [--rounds 3]`
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from benchmarks.events.common import show
from flowmesh.mesh import Mesh
from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite

WARM_UP = 200


async def calls(stub: Any, count: int) -> list[float]:
    took = []
    request = health_pb2.HealthCheckRequest()
    for _ in range(count):
        began = time.perf_counter()
        await stub.Check(request)
        took.append((time.perf_counter() - began) * 1_000_000)
    return took


async def measure(own: Mesh, count: int, rounds: int) -> None:
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    async with (
        own.serve(server, "measured") as served,
        grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as channel,
    ):
        stubs = {
            "plain": health_pb2_grpc.HealthStub(channel),
            "mesh": health_pb2_grpc.HealthStub(own.channel("measured")),
        }
        for stub in stubs.values():
            await calls(stub, WARM_UP)
        for _ in range(rounds):
            found = {name: sorted(await calls(stub, count)) for name, stub in stubs.items()}
            p50 = {name: each[len(each) // 2] for name, each in found.items()}
            figures = {f"{name}_p50_us": round(each) for name, each in p50.items()}
            show(figures | {"overhead_us": round(p50["mesh"] - p50["plain"])})


async def main(count: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            Suite(Path(folder) / "data") as suite,
            Client(suite.grpc_address) as client,
            Mesh(client, name="bench") as own,
        ):
            await measure(own, count, rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(main(given.calls, given.rounds))
