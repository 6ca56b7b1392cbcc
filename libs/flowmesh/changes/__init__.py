"""Change capture: committed changes of tables of users, by PostgreSQL's logical replication."""

from flowmesh.changes.events import change_event
from flowmesh.changes.slots import (
    ROW_BYTES_MAX,
    Change,
    Position,
    Reading,
    SlotReader,
    SlotState,
    Source,
    connect,
    lsn_number,
    lsn_text,
)

__all__ = [
    "ROW_BYTES_MAX",
    "Change",
    "Position",
    "Reading",
    "SlotReader",
    "SlotState",
    "Source",
    "change_event",
    "connect",
    "lsn_number",
    "lsn_text",
]
