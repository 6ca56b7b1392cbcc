"""Leases, queues and limits of this process, for explanations of executions."""

from flowmesh.engine import NodeState, State
from flowmesh.insight.cases import Lease, Queue
from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher
from flowmesh.orchestrator.limits.ready_queues import key_of
from flowmesh.orchestrator.model.ids import token_of
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.plan import Plan, PlanNode
from flowmesh.runtime import Clock


class Workers:
    """The leases and the attached workers of one orchestrator."""

    def __init__(self, *, dispatcher: Dispatcher, ownership: Ownership, clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._ownership = ownership
        self._clock = clock

    def lease(self, state: State, node: NodeState) -> Lease | None:
        token = token_of(state.execution_id, node.id, node.attempt)
        lease = self._dispatcher.leases.get(token)
        if lease is None:
            return None
        until_us = 0
        if deadline_ms := lease.deadline_ms(0):
            left_ms = deadline_ms - self._clock.monotonic_ms()
            until_us = self._ownership.now_us() + int(left_ms * 1_000)
        return Lease(lease.worker_id, lease.sent_at_us, until_us, lease.stream is not None)

    def queue(self, plan: Plan, node: PlanNode) -> Queue:
        key = key_of(plan, node)
        workers, free = self._dispatcher.services.served_by(key)
        waiting = self._dispatcher.ready.counts.get(key, 0)
        return Queue(workers=workers, free=free, waiting=waiting)

    def held_by(self, state: State, node: NodeState) -> str:
        """Return the stop or the limit that holds a task back; empty if none."""
        token = token_of(state.execution_id, node.id, node.attempt)
        return self._dispatcher.limiter.held_by(token)
