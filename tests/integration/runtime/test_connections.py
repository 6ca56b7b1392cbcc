"""How many calls a connection takes at a time, and what callers do who have more."""

import asyncio
from typing import Any, cast

import grpc.aio
import pytest

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.api.registry.v1 import registry_service_pb2_grpc as pb_grpc
from flowmesh.rpc.limits import PUBLIC_STREAMS_MAX, SUITE_STREAMS_MAX
from flowmesh.runtime import Runtime, Settings
from flowmesh.sdk.transport.channels import Channels
from flowmesh.sdk.transport.endpoint import Endpoint
from flowmesh.sdk.values import limits
from flowmesh.testing.polling import until
from tests.integration.runtime.test_process import NAME, running

CALL_S = 60.0


class Patient(pb_grpc.RegistryServiceServicer):
    """Counts who has come in, and answers when it is told to."""

    def __init__(self) -> None:
        self.inside = 0
        self.answer = asyncio.Event()

    async def GetInstance(
        self, request: pb.GetInstanceRequest, context: Any
    ) -> pb.GetInstanceResponse:
        self.inside += 1
        await self.answer.wait()
        return pb.GetInstanceResponse()

    async def run(self, runtime: Runtime) -> None:
        runtime.serve(cast(Any, self), pb_grpc.add_RegistryServiceServicer_to_server, NAME)
        await runtime.until_stopped()

    async def full(self, count: int) -> None:
        async def come() -> bool:
            return self.inside == count

        await until(f"{count} calls are inside", come, within_s=CALL_S)


def calls(channel: Any, count: int) -> list[asyncio.Task[Any]]:
    stub: Any = pb_grpc.RegistryServiceStub(channel)

    async def call() -> Any:
        return await stub.GetInstance(pb.GetInstanceRequest(), timeout=2 * CALL_S)

    return [asyncio.create_task(call()) for _ in range(count)]


@pytest.mark.parametrize(
    ("service", "streams_max"),
    [
        ("gateway", PUBLIC_STREAMS_MAX),
        pytest.param("demo", SUITE_STREAMS_MAX, marks=pytest.mark.slow),
    ],
)
async def test_one_call_more_waits_for_its_turn(
    settings: Settings, service: str, streams_max: int
) -> None:
    """In the client, and is answered like the others."""
    patient = Patient()  # type: ignore[abstract]  # the other methods are not called
    async with (
        running(settings, {service: patient.run}) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        waiting = calls(channel, streams_max + 1)
        await patient.full(streams_max)
        patient.answer.set()
        await asyncio.gather(*waiting)
    assert patient.inside == streams_max + 1


async def test_the_sdk_opens_further_connections(settings: Settings) -> None:
    """So that none of its calls waits for another; it uses them again, and no more than it may."""
    patient = Patient()  # type: ignore[abstract]  # the other methods are not called
    count = 3 * limits.CONNECTION_CALLS
    async with running(settings, {"gateway": patient.run}) as process:
        channels = Channels(Endpoint.of(process.address))
        try:
            waiting = calls(channels, count)
            await patient.full(count)
            patient.answer.set()
            await asyncio.gather(*waiting)
            assert channels.pick() is channels.pick()
        finally:
            await channels.close()
