"""The task that computes the states of stored objectives, and raises alerts."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from structlog.typing import FilteringBoundLogger

from flowmesh.access import acting_as
from flowmesh.api.event.v1 import alert_service_pb2 as alert_pb
from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.errors import FlowmeshError
from flowmesh.observe.objective_store import STATE_US, ObjectiveStore
from flowmesh.observe.slos import Slos
from flowmesh.runtime import Loop
from flowmesh.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from flowmesh.api.event.v1.alert_service_pb2_grpc import AlertServiceAsyncStub

# Longer than a state is old: another process computes it now.
_FOREIGN_US: Final = 3 * STATE_US


class ObjectiveLoop(Loop):
    """Computes the states of objectives each minute; an alert begins and ends with `burning`."""

    interval_ms = 15_000

    def __init__(
        self,
        *,
        store: ObjectiveStore,
        slos: Slos,
        alerts: "AlertServiceAsyncStub",
        metrics: Metrics,
        now_us: Callable[[], int],
        log: FilteringBoundLogger,
    ) -> None:
        self._store, self._slos, self._alerts = store, slos, alerts
        self._now_us, self._log = now_us, log
        self._gauges = _Gauges(metrics)

    async def run_once(self) -> int:
        """Return the number of computed states."""
        now_us = self._now_us()
        claimed = await self._store.claim(now_us)
        for each in claimed:
            try:
                with acting_as(None):
                    slo = await self._slos.computed(each.namespace, pb.Slo.FromString(each.body))
                    slo.computed_at_us = now_us
                    if slo.burning != each.burning:
                        await self._alert(each.namespace, slo)
            except FlowmeshError as error:
                self._log.info("objective_unknown", workflow=each.workflow, reason=error.reason)
                continue
            await self._store.set_state(each, slo, now_us)
            self._gauges.set(each.namespace, slo)
        self._gauges.remove_before(now_us - _FOREIGN_US)
        return len(claimed)

    async def _alert(self, namespace: str, slo: pb.Slo) -> None:
        self._log.warning(
            "budget_burns" if slo.burning else "budget_recovered",
            namespace=namespace,
            workflow_id=slo.workflow_id,
            burn_rate=round(slo.burn_rate_hour, 2),
            budget_left=round(slo.budget_left, 4),
        )
        kind = alert_pb.ALERT_KIND_BUDGET if slo.burning else alert_pb.ALERT_KIND_BUDGET_RECOVERED
        await self._alerts.RaiseAlert(
            alert_pb.RaiseAlertRequest(
                namespace=namespace,
                workflow_id=slo.workflow_id,
                kind=kind,
                at_us=slo.computed_at_us,
                burn_rate=slo.burn_rate_hour,
                alert_burn_rate=slo.alert_burn_rate,
            )
        )


class _Gauges:
    """The metrics of the objectives that this process computes."""

    def __init__(self, metrics: Metrics) -> None:
        labels = ("namespace", "workflow")
        self._burn = metrics.gauge(
            "flowmesh_slo_burn", "Burn rate of an error budget.", (*labels, "window")
        )
        self._left = metrics.gauge(
            "flowmesh_slo_budget_left", "Share of an error budget that is left.", labels
        )
        self._set: dict[tuple[str, str], int] = {}

    def set(self, namespace: str, slo: pb.Slo) -> None:
        name = namespace, slo.workflow_id
        self._set[name] = slo.computed_at_us
        self._burn.labels(*name, "1h").set(slo.burn_rate_hour)
        self._burn.labels(*name, "5m").set(slo.burn_rate_now)
        self._left.labels(*name).set(slo.budget_left)

    def remove_before(self, at_us: int) -> None:
        """Remove those of deleted objectives, and of those that another process computes."""
        for name in [name for name, set_us in self._set.items() if set_us < at_us]:
            del self._set[name]
            self._left.remove(*name)
            for window in ("1h", "5m"):
                self._burn.remove(*name, window)
