"""Retry budgets of workflows and called hosts: a share of the tasks that began in the last minute.

Each orchestrator counts for the executions that it owns, in memory only.
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
"""Retries per window that are always allowed: a share of few tasks is not meaningful."""

RULES_MAX = 1_000


@dataclass(slots=True)
class _Counts:
    """Counts of this half of the window and of the one before."""

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
    """Counts of tasks and retries, by namespace and rule."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: OrderedDict[tuple[str, str], _Counts] = OrderedDict()

    def begun(self, rules: Rules, plan: Plan, node: PlanNode) -> None:
        """Count a sent task of the node."""
        for rule, _ in rules.budgets(plan, node):
            self._of(plan.namespace, rule).begun += 1

    def spent(
        self, rules: Rules, plan: Plan, node: NodeState, failure: failure_pb2.Failure
    ) -> bool:
        """Return whether the next retry exceeds a budget; otherwise count it in all budgets.

        Compensations are always retried: a person could do no more for a failed one.
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
