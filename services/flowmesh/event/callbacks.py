"""Callbacks that follow from the events of an execution. Pure."""

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
# The notification of an alert: the event is the body, and there is no execution.
ALERT: Final = "alert"

# A step is finished when it has completed or failed for good; a skipped step never started.
_KINDS: Final = {
    "workflow_completed": ON_COMPLETE,
    "workflow_failed": ON_FAILURE,
    "task_completed": ON_STEP,
    "task_failed": ON_STEP,
}


@dataclass(frozen=True, slots=True)
class Callback:
    """A delivery to be made: the event, and the address of its receiver."""

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
        """A stable id of the event; receivers use it to deduplicate."""
        parts = (self.namespace, self.execution_id, self.kind, str(self.sequence))
        return "dlv_" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    @property
    def host(self) -> str:
        """The host of the URL, which limits apply to; empty for a malformed URL."""
        try:
            return urlsplit(self.url).netloc.rpartition("@")[2].lower()
        except ValueError:
            return ""


def callbacks_of(row: history_service_pb2.EventRow) -> Iterator[Callback]:
    """Return the callbacks that the plan requests for the events of a commit to an execution."""
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
    # The database cannot store NUL. URLs and secrets must not hold it, so the delivery fails.
    return text.replace("\0", "\ufffd")
