"""The built-in executors by task type, made from the records of `flowmesh.tasktypes`."""

from inspect import Parameter, signature

from flowmesh.executors.base import Executor
from flowmesh.executors.collaborators import Collaborators
from flowmesh.executors.coroutines import coroutine_executor
from flowmesh.tasktypes import TASK_TYPES, TaskType, load

RESERVED_TASK_TYPES = frozenset(each.name for each in TASK_TYPES.values() if each.reserved)
"""Task types that a remote worker cannot register."""


def builtin_executors(collaborators: Collaborators) -> dict[str, Executor]:
    """Return the executors by task type, without those that lack a client."""
    found = {
        each.name: _executor_of(each, collaborators)
        for each in TASK_TYPES.values()
        if each.is_run_by_worker
    }
    return {name: executor for name, executor in found.items() if executor is not None}


def _executor_of(task_type: TaskType, collaborators: Collaborators) -> Executor | None:
    if task_type.run is not None:
        return coroutine_executor(task_type.run, collaborators.now_us)
    factory = load(task_type.executor)
    given = {}
    for parameter in signature(factory).parameters.values():
        given[parameter.name] = collaborators.named(parameter.name)
        if given[parameter.name] is None and parameter.default is Parameter.empty:
            return None
    executor: Executor = factory(**given)
    return executor
