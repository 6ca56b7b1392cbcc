"""Alerts of the suite: each becomes an event, and a notification if an address is configured."""

import hashlib
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from flowmesh.api.event.v1 import alert_service_pb2 as pb
from flowmesh.api.event.v1 import alert_service_pb2_grpc, trigger_service_pb2
from flowmesh.errors import Invalid
from flowmesh.event.callbacks import ALERT, Callback
from flowmesh.event.delivery.deliveries import DeliveryLoop
from flowmesh.event.publishing import Publisher, check_time
from flowmesh.event.store import DeliveryStore
from flowmesh.event.triggers.published import LIFECYCLE
from flowmesh.jsontext import dump_json
from flowmesh.rpc import check_enum_values
from flowmesh.views import instant

ONCE_WITHIN_US: Final = 600_000_000
"""Alerts about the same node in the same interval, from any orchestrator, are one alert."""

TYPES: Final = {
    pb.ALERT_KIND_SLOWDOWN: f"{LIFECYCLE}alert.slowdown",
    pb.ALERT_KIND_RECOVERED: f"{LIFECYCLE}alert.recovered",
    pb.ALERT_KIND_BUDGET: f"{LIFECYCLE}alert.budget",
    pb.ALERT_KIND_BUDGET_RECOVERED: f"{LIFECYCLE}alert.budget_recovered",
}
_BUDGETS: Final = (pb.ALERT_KIND_BUDGET, pb.ALERT_KIND_BUDGET_RECOVERED)
_TEXTS: Final = {
    pb.ALERT_KIND_SLOWDOWN: "Task {0.node} of workflow {0.workflow_id} takes {0.recent_ms:,.0f} ms"
    " instead of {0.usual_ms:,.0f} ms.",
    pb.ALERT_KIND_RECOVERED: "Task {0.node} of workflow {0.workflow_id} is as fast as before again:"
    " {0.recent_ms:,.0f} ms.",
    pb.ALERT_KIND_BUDGET: "The error budget of workflow {0.workflow_id} burns at"
    " {0.burn_rate:,.1f}, the alert is at {0.alert_burn_rate:,.1f}.",
    pb.ALERT_KIND_BUDGET_RECOVERED: "The error budget of workflow {0.workflow_id} no longer burns"
    " too fast: {0.burn_rate:,.1f}.",
}


class AlertServer(alert_service_pb2_grpc.AlertServiceServicer):
    """Publishes an alert, then notifies; both are idempotent."""

    def __init__(
        self,
        *,
        publisher: Publisher,
        store: DeliveryStore,
        deliveries: DeliveryLoop,
        url: str,
        secret: str,
        log: FilteringBoundLogger,
    ) -> None:
        self._publisher = publisher
        self._store = store
        self._deliveries = deliveries
        self._url = url
        self._secret = secret
        self._log = log

    async def RaiseAlert(
        self, request: pb.RaiseAlertRequest, context: Any
    ) -> pb.RaiseAlertResponse:
        check_enum_values([request.kind], pb.AlertKind, "kind")
        if request.kind not in TYPES:
            kinds = " or ".join(pb.AlertKind.Name(each) for each in TYPES)
            raise Invalid("REQUEST_INVALID", f"kind: {kinds}")
        event = event_of(request)
        check_time(event)
        created = False
        try:
            created = (await self._publisher.commit(request.namespace, event)).created
        except Invalid as error:
            # A trigger without valid input must not prevent the notification.
            self._log.error("alert_not_published", event_id=event.id, problem=str(error))
        if self._url:
            await self._store.add_delivery(self._notification(request, event))
            self._deliveries.notify()
        return pb.RaiseAlertResponse(event_id=event.id, created=created)

    def _notification(
        self, request: pb.RaiseAlertRequest, event: trigger_service_pb2.Event
    ) -> Callback:
        name = f"{request.namespace}\n{event.source}\n{event.id}"
        return Callback(
            namespace=request.namespace,
            execution_id="alert_" + hashlib.sha256(name.encode()).hexdigest()[:32],
            workflow_id=request.workflow_id,
            kind=ALERT,
            sequence=1,
            url=self._url,
            secret=self._secret,
            event=dump_json(
                {
                    "event": event.type,
                    "id": event.id,
                    "namespace": request.namespace,
                    "timestamp": instant(request.at_us),
                    **data_of(request),
                }
            ),
            happened_us=request.at_us,
        )


def event_of(request: pb.RaiseAlertRequest) -> trigger_service_pb2.Event:
    """Make the event of an alert; equal alerts make equal events."""
    event = trigger_service_pb2.Event(
        id=f"{request.kind}/{request.at_us // ONCE_WITHIN_US}/{request.node}",
        source=f"/flowmesh/{request.namespace}/workflows/{request.workflow_id}",
        type=TYPES[request.kind],
        subject=request.node,
        time_us=request.at_us,
    )
    event.data.data = dump_json(data_of(request))
    return event


def data_of(request: pb.RaiseAlertRequest) -> dict[str, Any]:
    """Return the data of the event and the notification; chat programs display `text`."""
    about: dict[str, Any] = {
        "text": _TEXTS[request.kind].format(request),
        "workflowId": request.workflow_id,
    }
    if request.kind in _BUDGETS:
        return about | {
            "burnRate": request.burn_rate,
            "alertBurnRate": request.alert_burn_rate,
        }
    return about | {
        "taskId": request.node,
        "usualMs": request.usual_ms,
        "recentMs": request.recent_ms,
        "samples": request.samples,
    }
