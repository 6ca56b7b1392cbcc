"""How many retries a workflow may make: a share of the tasks that began, in the last minute.

Kept by each orchestrator for the executions it owns; what it knew is gone with it.
"""

from collections import OrderedDict
from dataclasses import dataclass

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.engine import NodeState
from flowmesh.plan import Plan
from flowmesh.runtime import Clock

WINDOW_MS = 60_000
RETRIES_MIN = 10
"""So many retries in a window are always made: a share of little says nothing."""

WORKFLOWS_MAX = 1_000


@dataclass(slots=True)
class _Counts:
    """Of this half of the window and of the one before."""

    since_ms: float
    begun: int = 0
    retried: int = 0
    begun_before: int = 0
    retried_before: int = 0

    def turn(self, now_ms: float) -> None:
        passed = (now_ms - self.since_ms) // (WINDOW_MS / 2)
        if passed:
            near = passed < 2
            self.begun_before, self.begun = (self.begun if near else 0), 0
            self.retried_before, self.retried = (self.retried if near else 0), 0
            self.since_ms = now_ms


class RetryBudgets:
    """Counts of the workflows whose definition says how many retries there may be."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: OrderedDict[tuple[str, str], _Counts] = OrderedDict()

    def begun(self, plan: Plan) -> None:
        """A task of the workflow has left."""
        if plan.limits is not None and plan.limits.retry_ratio:
            self._of(plan).begun += 1

    def spent(self, plan: Plan, node: NodeState, failure: failure_pb2.Failure) -> bool:
        """Whether a retry that would follow may not; where one may, it is counted."""
        if plan.limits is None or not plan.limits.retry_ratio:
            return False
        retry = node.planned.retry
        if node.attempt >= retry.max_attempts or not retry.allows(getattr(failure, "class")):
            return False
        counts = self._of(plan)
        retried = counts.retried + counts.retried_before
        most = plan.limits.retry_ratio * (counts.begun + counts.begun_before)
        if retried >= max(most, RETRIES_MIN):
            return True
        counts.retried += 1
        return False

    def _of(self, plan: Plan) -> _Counts:
        key = (plan.namespace, plan.workflow_id)
        counts = self._counts.get(key)
        now_ms = self._clock.monotonic_ms()
        if counts is None:
            counts = self._counts[key] = _Counts(now_ms)
            if len(self._counts) > WORKFLOWS_MAX:
                self._counts.popitem(last=False)
        counts.turn(now_ms)
        return counts
