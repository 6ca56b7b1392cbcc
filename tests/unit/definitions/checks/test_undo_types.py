"""A compensation is a noop, a delay, a signal or a task of a worker; other types are refused."""

import re
from typing import Any

import orjson
import pytest

from flowmesh.definitions import compile_source
from flowmesh.definitions.builtins import NOT_FOR_UNDO
from flowmesh.errors import Invalid
from flowmesh.tasktypes import TASK_TYPES

# Type of a WorkflowTask with its block.
_BLOCKS: dict[str, Any] = {
    "delay": {"delay": {"duration": "1s"}},
    "noop": {},
}
_BY_NAME = sorted(name for name, each in TASK_TYPES.items() if each.by_name)
_BY_TASK = sorted(each.native for each in TASK_TYPES.values() if each.native in _BLOCKS)


_INPUTS: dict[str, Any] = {"delay": {"duration": "1s"}, "signal": {"name": "s"}}


def _undo(name: str) -> dict[str, Any]:
    return {"taskRef": name, **({"input": _INPUTS[name]} if name in _INPUTS else {})}


def native(undo: str) -> dict[str, Any]:
    spec = {"tasks": [{"id": "a", "taskRef": "noop", "undo": _undo(undo)}]}
    return {"kind": "Workflow", "metadata": {"name": "w"}, "spec": spec}


def in_a_map(undo: str) -> dict[str, Any]:
    inner = native(undo)["spec"]["tasks"]
    spec = {"tasks": [{"id": "m", "map": {"items": [1], "tasks": inner}}]}
    return {"kind": "Workflow", "metadata": {"name": "w"}, "spec": spec}


def steps(undo: str) -> dict[str, Any]:
    step = {"id": "a", "name": "a", "type": "task", "action": "noop", "undo": _undo(undo)}
    return {"id": "w", "name": "w", "steps": [step]}


def graph(undo: str) -> dict[str, Any]:
    data = {"taskType": "mine"}
    node = {"id": "a", "type": "custom", "name": "a", "data": data, "undo": _undo(undo)}
    return {"id": "w", "name": "w", "nodes": [node], "edges": []}


FORMATS = (native, in_a_map, steps, graph)


def _compiled(*documents: dict[str, Any]) -> None:
    if len(documents) == 1 and "kind" not in documents[0]:
        compile_source(orjson.dumps(documents[0]))
        return
    texts = (orjson.dumps({"apiVersion": "workflow.io/v1", **each}) for each in documents)
    compile_source(b"---\n" + b"\n---\n".join(texts))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", _BY_NAME)
def test_a_built_in_task_compensates_or_is_refused(form: Any, name: str) -> None:
    """By its name, in native workflows, bodies, step JSON and graph JSON."""
    try:
        _compiled(form(name))
    except Invalid as error:
        refused = "cannot compensate" in error.message
    else:
        refused = False
    assert refused == (name in NOT_FOR_UNDO)


def test_the_refusal_names_what_would_compensate() -> None:
    """The place, the reason, and the types that can."""
    place = re.escape("tasks[0].undo.taskRef")
    text = "a noop, a delay, a signal or a task that a worker runs"
    with pytest.raises(Invalid, match=f"{place}.*cannot compensate: .*{text}"):
        _compiled(native("webhook.receive"))


@pytest.mark.parametrize("form", [native, in_a_map])
@pytest.mark.parametrize("kind", _BY_TASK)
def test_a_noop_and_a_delay_of_the_library_compensate(form: Any, kind: str) -> None:
    """Referred to as a WorkflowTask."""
    task = {"kind": "WorkflowTask", "metadata": {"name": "t"}}
    _compiled({**task, "spec": {"type": kind, **_BLOCKS[kind]}}, form("t"))


def test_a_delay_without_a_duration_does_not_compensate() -> None:
    """The undo is checked as the task of a node is."""
    spec = {"tasks": [{"id": "a", "taskRef": "noop", "undo": {"taskRef": "delay"}}]}
    with pytest.raises(Invalid, match="duration"):
        _compiled({"kind": "Workflow", "metadata": {"name": "w"}, "spec": spec})


FOREIGN = {
    "serverless": {
        "document": {"dsl": "1.0.0", "namespace": "n", "name": "w", "version": "1.0.0"},
        "do": [{"a": {"set": {"x": 1}, "undo": {"taskRef": "noop"}}}],
    },
    "states": {
        "StartAt": "a",
        "States": {"a": {"Type": "Pass", "End": True, "undo": {"taskRef": "noop"}}},
    },
}


@pytest.mark.parametrize("format_name", FOREIGN)
def test_formats_without_an_undo_refuse_the_key(format_name: str) -> None:
    """Serverless Workflow and Amazon States Language have no compensation of a task."""
    with pytest.raises(Invalid, match="undo"):
        compile_source(orjson.dumps(FOREIGN[format_name]))


def test_the_types_of_a_worker_compensate() -> None:
    """A handler and an HTTP call."""
    task = {"kind": "WorkflowTask", "metadata": {"name": "t"}}
    http = {"type": "http", "http": {"method": "GET", "url": "http://service.example/"}}
    for spec in ({"type": "refund"}, http):
        _compiled({**task, "spec": spec}, native("t"))
