"""Failure handling of native workflows: policies, fallbacks and compensation."""

from flowmesh.definitions.formats.native.times import read_retry, read_timeout
from flowmesh.definitions.model import (
    UNDO_NAMES,
    UNDO_SUFFIX,
    Compensation,
    FailurePolicy,
    Node,
    OnFailure,
    Outcome,
)
from flowmesh.definitions.reading.reader import Reader

ON_FAILURE = tuple(each.name for each in OnFailure)
POLICIES = tuple(each.name for each in FailurePolicy)
START_LIMIT = "scheduleToStart"
ORDERS = ("REVERSE", "PARALLEL")


def read_outcome(reader: Reader, node_id: str, bound: frozenset[str]) -> Outcome:
    """Return `onFailure`, `fallback`, `undo`, `totalTimeout` and `scheduleToStart` of a task."""
    default = OnFailure.CONTINUE if reader.has("fallback") else OnFailure.FAIL
    on_failure = OnFailure[reader.choice("onFailure", ON_FAILURE, default.name)]
    if reader.has("fallback") and on_failure is not OnFailure.CONTINUE:
        message = f"a fallback needs onFailure: CONTINUE, not {on_failure.name}"
        reader.problems.add("DEFINITION_INVALID", message, (*reader.path, "fallback"), at_key=True)
    return Outcome(
        on_failure=on_failure,
        fallback=reader.raw("fallback"),
        undo=_undo(reader.object("undo"), node_id, bound) if reader.has("undo") else None,
        total_timeout_ms=read_timeout(reader, "totalTimeout"),
        start_timeout_ms=read_timeout(reader, START_LIMIT),
    )


def _undo(reader: Reader, node_id: str, bound: frozenset[str]) -> Node:
    """Return the compensating task of another; it runs after that one has completed."""
    node = Node(
        id=node_id + UNDO_SUFFIX,
        path=reader.path,
        name=f"undo of {node_id}",
        task_ref=reader.task_ref("taskRef"),
        input=reader.raw("input"),
        has_input=reader.has("input"),
        retry=read_retry(reader),
        timeout_ms=read_timeout(reader),
        queue=reader.identifier("queue", "", required=False),
        hidden=True,
        bound=bound | UNDO_NAMES,
    )
    reader.refuse_unknown()
    return node


def read_policy(reader: Reader) -> FailurePolicy:
    """Return `onFailure` of a workflow."""
    return FailurePolicy[reader.choice("onFailure", POLICIES, FailurePolicy.FINISH_OTHERS.name)]


def read_compensation(reader: Reader) -> Compensation:
    """Return `compensation` of a workflow."""
    if reader.raw("compensation") is None:
        return Compensation()
    members = reader.object("compensation")
    made = Compensation(
        on_failure=members.flag("onFailure", True),
        on_cancel=members.flag("onCancel", True),
        on_terminate=members.flag("onTerminate", False),
        parallel=members.choice("order", ORDERS, ORDERS[0]) == "PARALLEL",
    )
    members.refuse_unknown()
    return made
