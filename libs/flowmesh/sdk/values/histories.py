"""A recorded history, stored as JSON for replay tests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import orjson
from google.protobuf import json_format

from flowmesh.api.history.v1.history_event_pb2 import HistoryEvent


@dataclass(frozen=True, slots=True)
class History:
    """All events of one execution, in order."""

    execution_id: str
    workflow_id: str
    events: tuple[HistoryEvent, ...]

    def to_json(self) -> bytes:
        """Encode the history as JSON."""
        document = {
            "executionId": self.execution_id,
            "workflowId": self.workflow_id,
            "events": [json_format.MessageToDict(event) for event in self.events],
        }
        return orjson.dumps(document, option=orjson.OPT_INDENT_2)

    @classmethod
    def from_json(cls, data: bytes | str) -> Self:
        """Decode a history from JSON."""
        document = orjson.loads(data)
        events = (json_format.ParseDict(event, HistoryEvent()) for event in document["events"])
        return cls(document["executionId"], document["workflowId"], tuple(events))

    def save(self, path: str | Path) -> None:
        """Write the history to a JSON file."""
        Path(path).write_bytes(self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a history from a JSON file."""
        return cls.from_json(Path(path).read_bytes())
