"""How many retries a workflow, or all that call a host, may make: a share of the tasks that began,
in the last minute.

Kept by each orchestrator for the executions it owns; what it knew is gone with it.
"""

from collections import OrderedDict
from dataclasses import dataclass

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.engine import NodeState, tries
from flowmesh.orchestrator.limits.rules import Rules
from flowmesh.plan import Plan, PlanNode
from flowmesh.runtime import Clock

WINDOW_MS = 60_000
RETRIES_MIN = 10
"""So many retries in a window are always made: a share of little says nothing."""

RULES_MAX = 1_000


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

    def spent(self, share: float) -> bool:
        most = share * (self.begun + self.begun_before)
        return self.retried + self.retried_before >= max(most, RETRIES_MIN)


class RetryBudgets:
    """Counts of the rules that say how many retries there may be."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: OrderedDict[tuple[str, str], _Counts] = OrderedDict()

    def begun(self, rules: Rules, plan: Plan, node: PlanNode) -> None:
        """A task of the node has left."""
        for rule, _ in rules.budgets(plan, node):
            self._of(plan.namespace, rule).begun += 1

    def spent(
        self, rules: Rules, plan: Plan, node: NodeState, failure: failure_pb2.Failure
    ) -> bool:
        """Whether a retry that would follow may not; where one may, all that limit it count it.

        What undoes is always tried again: it would wait for somebody, who could do no more.
        """
        retry = node.planned.retry
        if tries(node) >= retry.max_attempts or not retry.allows(getattr(failure, "class")):
            return False
        budgets = rules.budgets(plan, node.planned)
        known = [(self._of(plan.namespace, rule), share) for rule, share in budgets]
        undoes = node.planned.undoes is not None
        if not undoes and any(counts.spent(share) for counts, share in known):
            return True
        for counts, _ in known:
            counts.retried += 1
        return False

    def _of(self, namespace: str, rule: str) -> _Counts:
        key = (namespace, rule)
        counts = self._counts.get(key)
        now_ms = self._clock.monotonic_ms()
        if counts is None:
            counts = self._counts[key] = _Counts(now_ms)
            if len(self._counts) > RULES_MAX:
                self._counts.popitem(last=False)
        counts.turn(now_ms)
        return counts
