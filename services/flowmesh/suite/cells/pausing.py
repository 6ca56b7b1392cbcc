"""Triggers of a project that moves, in one cell."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.api.event.v1.trigger_service_pb2_grpc import TriggerServiceStub
from flowmesh.cells import TRIGGERS_MAX
from flowmesh.suite.cells.calls import CellCalls
from flowmesh.suite.cells.survey import listed_triggers

QUIET_S = 5.0
"""Time before the next instant of a schedule in which a project is switched."""

QUIET_WITHIN_S = 90.0
POLL_S = 0.2

Ids = tuple[str, str]
"""The ids of a workflow and of a trigger of it."""

Active = Sequence[tuple[str, str, int]]


class Triggers:
    """The triggers of a project in one cell."""

    def __init__(self, calls: CellCalls) -> None:
        self._calls = calls
        self._stub = TriggerServiceStub(calls.channel)

    async def listed(self) -> Any:
        return await listed_triggers(self._calls)

    async def quiet(self) -> tuple[tuple[str, str, int], ...]:
        """Return the active triggers as soon as none is due within seconds. Raises ValueError."""
        until = time.monotonic() + QUIET_WITHIN_S
        while True:
            active = [each for each in await self.listed() if not each.paused]
            if len(active) > TRIGGERS_MAX:
                raise ValueError(f"the project has more than {TRIGGERS_MAX:,} active triggers")
            soon_us = (time.time_ns() + QUIET_S * 1e9) / 1_000
            if not any(0 < each.next_at_us < soon_us for each in active):
                return tuple((*_ids(each), each.next_at_us) for each in active)
            if time.monotonic() > until:
                text = f"the schedules of the project leave no {QUIET_S:.0f} s without an instant"
                raise ValueError(f"{text}; pause one with `flowmesh trigger pause`")
            await asyncio.sleep(POLL_S)

    async def pause(self, is_meant: Callable[[Ids], bool]) -> None:
        """Pause the triggers that are meant and active."""
        for each in await self.listed():
            if is_meant(_ids(each)) and not each.paused:
                workflow, trigger = _ids(each)
                request = pb.PauseTriggerRequest(workflow_id=workflow, trigger_id=trigger)
                await self._calls.call(self._stub.PauseTrigger, request)

    async def resume(self, triggers: Collection[Ids]) -> None:
        """Resume those of the triggers that are paused."""
        for each in await self.listed():
            if _ids(each) in triggers and each.paused:
                workflow, trigger = _ids(each)
                request = pb.ResumeTriggerRequest(workflow_id=workflow, trigger_id=trigger)
                await self._calls.call(self._stub.ResumeTrigger, request)

    async def fire(self, triggers: Active, project: str) -> None:
        """Start the executions of instants that passed while the triggers were paused."""
        for workflow, trigger, at_us in triggers:
            request = pb.FireTriggerRequest(
                workflow_id=workflow,
                trigger_id=trigger,
                request_id=f"move-{project}-{workflow}-{trigger}-{at_us}"[:128],
            )
            await self._calls.call(self._stub.FireTrigger, request)


def _ids(state: Any) -> Ids:
    return state.workflow_id, state.trigger.id
