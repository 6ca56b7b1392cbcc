"""People who inspect executions and act: on held nodes, approvals, and other nodes."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import control_service_pb2 as control_pb
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine import has_ended
from tests.simulation.actors.peers import Client
from tests.simulation.actors.plans import ASKED, TENDED, WAITING
from tests.simulation.servers.loop import elapsed

if TYPE_CHECKING:
    from tests.simulation.servers.world import World

PATIENCE = 25
"""How often they look at one execution before they do nothing that puts its end off."""

HELD = (
    execution_pb2.NODE_ACTION_RETRY,
    execution_pb2.NODE_ACTION_RETRY,
    execution_pb2.NODE_ACTION_COMPLETE,
    execution_pb2.NODE_ACTION_SKIP,
    execution_pb2.NODE_ACTION_FAIL,
)
"""Actions on a held node."""

ANY = (
    execution_pb2.NODE_ACTION_RETRY,
    execution_pb2.NODE_ACTION_COMPLETE,
    execution_pb2.NODE_ACTION_SKIP,
    execution_pb2.NODE_ACTION_OVERRIDE,
)
"""Actions on any node; most are rejected."""


class People:
    """They look after executions of workflows that wait for them, until all have ended."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._random = Random(f"{world.seed}/people")
        self._client = Client(world, "people")
        self._looked: dict[str, int] = {}

    def begin(self) -> None:
        self._client.spawn(self._look_after())

    async def _look_after(self) -> None:
        while True:
            await elapsed(self._random.uniform(0.05, 0.4))
            open_ones = [
                execution_id
                for execution_id, row in self.world.tables.executions.items()
                if row["workflow_id"].startswith(TENDED) and not has_ended(row["status"])
            ]
            await asyncio.gather(*map(self._look, open_ones))

    async def _look(self, execution_id: str) -> None:
        looked = self._looked[execution_id] = self._looked.get(execution_id, 0) + 1
        request = pb.GetExecutionRequest(execution_id=execution_id)
        found = await self._client.call("look", "GetExecution", request)
        for node in found.execution.nodes if found is not None else ():
            if node.held:
                last = looked > PATIENCE
                action = execution_pb2.NODE_ACTION_FAIL if last else self._random.choice(HELD)
                await self._steer(execution_id, node.id, action)
            elif node.approval.needed and node.status == execution_pb2.NODE_STATUS_RUNNING:
                await self._decide(execution_id, node, looked)
            elif looked > PATIENCE and node.id.endswith(f"/{WAITING}"):
                # Other members of the race may have been skipped.
                await self._steer(execution_id, node.id, execution_pb2.NODE_ACTION_COMPLETE)
            elif looked <= PATIENCE and self._random.random() < 0.05:
                await self._steer(execution_id, node.id, self._random.choice(ANY))

    async def _steer(self, execution_id: str, node: str, action: Any) -> None:
        request = control_pb.SteerNodeRequest(
            execution_id=execution_id,
            node=node,
            action=action,
            request_id=self._request_id(),
        )
        if action in (execution_pb2.NODE_ACTION_COMPLETE, execution_pb2.NODE_ACTION_OVERRIDE):
            request.output.CopyFrom(payload_pb2.Payload(data=b'"by hand"'))
        await self._client.call("steer", "SteerNode", request)

    async def _decide(self, execution_id: str, node: execution_pb2.Node, looked: int) -> None:
        request = control_pb.DecideApprovalRequest(
            execution_id=execution_id,
            node=node.id,
            by=self._random.choice(node.approval.assignees or ASKED),
            approved=looked > PATIENCE or self._random.random() < 0.8,
            request_id=self._request_id(),
        )
        await self._client.call("decide", "DecideApproval", request)

    def _request_id(self) -> str:
        return f"people/{self._random.randrange(1 << 48):x}"
