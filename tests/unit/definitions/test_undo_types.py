"""A compensation is a task that a worker runs; every other type is refused."""

from typing import Any

import orjson
import pytest

from flowmesh.definitions import compile_source
from flowmesh.definitions.builtins import AT_NO_WORKER
from flowmesh.errors import Invalid
from flowmesh.tasktypes import TASK_TYPES

# Type of a WorkflowTask with its block.
_BLOCKS: dict[str, Any] = {
    "delay": {"delay": {"duration": "1s"}},
    "noop": {},
}
_BY_NAME = sorted(name for name, each in TASK_TYPES.items() if each.by_name)
_BY_TASK = sorted(each.native for each in TASK_TYPES.values() if each.native in _BLOCKS)


def native(undo: str) -> dict[str, Any]:
    spec = {"tasks": [{"id": "a", "taskRef": "noop", "undo": {"taskRef": undo}}]}
    return {"kind": "Workflow", "metadata": {"name": "w"}, "spec": spec}


def in_a_map(undo: str) -> dict[str, Any]:
    inner = native(undo)["spec"]["tasks"]
    spec = {"tasks": [{"id": "m", "map": {"items": [1], "tasks": inner}}]}
    return {"kind": "Workflow", "metadata": {"name": "w"}, "spec": spec}


def steps(undo: str) -> dict[str, Any]:
    step = {"id": "a", "name": "a", "type": "task", "action": "noop", "undo": {"taskRef": undo}}
    return {"id": "w", "name": "w", "steps": [step]}


FORMATS = (native, in_a_map, steps)


def _compiled(*documents: dict[str, Any]) -> None:
    if len(documents) == 1 and "steps" in documents[0]:
        compile_source(orjson.dumps(documents[0]))
        return
    texts = (orjson.dumps({"apiVersion": "workflow.io/v1", **each}) for each in documents)
    compile_source(b"---\n" + b"\n---\n".join(texts))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", _BY_NAME)
def test_a_built_in_task_compensates_only_if_a_worker_runs_it(form: Any, name: str) -> None:
    """By its name, in native workflows, bodies and step JSON."""
    try:
        _compiled(form(name))
    except Invalid as error:
        refused = "cannot compensate" in error.message
    else:
        refused = False
    assert refused == (name in AT_NO_WORKER)


@pytest.mark.parametrize("form", [native, in_a_map])
@pytest.mark.parametrize("kind", _BY_TASK)
def test_a_task_of_the_library_compensates_only_if_a_worker_runs_it(form: Any, kind: str) -> None:
    """A WorkflowTask of such a type is refused with the place of its reference."""
    task = {"kind": "WorkflowTask", "metadata": {"name": "t"}}
    with pytest.raises(Invalid, match=f"t cannot compensate: .*({kind})"):
        _compiled({**task, "spec": {"type": kind, **_BLOCKS[kind]}}, form("t"))


def test_the_types_of_a_worker_compensate() -> None:
    """A handler and an HTTP call."""
    task = {"kind": "WorkflowTask", "metadata": {"name": "t"}}
    http = {"type": "http", "http": {"method": "GET", "url": "http://service.example/"}}
    for spec in ({"type": "refund"}, http):
        _compiled({**task, "spec": spec}, native("t"))
