"""What this process knows of the workers of its tasks, as explanations need it."""

from flowmesh.engine import NodeState, State
from flowmesh.insight.cases import Lease, Queue
from flowmesh.orchestrator.limits.ready_queues import key_of
from flowmesh.orchestrator.model.ids import token_of
from flowmesh.orchestrator.owner import Orchestrator
from flowmesh.plan import Plan, PlanNode


class Workers:
    """The leases and the attached workers of one orchestrator."""

    def __init__(self, core: Orchestrator) -> None:
        self._core = core

    def lease(self, state: State, node: NodeState) -> Lease | None:
        core = self._core
        lease = core.dispatcher.leases.get(token_of(state.execution_id, node.id, node.attempt))
        if lease is None:
            return None
        until_us = 0
        if deadline_ms := lease.deadline_ms(0):
            left_ms = deadline_ms - core.clock.monotonic_ms()
            until_us = core.ownership.now_us() + int(left_ms * 1_000)
        return Lease(lease.worker_id, lease.sent_at_us, until_us, lease.stream is not None)

    def queue(self, plan: Plan, node: PlanNode) -> Queue:
        dispatcher, key = self._core.dispatcher, key_of(plan, node)
        workers, free = dispatcher.served_by(key)
        return Queue(workers=workers, free=free, waiting=dispatcher.ready.counts.get(key, 0))

    def held_by(self, state: State, node: NodeState) -> str:
        gate = self._core.dispatcher.gate
        return gate.held_by(token_of(state.execution_id, node.id, node.attempt))
