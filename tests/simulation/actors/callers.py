"""Callers that wait for ends: by calls, and by the SDK's own session over a simulated stream.

Every waiting caller must get the stored end, under any faults; a caller without it keeps the run
open.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.errors import FlowmeshError, Overloaded, Timeout, Unavailable
from flowmesh.records import words_of
from flowmesh.sdk.client.session import Session, SessionCall
from flowmesh.sdk.transport.payload_store import PayloadStore
from flowmesh.sdk.values.failures import ExecutionFailed
from tests.simulation.actors.peers import Client
from tests.simulation.actors.plans import catalog
from tests.simulation.checks.history import Call, Outcome
from tests.simulation.servers.loop import elapsed
from tests.simulation.servers.streams import Caller, Channel, Stream

if TYPE_CHECKING:
    from tests.simulation.servers.world import World

STARTS = (0, 0, 1, 3)
"""How many starts go by the session."""

WAITED_FOR = 0.4
"""The share of executions with a caller that waits for the end."""

PATIENCE_MS = (300, 5_000, 300_000)
STATUSES = words_of(execution_pb2.ExecutionStatus.DESCRIPTOR)
"""How long they ask to wait at once; the longest is longer than any run."""


class Callers:
    """Start executions within the given time, and wait for their ends."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._random = Random(f"{world.seed}/callers")
        self.client = Client(world, "callers")
        self._looked_at: set[str] = set()

    @property
    def open(self) -> int:
        return self.client.open

    def begin(self, within_s: float) -> None:
        starts = self._random.choice(STARTS)
        if starts:
            moments = sorted(self._random.uniform(0.0, within_s) for _ in range(starts))
            self.client.spawn(self._by_session(moments))
        self.client.process.spawn(self._look())

    async def _look(self) -> None:
        """Draw for each execution whether a caller waits for it."""
        while True:
            await elapsed(self._random.uniform(0.05, 0.3))
            for execution_id in list(self.world.tables.executions):
                if execution_id not in self._looked_at:
                    self._looked_at.add(execution_id)
                    if self._random.random() < WAITED_FOR:
                        self.client.spawn(self.wait(execution_id))

    async def wait(self, execution_id: str) -> None:
        """Repeat the call until it returns the end of an execution, or of its last run."""
        random = self._random
        asked = pb.WaitExecutionRequest(
            execution_id=execution_id, timeout_ms=random.choice(PATIENCE_MS), without_nodes=True
        )
        while True:
            stub = self.world.any_orchestrator(random)
            try:
                answer = await stub.WaitExecution(asked, timeout=asked.timeout_ms / 1000 + 10.0)
            except (Unavailable, Timeout):
                await elapsed(random.uniform(0.05, 0.4))
                continue
            if answer.ended:
                end = answer.execution
                self._told(end.execution_id, STATUSES[end.status])
                return

    def _told(self, execution_id: str, status: str) -> None:
        row = self.world.tables.executions.get(execution_id)
        stored = STATUSES[row["status"]] if row is not None else "nowhere"
        if stored != status:
            said = f"a caller got {status} of {execution_id}, stored is {stored}"
            self.world.problem("caller", said)

    async def _by_session(self, moments: list[float]) -> None:
        begun_s = self.world.loop.time()
        async with self._session() as session, asyncio.TaskGroup() as group:
            for number, moment in enumerate(moments):
                await elapsed(max(0.0, begun_s + moment - self.world.loop.time()))
                workflow_id = self._random.choice(list(catalog()))
                group.create_task(self._one(session, workflow_id, number))

    def _session(self) -> Session:
        channel = Channel(lambda: Stream(self.world.any_orchestrator(self._random).Session))
        caller: Any = Caller(channel)
        payloads = PayloadStore(caller, "default")
        return Session(caller=caller, payloads=payloads, namespace="default")

    async def _one(self, session: Session, workflow_id: str, number: int) -> None:
        request_id = f"session-{number}"
        call = session.submit(workflow_id, {"n": number}, request_id=request_id)
        begun_us = self.world.now_us()
        outcome, reason = await _outcome_of(call)
        self.world.called(
            Call(
                kind="start",
                request_id=request_id,
                outcome=outcome,
                execution_id=call.execution_id,
                reason=reason,
                begun_us=begun_us,
                ended_us=self.world.now_us(),
                tick=self.world.tick(),
            )
        )
        if outcome is Outcome.OK:
            try:
                await call.result()
            except ExecutionFailed as failed:
                self._told(failed.execution_id, failed.status)


async def _outcome_of(call: SessionCall) -> tuple[Outcome, str]:
    try:
        await call.started()
    except (Unavailable, Timeout, Overloaded) as error:
        return Outcome.UNKNOWN, error.reason
    except FlowmeshError as error:
        return Outcome.FAIL, error.reason
    return Outcome.OK, ""
