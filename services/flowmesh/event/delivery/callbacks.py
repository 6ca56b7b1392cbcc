"""Which callbacks follow from an execution's events. Pure."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2, history_service_pb2

ON_COMPLETE: Final = "onComplete"
ON_FAILURE: Final = "onFailure"
ON_STEP: Final = "onStep"
# The notification of an alert: its event is the body, and it is of no execution.
ALERT: Final = "alert"

# A step is finished when it has completed or failed for good; a skipped one never began.
_KINDS: Final = {
    "workflow_completed": ON_COMPLETE,
    "workflow_failed": ON_FAILURE,
    "task_completed": ON_STEP,
    "task_failed": ON_STEP,
}


@dataclass(frozen=True, slots=True)
class Callback:
    """One delivery to be made: what happened, and who is to be told."""

    namespace: str
    execution_id: str
    workflow_id: str
    kind: str
    sequence: int
    url: str
    secret: str
    event: bytes
    happened_us: int

    @property
    def id(self) -> str:
        """The same for the same event however often it is derived; receivers deduplicate by it."""
        parts = (self.namespace, self.execution_id, self.kind, str(self.sequence))
        return "dlv_" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    @property
    def host(self) -> str:
        """What the receivers of one server have in common; urls that do not parse share none."""
        try:
            return urlsplit(self.url).netloc.rpartition("@")[2].lower()
        except ValueError:
            return ""


def callbacks_of(row: history_service_pb2.EventRow) -> Iterator[Callback]:
    """The callbacks that the plan asks for, for the events of one commit to one execution."""
    urls = _urls(row.callbacks)
    if not urls:
        return
    for event in history_event_pb2.HistoryEvents.FromString(row.events).events:
        kind = _KINDS.get(event.WhichOneof("event") or "")
        if kind in urls and event.sequence > 0:
            yield Callback(
                namespace=row.namespace,
                execution_id=row.execution_id,
                workflow_id=row.workflow_id,
                kind=kind,
                sequence=event.sequence,
                url=_storable(urls[kind]),
                secret=_storable(row.callbacks.secret),
                event=event.SerializeToString(),
                happened_us=event.at_us,
            )


def _urls(callbacks: plan_pb2.Callbacks) -> dict[str, str]:
    urls = {
        ON_COMPLETE: callbacks.on_complete_url,
        ON_FAILURE: callbacks.on_failure_url,
        ON_STEP: callbacks.on_step_url,
    }
    return {kind: url for kind, url in urls.items() if url}


def _storable(text: str) -> str:
    # The database cannot hold NUL; no url and no secret may, so the delivery fails and says so.
    return text.replace("\0", "\ufffd")
