"""Tasks that the credential of a worker permits, checked where their kind is known."""

from flowmesh.api.worker.v1.task_pb2 import WorkerScope
from flowmesh.engine import Command, State, Suspend, TaskEnded
from flowmesh.orchestrator.limits.ready_queues import Key, key_of


def is_permitted(scope: WorkerScope, key: Key) -> bool:
    """Return whether the credential of a worker permits tasks of a kind."""
    namespace, queue, task_type, _ = key
    return (
        namespace == scope.namespace
        and (not scope.queues or queue in scope.queues)
        and (not scope.task_types or task_type in scope.task_types)
    )


def is_foreign(scope: WorkerScope | None, command: Command, state: State) -> bool:
    """Return whether a result is of a task that the credential of its worker does not permit."""
    if scope is None or not isinstance(command, TaskEnded | Suspend):
        return False
    node = state.at_workers.get(command.node)
    return node is not None and not is_permitted(scope, key_of(state.plan, node.planned))
