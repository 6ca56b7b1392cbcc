"""Every member of the model is written in the Amazon States Language, or refused by its name."""

from dataclasses import fields, replace
from typing import Any

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.definitions.exports.states.document import states_documents
from flowmesh.definitions.exports.states.refused import REFUSED, WRITTEN
from flowmesh.definitions.exports.unsupported import UnsupportedFeatures
from flowmesh.definitions.model import (
    Cache,
    Callbacks,
    Compensation,
    Dialect,
    FailurePolicy,
    Follow,
    GroupBody,
    Limits,
    MapBody,
    Node,
    OnFailure,
    Outcome,
    Priority,
    Retry,
    SearchField,
    SearchKind,
    StartPolicy,
    Task,
    Variable,
    Visibility,
    Workflow,
)
from flowmesh.definitions.triggers import Events, Trigger
from flowmesh.errors import Invalid

CALL = Node("a", ("a",), name="a", task_ref="t", retry=Retry(1, 0, 1, 0))
MINE = Task("mine", "mine", {}, Dialect.STEPS)
INNER = replace(CALL, id="x", name="x", path=("a", "x"))
MAP = MapBody((INNER,), 2, ("a", "map"))
GROUP = GroupBody((INNER,), ("a", "group"))
LIMITS = Limits(concurrency=1)
TRIGGER = Trigger("x", Events("t", "s", ""), path=())
# Values other than the default, by member of the model; None for written members of another test.
CHANGED: dict[type[Any], dict[str, Json]] = {
    Workflow: {
        "input_schema": {}, "output_schema": {}, "parallelism": 1, "callbacks": Callbacks("http"),
        "labels": {"a": "b"}, "compensation": Compensation(parallel=True), "triggers": (TRIGGER,),
        "search": (SearchField("input.a", SearchKind.ANY, None, ()),), "retention_ms": 5,
        "limits": LIMITS, "variables": (Variable("v", None, 1, ()),), "start": StartPolicy("k"),
    },
    Node: {
        "heartbeat_ms": 1, "critical": False, "priority": Priority.LOW, "queue": "q",
        "join_count": 2, "join_required": ("b",), "hidden": True, "follow": Follow(),
        "cache": Cache(1, False, None, ()), "limits": LIMITS, "requires": {"gpu": "1"},
        "permissions": ("p",),
        "repeatable": True,
    },
    Task: {
        "input_schema": {}, "output_schema": {}, "retry": Retry(2, 0, 1, 0), "timeout_ms": 5,
        "queue": "q", "permissions": ("p",), "secrets": ("s",), "labels": {"a": "b"},
        "visibility": Visibility.PUBLIC,
    },
    Outcome: {"undo": CALL, "total_timeout_ms": 1, "start_timeout_ms": 1},
    MapBody: {
        "tolerated": 1, "tolerated_share": 0.5, "batch": 2, "pages_max": 1, "next_path": ("a",),
        "counted": True,
    },
    GroupBody: {"race": True, "single": True},
}  # fmt: skip


def workflow_with(kind: type[Any], name: str) -> Workflow:
    """Return a workflow with one member other than the default."""
    changes = {name: CHANGED[kind][name]}
    of = CALL
    if kind is Node:
        of = replace(CALL, **changes)
    elif kind is Task:
        of = replace(CALL, task_ref="", task=replace(MINE, **changes))
    elif kind is Outcome:
        of = replace(CALL, outcome=Outcome(**changes))
    elif kind in (MapBody, GroupBody):
        body = replace(MAP if kind is MapBody else GROUP, **changes)
        given_to: dict[str, Any] = {}
        if kind is MapBody:
            given_to = {"input": "{{input.xs}}", "has_input": True}
        of = replace(CALL, task_ref="", retry=None, body=body, **given_to)
    found = Workflow("w", "w", Dialect.NATIVE, (of,))
    return replace(found, **changes) if kind is Workflow else found


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_every_member_of_the_model_is_written_or_refused(kind: type[Any]) -> None:
    """A new member fails this test until it is written or refused."""
    names = {each.name for each in fields(kind)}
    assert names == {*WRITTEN[kind], *REFUSED[kind]}
    assert not set(WRITTEN[kind]) & set(REFUSED[kind])
    for name in REFUSED[kind]:
        unsupported = UnsupportedFeatures("x")
        states_documents(workflow_with(kind, name), {"spec": {}}, unsupported, lambda _name: None)
        with pytest.raises(Invalid) as caught:
            unsupported.raise_if_any()
        descriptions = [each.description for each in caught.value.violations]
        assert f"x has no place for {REFUSED[kind][name]}" in descriptions, name


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "Other"}, {"task_ref": "u"}, {"task_ref": "", "task": MINE},
        {"input": {"a": 1}, "has_input": True}, {"condition": "input.x"},
        {"retry": Retry(2, 1_000, 1, 0)}, {"timeout_ms": 1_000},
        {"task_ref": "", "retry": None, "body": GROUP},
        {"outcome": Outcome(OnFailure.CONTINUE)},
    ],
    ids=lambda changed: next(iter(changed)),
)  # fmt: skip
def test_each_written_member_of_a_node_changes_the_document(changed: Json) -> None:
    """Each member of a node that is not refused."""
    made_of = []
    for each in (CALL, replace(CALL, **changed)):
        unsupported = UnsupportedFeatures("x")
        flow = Workflow("w", "w", Dialect.NATIVE, (each,))
        made_of.append(states_documents(flow, {"spec": {}}, unsupported, lambda _name: None))
        unsupported.raise_if_any()
    assert made_of[0] != made_of[1]


def test_the_failure_policy_is_written() -> None:
    """A workflow that cancels is another document than one that finishes the others."""
    two = (CALL, replace(CALL, id="b", path=("b",)))
    made_of = [
        states_documents(Workflow("w", "w", Dialect.NATIVE, two, on_failure=policy), {"spec": {}},
                        UnsupportedFeatures("x"), lambda _name: None)
        for policy in (FailurePolicy.FINISH_OTHERS, FailurePolicy.CANCEL)
    ]  # fmt: skip
    assert made_of[0] != made_of[1]
