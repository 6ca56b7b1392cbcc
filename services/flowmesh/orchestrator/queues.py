"""Which queue an execution waits in, for the row that tells a new owner where to look."""

from flowmesh.engine import State


def ready_queue_of(state: State) -> tuple[str, int] | None:
    """Queue and priority of the execution's oldest open task; None if no task is open."""
    for index in state.scope.at_workers:
        node = state.plan.nodes[index]
        return node.queue, node.priority
    return None
