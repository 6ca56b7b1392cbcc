"""Every member of the model is in its Serverless Workflow document, or refused."""

from dataclasses import Field, fields, replace
from typing import Any

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.definitions.exports.serverless.document import serverless_documents
from flowmesh.definitions.exports.unsupported import UnsupportedFeatures
from flowmesh.definitions.model import (
    NATIVE_RETRY,
    Cache,
    Callbacks,
    Compensation,
    Dialect,
    Edge,
    FailurePolicy,
    Follow,
    GroupBody,
    Join,
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
    StatesBody,
    Task,
    Variable,
    Visibility,
    Workflow,
)
from flowmesh.definitions.triggers import Cron, Trigger
from flowmesh.errors import Invalid

# Members of the model, each with a value other than the default.
NODE = Node("b", ("b",), name="b", task_ref="t", dependencies=("a",))
BASE = Workflow("w", "w", Dialect.NATIVE, (Node("a", ("a",), name="a", task_ref="t"), NODE))
STEP = Node("b", ("b",), name="b", task=Task("delay", "delay", {"duration": 1}, Dialect.STEPS))
OF_WORKFLOW: dict[str, Json] = {
    "id": "other", "name": "Other", "nodes": (NODE,), "input_schema": {"type": "object"},
    "output_schema": {"type": "object"}, "parallelism": 2, "timeout_ms": 5,
    "callbacks": Callbacks(on_step="http://x/"), "labels": {"a": "b"},
    "on_failure": FailurePolicy.STOP, "compensation": Compensation(parallel=True),
    "triggers": (Trigger("t", Cron("0 2 * * *"), ()),), "retention_ms": 5, "limits": Limits(1),
    "search": (SearchField("a", SearchKind.ANY, None, ()),), "start": StartPolicy("k"),
    "variables": (Variable("v", None, 1, ()),),
}  # fmt: skip
OF_NODE: dict[str, Json] = {
    "id": "c", "name": "Other", "task_ref": "u", "task": STEP.task, "condition": "input.n > 1",
    "dependencies": (), "retry": NATIVE_RETRY, "timeout_ms": 5, "heartbeat_ms": 5,
    "critical": False, "priority": Priority.HIGH, "queue": "q",
    "body": GroupBody((STEP,), ()), "edges": (Edge("a", (), "yes"),), "join": Join.ANY,
    "join_count": 2, "join_required": ("a",), "outcome": Outcome(OnFailure.HOLD), "hidden": True,
    "follow": Follow(), "cache": Cache(1, False, None, ()), "limits": Limits(1),
    "requires": {"gpu": "yes"}, "permissions": ("p",), "repeatable": True,
}  # fmt: skip
OF_OUTCOME: dict[str, Json] = {
    "on_failure": OnFailure.COMPENSATE, "fallback": 1, "undo": STEP, "total_timeout_ms": 5,
    "start_timeout_ms": 5,
}  # fmt: skip
OF_RETRY: dict[str, Json] = {
    "max_attempts": 7, "initial_delay_ms": 7, "multiplier": 7.0, "max_delay_ms": 7, "jitter": 0.7,
    "retry_on": ("Timeout",), "never_on": ("Timeout",), "max_elapsed_ms": 7,
}  # fmt: skip
OF_TASK: dict[str, Json] = {
    "executor": "mine", "config": {"duration": 2}, "input_schema": {"a": 1},
    "output_schema": {"a": 1}, "retry": NATIVE_RETRY, "timeout_ms": 5, "queue": "q",
    "permissions": ("p",), "secrets": ("s",), "labels": {"a": "b"},
}  # fmt: skip
# Positions, names in the document, and members tied to another one.
NOT_SAID = {
    Workflow: {"dialect", "nodes_path", "schema_path", "output", "has_output"},
    Node: {"path", "dependencies_key", "bound", "input", "has_input"},
    Outcome: set(),
    Retry: set(),
    Task: {"type", "dialect", "name", "visibility", "path", "config_path", "places"},
}  # fmt: skip
EVERYTHING: list[tuple[type, dict[str, Json]]] = [
    (Workflow, OF_WORKFLOW), (Node, OF_NODE), (Outcome, OF_OUTCOME), (Retry, OF_RETRY),
    (Task, OF_TASK),
]  # fmt: skip
MEMBERS = [(of, each) for of, _ in EVERYTHING for each in fields(of)]


def attempted(whole: Workflow) -> Json:
    """Return the document, or the refusal."""
    document = {"spec": {"tasks": [{"id": each.id} for each in whole.nodes]}}
    unsupported = UnsupportedFeatures("x")
    (found,) = serverless_documents(whole, document, unsupported, lambda _name: None)
    try:
        unsupported.raise_if_any()
    except Invalid as error:
        return [each.description for each in error.violations]
    return found


def around(of: type, changes: dict[str, Json]) -> Workflow:
    """Return the workflow with one changed part."""
    if of is Workflow:
        return replace(BASE, **changes)
    node = NODE
    if of is Node:
        node = replace(NODE, **changes)
    elif of is Outcome:
        node = replace(NODE, outcome=replace(NODE.outcome, **changes))
    elif of is Retry:
        node = replace(NODE, retry=replace(Retry(3, 100, 1.0, 500), **changes))
    elif of is Task:
        assert STEP.task is not None
        node = replace(STEP, task=replace(STEP.task, **changes))
    return replace(BASE, nodes=(BASE.nodes[0], node))


@pytest.mark.parametrize(
    ("of", "member"), MEMBERS, ids=[f"{o.__name__}.{m.name}" for o, m in MEMBERS]
)
def test_no_member_of_the_model_is_left_out(of: type, member: "Field[Json]") -> None:
    """Each is written or refused; a new member must be added to one of the lists here."""
    if member.name in NOT_SAID[of]:
        return
    changes = dict(EVERYTHING)[of]
    assert member.name in changes, f"{member.name} is neither said nor not"
    value = changes[member.name]
    before = attempted(around(of, {}))
    assert isinstance(before, dict)
    assert attempted(around(of, {member.name: value})) != before


@pytest.mark.parametrize(
    "body", [MapBody((STEP,), 1, ()), GroupBody((STEP,), ()), StatesBody((STEP,), "b", ())]
)
def test_bodies_are_refused_with_all_that_is_in_them(body: Any) -> None:
    """Maps, state machines, and groups of nodes that are refused."""
    assert isinstance(attempted(around(Node, {"body": body})), list)


def test_visibility_is_of_the_library_alone() -> None:
    """A task that is written into a node has none."""
    assert attempted(around(Task, {"visibility": Visibility.PUBLIC})) == attempted(around(Task, {}))
