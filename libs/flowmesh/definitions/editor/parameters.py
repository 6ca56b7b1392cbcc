"""The JSON Schema of a built-in task type's parameters."""

from collections.abc import Callable

from flowmesh.definitions.editor.parts import Schema
from flowmesh.tasktypes import TaskType, load


def parameters_schema(task_type: TaskType, *, action: bool = False) -> Schema:
    """Return the schema; as an `action` of step JSON it allows unknown members."""
    if isinstance(task_type.parameters, dict):
        return {**task_type.parameters, "additionalProperties": action}
    build: Callable[[bool], Schema] = load(
        (action and task_type.action_parameters) or task_type.parameters
    )
    return build(action)
