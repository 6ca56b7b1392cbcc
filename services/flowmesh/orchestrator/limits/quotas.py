"""Quotas of namespaces at the admission of starts.

Each orchestrator counts its own starts and ends. Once a second it reads the counts of all
orchestrators from the rows, and takes a part of the rest of each quota that is as large as its
part of the latest starts. An orchestrator that owns all partitions has the whole rest.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import ceil, inf

from flowmesh.api.identity.v1 import quota_service_pb2 as pb
from flowmesh.orchestrator.model.commands import Answer, Started
from flowmesh.orchestrator.model.ids import PARTITION_COUNT
from flowmesh.runtime.namespace_quotas import plan_limit_reached, quota_exceeded

SECOND_US = 1_000_000
# Counts of rows that are passed over while starts and ends were committed during the reading.
PASSED_OVER_MAX = 10
NO_LIMITS: Mapping[str, pb.PlanLimit] = {}


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Executions of a namespace in the rows: running ones, those of the day and the latest."""

    running: int
    day: int
    latest: int


class NamespaceUse:
    """The use of a namespace's quota, and the part that this process may still use."""

    def __init__(self, quota: pb.Quota) -> None:
        self.quota = quota
        self.running = self.day = 0
        self._running_max = self._day_max = inf
        self._rate = self._tokens = 0.0
        self._refilled_us = 0
        self._in_flight = self._started = self._changes = self._passed_over = 0
        self._counted = False

    @property
    def changes(self) -> int:
        """The number of committed starts and ends so far."""
        return self._changes

    def check(self, now_us: int) -> None:
        """Raise QUOTA_EXCEEDED if no execution may start now."""
        quota = self.quota
        if quota.running_executions and self.running >= self._running_max:
            raise quota_exceeded("running_executions", quota.running_executions, self.running)
        if quota.executions_per_day and self.day >= self._day_max:
            raise quota_exceeded("executions_per_day", quota.executions_per_day, self.day)
        if quota.starts_per_second and self._counted:
            capacity = max(self._rate, 1.0)
            added = (now_us - self._refilled_us) * self._rate / SECOND_US
            self._tokens, self._refilled_us = min(capacity, self._tokens + added), now_us
            if self._tokens < 1:
                wait_ms = ceil((1 - self._tokens) * 1_000 / self._rate)
                limit = quota.starts_per_second
                raise quota_exceeded("starts_per_second", limit, limit, retry_after_ms=wait_ms)

    def begin(self) -> None:
        """Count a start that is not committed yet."""
        self.running += 1
        self.day += 1
        self._tokens -= 1
        self._in_flight += 1

    def begun(self, answer: Answer | Exception) -> None:
        """Count the answer of a start; one that created nothing gives its place back."""
        self._in_flight -= 1
        if isinstance(answer, Started) and answer.created:
            self._changes += 1
            self._started += 1
        else:
            self.running -= 1
            self.day -= 1

    def ended(self) -> None:
        self._changes += 1
        self.running -= 1

    def counted(self, rows: RowCounts, changes: int, share: float, now_us: int) -> None:
        """Take the counts of the rows, read since `changes`, and the part of this process.

        `share` is the part of the partitions. An owner of all knows more than the rows tell while
        it commits.
        """
        sole = share >= 1
        unsure = changes != self._changes and self._counted
        if sole and unsure and self._passed_over < PASSED_OVER_MAX:
            self._passed_over += 1
            return
        self._passed_over = 0
        self.running, self.day = rows.running + self._in_flight, rows.day + self._in_flight
        part = 1.0 if sole else min(1.0, (self._started + share) / (rows.latest + 1))
        self._started = 0
        quota = self.quota
        self._running_max = _bound(quota.running_executions, self.running, part)
        self._day_max = _bound(quota.executions_per_day, self.day, part)
        self._rate = quota.starts_per_second * part
        if not self._counted:
            self._tokens, self._refilled_us, self._counted = max(self._rate, 1.0), now_us, True


def _bound(limit: int, used: int, part: float) -> float:
    """Return the use up to which this process starts executions."""
    return used + ceil(max(0, limit - used) * part) if limit else inf


class QuotaCounters:
    """The use of all namespaces with a quota of executions; no others cost anything."""

    def __init__(self, *, owned: Collection[int], now_us: Callable[[], int]) -> None:
        self._owned = owned
        self._now_us = now_us
        self._uses: dict[str, NamespaceUse] = {}
        self._used_up: Mapping[str, pb.PlanLimit] = NO_LIMITS

    @property
    def share(self) -> float:
        """The part of the partitions that this process owns."""
        return len(self._owned) / PARTITION_COUNT

    def limit(
        self, quotas: Mapping[str, pb.Quota], used_up: Mapping[str, pb.PlanLimit] = NO_LIMITS
    ) -> dict[str, NamespaceUse]:
        """Enforce these quotas and used plans from now on; return the uses by namespace."""
        self._used_up = used_up
        uses: dict[str, NamespaceUse] = {}
        for namespace, quota in quotas.items():
            if quota.starts_per_second or quota.running_executions or quota.executions_per_day:
                use = uses[namespace] = self._uses.get(namespace) or NamespaceUse(quota)
                use.quota = quota
        self._uses = uses
        return dict(uses)

    def check(self, namespace: str) -> None:
        """Raise QUOTA_EXCEEDED or PLAN_LIMIT_REACHED if no execution may start now."""
        if self._used_up:
            limit = self._used_up.get(namespace)
            if limit is not None and self._now_us() < limit.resets_at_us:
                raise plan_limit_reached(limit)
        use = self._uses.get(namespace)
        if use is not None:
            use.check(self._now_us())

    def begin(self, namespace: str) -> NamespaceUse | None:
        """Count an accepted start; return the use that must count its answer."""
        use = self._uses.get(namespace)
        if use is not None:
            use.begin()
        return use

    def ended(self, namespace: str) -> None:
        """Count the end of an execution."""
        use = self._uses.get(namespace)
        if use is not None:
            use.ended()
