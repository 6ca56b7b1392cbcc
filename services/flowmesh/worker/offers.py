"""The task types and queues of the built-in worker, as set by its settings."""

from collections.abc import Mapping, Sequence

from flowmesh.errors import Invalid
from flowmesh.executors.base import Executor
from flowmesh.rpc import valid_id
from flowmesh.runtime import StartError
from flowmesh.transforms.parameters import nearest
from flowmesh.worker import limits


def offered(executors: Mapping[str, Executor], names: Sequence[str]) -> Mapping[str, Executor]:
    """Return the named executors, all of them without names. Raises StartError."""
    for name in names:
        if name not in executors:
            raise StartError(
                f"FLOWMESH_WORKER_TASK_TYPES: the built-in worker runs no {name!r}"
                f"{nearest(name, executors)}; it runs {', '.join(executors)}"
            )
    return {name: executors[name] for name in names} or executors


def checked_queues(names: Sequence[str]) -> Sequence[str]:
    """Return the names if they are valid names of queues. Raises StartError."""
    if len(names) > limits.WORKER_NAMES_MAX:
        most = limits.WORKER_NAMES_MAX
        raise StartError(f"FLOWMESH_WORKER_QUEUES: at most {most} queues, not {len(names)}")
    try:
        return [valid_id(name, "FLOWMESH_WORKER_QUEUES:") for name in names]
    except Invalid as error:
        raise StartError(error.message) from error
