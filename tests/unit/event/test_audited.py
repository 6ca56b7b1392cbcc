"""Entries of the audit log that follow from events of executions."""

from collections.abc import Iterable

import pytest

from flowmesh.api.history.v1.history_event_pb2 import HistoryEvent, HistoryEvents
from flowmesh.api.history.v1.history_service_pb2 import EventRow
from flowmesh.event.intake.audited import STARTS_MAX, audit_entries_of, audited_changes_of

KINDS = (
    "workflow_started",
    "start_debounced",
    "workflow_canceled",
    "compensation_started",
    "workflow_terminated",
    "workflow_paused",
    "workflow_resumed",
    "signal_received",
    "node_steered",
    "breakpoints_set",
    "variable_set",
    "approval_decided",
    "search_attributes_set",
    "payloads_erased",
)


def row(name: str, *events: HistoryEvent) -> EventRow:
    serialized = HistoryEvents(events=events).SerializeToString()
    return EventRow(namespace="default", execution_id=name, workflow_id="w", events=serialized)


def event(kind: str, *, sequence: int = 1, at_us: int = 1_790_000_000_000_000) -> HistoryEvent:
    made = HistoryEvent(sequence=sequence, at_us=at_us)
    changed = getattr(made, kind)
    names = changed.DESCRIPTOR.fields_by_name
    setattr(changed, "actor" if "actor" in names else "by", "ada")
    return made


def start(name: str, *, workflow: str = "w", version: int = 1) -> EventRow:
    made = event("workflow_started")
    made.workflow_started.workflow_id = workflow
    made.workflow_started.version = version
    return row(name, made)


def targets(rows: Iterable[EventRow]) -> list[str]:
    changes = [change for each in rows for change in audited_changes_of(each)]
    return [entry["target"] for entry in audit_entries_of(changes)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sequence", [1, 127, 128, 2**31, 2**62])
@pytest.mark.parametrize("at_us", [0, 1, 1_790_000_000_000_000, 2**62])
def test_an_event_with_a_caller_is_found(kind: str, sequence: int, at_us: int) -> None:
    """For every kind, number and time."""
    before = HistoryEvent(sequence=max(1, sequence - 1), at_us=at_us)
    before.task_completed.SetInParent()
    found = row("e", before, event(kind, sequence=sequence, at_us=at_us))
    assert [each.kind for each in audited_changes_of(found)] == [kind]


def test_an_event_without_a_caller_has_no_entry() -> None:
    """Such as a start in an open installation."""
    silent = HistoryEvent(sequence=1, at_us=1)
    silent.workflow_started.workflow_id = "w"
    assert targets([row("e", silent)]) == []


def test_a_single_start_has_an_entry_of_its_own() -> None:
    """With the digest of its event."""
    [change] = audited_changes_of(start("e1"))
    [entry] = audit_entries_of([change])
    assert entry["target"] == "e1"
    assert entry["after"]["digest"] == change.digest


def test_starts_of_one_version_share_entries() -> None:
    """Up to a number of starts."""
    rows = [start(f"e{number}") for number in range(STARTS_MAX + 2)]
    first, second = targets(rows)
    assert first.split(" ") == [f"e{number}" for number in range(STARTS_MAX)]
    assert second.split(" ") == [f"e{STARTS_MAX}", f"e{STARTS_MAX + 1}"]


def test_starts_of_other_versions_and_workflows_do_not_share_entries() -> None:
    """An entry is about one version."""
    rows = [start("e1"), start("e2", version=2), start("e3", workflow="v")]
    assert targets(rows) == ["e1", "e2", "e3"]


def test_ids_that_share_an_entry_fit_into_its_target() -> None:
    """Long ids share with fewer others."""
    rows = [start("e" * 255), start("f" * 255), start("g" * 255)]
    assert targets(rows) == [f"{'e' * 255} {'f' * 255}", "g" * 255]
