"""Golden histories as the tests read them."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.plan import Plan, compile_plan

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Golden:
    """One execution. `row` has the columns of its row, bytes in base64; `tables` rows of others."""

    name: str
    row: dict[str, Any]
    plan_body: bytes
    rows: tuple[tuple[int, bytes], ...]
    snapshots: tuple[dict[str, Any], ...]
    tables: dict[str, list[dict[str, Any]]]

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def plan(self) -> Plan:
        return compile_plan(plan_pb2.Plan.FromString(self.plan_body))

    @property
    def events(self) -> list[history_event_pb2.HistoryEvent]:
        found: list[history_event_pb2.HistoryEvent] = []
        for _, body in self.rows:
            found += history_event_pb2.HistoryEvents.FromString(body).events
        return found


def read(path: Path) -> Golden:
    content = json.loads(path.read_text())
    return Golden(
        name=f"{path.parent.name}-{path.stem}",
        row=content["row"],
        plan_body=base64.b64decode(content["plan"]),
        rows=tuple((seq, base64.b64decode(body)) for seq, body in content["history"]),
        snapshots=tuple(content["snapshots"]),
        tables=content.get("tables", {}),
    )


GOLDEN = [read(path) for path in sorted(FOLDER.glob("*/*.json"))]
