"""The parameters of built-in task types, as blocks of a WorkflowTask or params of step JSON."""

from collections.abc import Callable
from functools import partial

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.definitions.problems import split_path
from flowmesh.definitions.reading.reader import Reader
from flowmesh.plan.schemas import Schema
from flowmesh.tasktypes import TASK_TYPES, TaskType, load

BLOCKS = {each.native: each for each in TASK_TYPES.values() if each.native}
"""The task types that a WorkflowTask can have, by its `type`."""
Read = Callable[[Reader], dict[str, Json]]


def reader_of(task_type: TaskType, *, action: bool = False) -> Read:
    """Return the reader of the parameters, in step JSON with `action`; by default by schema."""
    path = (action and task_type.action_reader) or task_type.reader
    if path:
        read: Read = load(path)
        return read
    assert isinstance(task_type.parameters, dict)
    return partial(_by_schema, task_type.parameters)


def _by_schema(schema: dict[str, Json], body: Reader) -> dict[str, Json]:
    config = {name: body.raw(name) for name in schema["properties"] if body.has(name)}
    for name in schema.get("required", ()):
        if name not in config:
            body.missing(name, schema["properties"][name].get("description", "a value"))
            return {}
    for problem in Schema(orjson.dumps(schema)).problems(config):
        path = (*body.path, *split_path(problem.path))
        body.problems.add("DEFINITION_INVALID", problem.message, path)
    return config
