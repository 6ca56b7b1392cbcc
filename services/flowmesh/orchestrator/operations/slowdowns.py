"""Detects tasks that take several times their usual duration.

The median of the latest durations of a task is compared with the median of those before. Slow
durations do not count as usual ones until they last long enough to be the new normal.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from flowmesh.api.event.v1 import alert_service_pb2 as pb
from flowmesh.errors import FlowmeshError, Overloaded, Timeout, Unavailable
from flowmesh.orchestrator.dispatch.statistics.workflow_stats import Latency, Stats
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.runtime import Loop

if TYPE_CHECKING:
    from flowmesh.api.event.v1.alert_service_pb2_grpc import AlertServiceAsyncStub

RECENT_MIN: Final = 10
"""Least number of durations that are judged together; at most `USUAL_MAX` of the latest."""

USUAL_MIN: Final = 20
USUAL_MAX: Final = 100
SLOWER_MS_MIN: Final = 50
"""A smaller slowdown in milliseconds raises no alert, at any factor."""

SLOW_ROUNDS_MAX: Final = 30
"""Number of consecutive slow judgements after which slow durations are the usual ones."""

SERIES_MAX: Final = 10_000
WAITING_MAX: Final = 100
Name = tuple[str, str, str]
"""Namespace, workflow and task."""


class Series:
    """The durations of one task, and whether it is slow."""

    __slots__ = ("fresh", "seen", "slow_rounds", "usual")

    def __init__(self) -> None:
        self.seen = 0
        self.fresh: deque[float] = deque(maxlen=USUAL_MAX)
        self.usual: deque[float] = deque(maxlen=USUAL_MAX)
        self.slow_rounds = 0

    def read(self, latency: Latency) -> None:
        """Take the durations that were added since the last call."""
        new = latency.count - self.seen
        if new < 0:
            # The statistics dropped the task to make room, and have started it again.
            new = latency.count
        self.seen = latency.count
        self.fresh.extend(reversed(list(islice(reversed(latency.samples), new))))

    def judge(self, factor: float) -> pb.RaiseAlertRequest | None:
        """Return the alert that enough new durations cause, None if they cause none."""
        if len(self.fresh) < RECENT_MIN:
            return None
        recent = list(self.fresh)
        self.fresh.clear()
        if len(self.usual) < USUAL_MIN:
            self.usual.extend(recent)
            return None
        usual_ms, recent_ms = median(self.usual), median(recent)
        slow = recent_ms > max(usual_ms * factor, usual_ms + SLOWER_MS_MIN)
        was_slow = self.slow_rounds > 0
        if slow and self.slow_rounds < SLOW_ROUNDS_MAX:
            self.slow_rounds += 1
        else:
            self.slow_rounds = 0
            if slow:
                self.usual.clear()
            self.usual.extend(recent)
        if slow == was_slow:
            return None
        kind = pb.ALERT_KIND_SLOWDOWN if slow else pb.ALERT_KIND_RECOVERED
        return pb.RaiseAlertRequest(
            kind=kind, usual_ms=usual_ms, recent_ms=recent_ms, samples=len(recent)
        )


class Slowdowns:
    """The tasks of all workflows of this process; at the limit, further ones are not watched."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._series: dict[Name, Series] = {}

    def alert(self, name: Name, latency: Latency) -> pb.RaiseAlertRequest | None:
        """Return the alert that the new durations of a task cause."""
        series = self._series.get(name)
        if series is None:
            if len(self._series) >= SERIES_MAX:
                return None
            series = self._series[name] = Series()
        if latency.count == series.seen:
            return None
        series.read(latency)
        alert = series.judge(self._factor)
        if alert is not None:
            alert.namespace, alert.workflow_id, alert.node = name
        return alert


class SlowdownLoop(Loop):
    """Checks durations every five seconds, and raises alerts at the event service."""

    interval_ms = 5_000

    def __init__(
        self,
        *,
        stats: Stats,
        factor: float,
        alerts: "AlertServiceAsyncStub",
        now_us: Callable[[], int],
        metrics: OrchestratorMetrics,
        log: Any,
    ) -> None:
        self._stats = stats
        self._slowdowns = Slowdowns(factor)
        self._alerts = alerts
        self._now_us = now_us
        self._metrics = metrics
        self._log = log
        # Alerts not raised yet; the oldest are dropped while the event service is away.
        self._waiting: deque[pb.RaiseAlertRequest] = deque(maxlen=WAITING_MAX)

    async def run_once(self) -> None:
        for workflow in self._stats.workflows():
            for node, latency in self._stats.durations(workflow):
                alert = self._slowdowns.alert((*workflow, node), latency)
                if alert is not None:
                    self._found(alert)
            await asyncio.sleep(0)  # between workflows others have their turn
        while self._waiting:
            try:
                await self._alerts.RaiseAlert(self._waiting[0])
            except (Unavailable, Overloaded, Timeout):
                return
            except FlowmeshError as error:
                self._log.error("alert_refused", problem=str(error))
            self._waiting.popleft()

    def _found(self, alert: pb.RaiseAlertRequest) -> None:
        alert.at_us = self._now_us()
        slow = alert.kind == pb.ALERT_KIND_SLOWDOWN
        if slow:
            self._metrics.slowdowns.inc()
        self._log.warning(
            "slowdown" if slow else "slowdown_over",
            namespace=alert.namespace,
            workflow_id=alert.workflow_id,
            node=alert.node,
            usual_ms=round(alert.usual_ms, 1),
            recent_ms=round(alert.recent_ms, 1),
        )
        self._waiting.append(alert)
