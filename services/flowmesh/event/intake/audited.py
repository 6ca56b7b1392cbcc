"""Entries of the audit log that follow from the events of an execution. Pure."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from flowmesh.api.history.v1.history_event_pb2 import HistoryEvent, HistoryEvents
from flowmesh.api.history.v1.history_service_pb2 import EventRow
from flowmesh.audit.records import TEXT_CHARACTERS_MAX
from flowmesh.contract.json_value import Json

# Starts in an entry.
STARTS_MAX: Final = 16

_START: Final = "ExecutionService.StartExecution"
_RERUN: Final = "ControlService.RerunExecution"
# The method whose call an event records, if the event names its caller.
_METHODS: Final = {
    "workflow_started": _START,
    "start_debounced": _START,
    "workflow_canceled": "ExecutionService.CancelExecution",
    "compensation_started": "ExecutionService.CancelExecution",
    "workflow_terminated": "ExecutionService.TerminateExecution",
    "workflow_paused": "ExecutionService.PauseExecution",
    "workflow_resumed": "ExecutionService.ResumeExecution",
    "signal_received": "ExecutionService.SignalExecution",
    "node_steered": "ControlService.SteerNode",
    "breakpoints_set": "ControlService.SetBreakpoints",
    "variable_set": "ControlService.SetVariable",
    "approval_decided": "ControlService.DecideApproval",
    "search_attributes_set": "SearchService.SetSearchAttributes",
    "payloads_erased": "RetentionService.EraseExecution",
}
# Members that describe the change; values are represented by the digest of the event.
_SHOWN: Final = (
    "workflow_id", "version", "request_id", "node", "name", "action", "reason", "approved",
)  # fmt: skip


class AuditedChange(NamedTuple):
    """An event of an execution that names its caller."""

    row: EventRow
    event: HistoryEvent
    kind: str
    method: str
    actor: str

    @property
    def source(self) -> str:
        return f"{self.row.execution_id}/{self.event.sequence}"

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.event.SerializeToString(deterministic=True)).hexdigest()


def _marks() -> re.Pattern[bytes]:
    """Return the serialized beginning of an event of such a kind: its number, time and tag."""
    fields = HistoryEvent.DESCRIPTOR.fields_by_name
    tags = b"|".join(re.escape(_tag(fields[kind].number)) for kind in _METHODS)
    varint = rb"[\x80-\xff]*[\x00-\x7f]"
    return re.compile(
        rb"\x08" + varint + rb"(?:\x10" + varint + rb")?(?:" + tags + rb")", re.DOTALL
    )


def _tag(number: int) -> bytes:
    """Return the tag of a message field below 2,048 as protobuf writes it."""
    tag = number << 3 | 2
    return bytes((tag,)) if tag < 0x80 else bytes((tag & 0x7F | 0x80, tag >> 7))


# Most rows have no such event, and searching is a tenth of the cost of parsing.
_MARKS: Final = _marks()


def audited_changes_of(row: EventRow) -> Iterator[AuditedChange]:
    """Return the events in a commit to an execution that name a caller.

    Raises:
        DecodeError: The row is malformed.
    """
    if not _MARKS.search(row.events):
        return
    for event in HistoryEvents.FromString(row.events).events:
        kind = event.WhichOneof("event") or ""
        method = _METHODS.get(kind)
        if method is not None and (actor := _actor(getattr(event, kind))):
            if kind == "workflow_started" and event.workflow_started.origin.execution_id:
                method = _RERUN
            yield AuditedChange(row, event, kind, method, actor)


def audit_entries_of(changes: Iterable[AuditedChange]) -> Iterator[dict[str, Json]]:
    """Return the entries of the changes in a commit.

    Starts of a version by one caller share entries, whose target is the ids of the executions,
    separated by spaces.
    """
    starts: dict[tuple[str, str, str, int], list[AuditedChange]] = {}
    for change in changes:
        if change.kind == "workflow_started" and change.method == _START:
            started = change.event.workflow_started
            group = (change.row.namespace, change.actor, started.workflow_id, started.version)
            starts.setdefault(group, []).append(change)
        else:
            yield _entry(change)
    for group_changes in starts.values():
        for batch in _batches(group_changes):
            yield _entry(batch[0]) if len(batch) == 1 else _entry_of_starts(batch)


def _batches(changes: list[AuditedChange]) -> Iterator[list[AuditedChange]]:
    """Split starts so that the ids of a batch fit into the target of an entry."""
    batch: list[AuditedChange] = []
    size = 0
    for change in changes:
        size += len(change.row.execution_id) + 1
        if batch and (size > TEXT_CHARACTERS_MAX or len(batch) == STARTS_MAX):
            yield batch
            batch, size = [], len(change.row.execution_id) + 1
        batch.append(change)
    yield batch


def _entry_of_starts(changes: list[AuditedChange]) -> dict[str, Json]:
    first = changes[0]
    started = first.event.workflow_started
    return {
        "source": f"{first.source}+{len(changes) - 1}",
        "at_us": first.event.at_us,
        "actor": first.actor,
        "method": first.method,
        "namespace": first.row.namespace,
        "target": " ".join(each.row.execution_id for each in changes),
        "after": {
            "event": first.kind,
            "workflow_id": started.workflow_id,
            "version": started.version,
            # In the order of the target.
            "starts": [[each.event.at_us, each.digest] for each in changes],
        },
    }


def _actor(change: Any) -> str:
    return str(getattr(change, "actor", "") or getattr(change, "by", ""))


def _entry(change: AuditedChange) -> dict[str, Json]:
    changed = getattr(change.event, change.kind)
    names = changed.DESCRIPTOR.fields_by_name
    return {
        "source": change.source,
        "at_us": change.event.at_us,
        "actor": change.actor,
        "method": change.method,
        "namespace": change.row.namespace,
        "target": change.row.execution_id,
        "after": {
            "event": change.kind,
            "digest": change.digest,
            **{
                name: value for name in _SHOWN if name in names and (value := _shown(changed, name))
            },
        },
    }


def _shown(change: Any, name: str) -> Json:
    value = getattr(change, name)
    return value if isinstance(value, (str, int, bool)) else ""
