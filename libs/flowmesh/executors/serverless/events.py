"""The events that tasks of Serverless Workflow emit."""

from collections.abc import Callable
from datetime import UTC, datetime

from flowmesh.executors.base import Attempt, Json
from flowmesh.executors.failures import invalid
from flowmesh.executors.publish import Publisher, send_event
from flowmesh.standards.events import violated_requirement, violated_type_requirement


class Emitter:
    """Sends events to the subjects that their types name."""

    def __init__(self, publisher: Publisher, now_us: Callable[[], int]) -> None:
        self._publisher = publisher
        self._now_us = now_us

    async def emit(self, given: dict[str, Json], attempt: Attempt) -> dict[str, Json]:
        """The event as it was sent; attributes that are null are as if they were not there."""
        now = datetime.fromtimestamp(self._now_us() / 1_000_000, UTC)
        event = {
            "specversion": "1.0",
            "id": attempt.task.idempotency_key,
            "time": now.isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            **{key: v for key, v in given.items() if v is not None or key == "data"},
        }
        for key in ("source", "type"):
            if key not in event:
                raise invalid(f"the {key} of the event is null")
        for key, value in event.items():
            if wanted := violated_requirement(key, value):
                raise invalid(f"the {key} of the event must be {wanted}")
        if wanted := violated_type_requirement(event["type"]):
            raise invalid(f"the type of the event must be {wanted}")
        await send_event(self._publisher, attempt, event["type"], event)
        return event
