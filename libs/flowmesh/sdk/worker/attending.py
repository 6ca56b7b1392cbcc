"""A worker that the fleet runs as an agent: its environment, and its heartbeats."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from flowmesh.api.fleet.v1 import fleet_service_pb2 as pb
from flowmesh.api.fleet.v1.fleet_service_pb2_grpc import AgentServiceStub
from flowmesh.errors import FlowmeshError
from flowmesh.sdk.transport.calls import Caller

BEAT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class AgentEnvironment:
    """What the fleet tells an agent; without an id, the process is no agent."""

    id: str = ""
    queues: tuple[str, ...] = ()
    slots: int = 0

    @classmethod
    def read(cls) -> "AgentEnvironment":
        """Return that of this process."""
        queues = os.environ.get("FLOWMESH_AGENT_QUEUES", "")
        return cls(
            os.environ.get("FLOWMESH_AGENT_ID", ""),
            tuple(filter(None, queues.split(","))),
            int(os.environ.get("FLOWMESH_AGENT_SLOTS") or 0),
        )


async def attend(
    caller: Caller, agent_id: str, namespace: str, slots: Callable[[], int], busy: Callable[[], int]
) -> None:
    """Tell the fleet every 2 s that the agent lives."""
    stub, loop = AgentServiceStub(caller.channel), asyncio.get_running_loop()
    due = loop.time()
    while True:
        lag_ms = max(int((loop.time() - due) * 1_000), 0)
        request = pb.AttendRequest(
            agent_id=agent_id, namespace=namespace, slots=slots(), busy=busy(), lag_ms=lag_ms
        )
        with suppress(FlowmeshError):
            await caller.call(stub.Attend, request)
        due = loop.time() + BEAT_S
        await asyncio.sleep(BEAT_S)
