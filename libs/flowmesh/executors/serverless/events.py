"""Events that Serverless Workflow tasks emit."""

from collections.abc import Callable
from datetime import UTC, datetime

from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Attempt
from flowmesh.executors.failures import invalid
from flowmesh.executors.publish import Publisher, send_event
from flowmesh.standards.events import violated_requirement, violated_type_requirement


class Emitter:
    """Publishes events to the subjects named by their types."""

    def __init__(self, publisher: Publisher, now_us: Callable[[], int]) -> None:
        self._publisher = publisher
        self._now_us = now_us

    async def emit(self, given: dict[str, Json], attempt: Attempt) -> dict[str, Json]:
        """Publish an event and return it as sent; null attributes are omitted."""
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
