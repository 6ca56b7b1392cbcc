"""Tasks that workers bring along: whoever owns their executions now makes leases of them.

A lease that was made of a token alone has no limits of time and holds no permits until its
execution is known: when a new owner reads what is open, at once if it has that in memory, else as
soon as it was fetched.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.engine import NodeState, State
from flowmesh.orchestrator.dispatch.attachment import WorkerStream
from flowmesh.orchestrator.dispatch.dispatch_limiter import DispatchLimiter
from flowmesh.orchestrator.dispatch.leases import Lease, Leases
from flowmesh.orchestrator.dispatch.long_runs import LongRuns
from flowmesh.orchestrator.dispatch.uncommitted import UncommittedExecutions
from flowmesh.orchestrator.dispatch.uncommitted_ends import UncommittedEnds
from flowmesh.orchestrator.limits.ready_queues import Need, key_of
from flowmesh.orchestrator.limits.rules import Rules
from flowmesh.orchestrator.model.ids import parse_token, partition_of
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.states import Entry, States
from flowmesh.runtime import Clock

_NOTHING: Mapping[str, Entry] = MappingProxyType({})


class Adoption:
    """Makes leases of what runs already. `ending` are tasks whose end waits for its commit,
    `undecided` executions of which something does; `fetch` has executions read, and `fetched`
    called when nothing of them does any more.
    """

    def __init__(
        self,
        *,
        states: States,
        ownership: Ownership,
        clock: Clock,
        leases: Leases,
        limiter: DispatchLimiter,
        long_runs: LongRuns,
        uncommitted_ends: UncommittedEnds,
        uncommitted: UncommittedExecutions,
        fetch: Callable[[set[str]], None],
    ) -> None:
        self._states = states
        self._ownership = ownership
        self._clock = clock
        self._leases = leases
        self._limiter = limiter
        self._long_runs = long_runs
        self._uncommitted_ends = uncommitted_ends
        self._uncommitted = uncommitted
        self._fetch = fetch

    def adopt(self, stream: WorkerStream, held: Iterable[pb.HeldTask]) -> None:
        """These tasks are with this worker service now, as far as they are ours and open."""
        cold: set[str] = set()
        warm: list[Lease] = []
        for task in held:
            parsed = parse_token(task.token)
            if parsed is None:
                continue
            partition = partition_of(parsed[0])
            if partition is None or partition not in self._ownership.epochs:
                continue
            if task.token in self._uncommitted_ends:
                # A lease of it would never end.
                continue
            lease = self._leases.get(task.token)
            if task.away and lease is not None and lease.stream not in (stream, None):
                # Its worker has come back through another worker service.
                continue
            if lease is None:
                now_us = self._ownership.now_us()
                lease = Lease(
                    task.token, *parsed, partition, stream, task.worker_id,
                    self._clock.monotonic_ms(), now_us, 0, 0,
                )  # fmt: skip
            self._leases.adopt(lease, stream, task.worker_id)
            undecided = lease.execution_id in self._uncommitted
            if undecided or self._states.get(lease.execution_id) is None:
                cold.add(lease.execution_id)
            else:
                warm.append(lease)
        self._review(warm)
        if cold:
            self._fetch(cold)

    def fetched(self, found: Mapping[str, Entry]) -> None:
        """These executions were read; one that sleeps by now is in memory no more."""
        self._review(self._leases.of_executions(found), found)

    def resumed(self) -> None:
        """The lease holds again: so does what is in memory."""
        self._review([lease for lease in self._leases.all() if lease.key is None])

    def _review(self, leases: Iterable[Lease], found: Mapping[str, Entry] = _NOTHING) -> None:
        """Lets go of tasks that have ended, under whatever owner, and bounds the others."""
        if not self._ownership.lease_valid:
            # What is in memory may be of before: somebody else may own it by now.
            return
        limited = False
        for lease in leases:
            entry = self._states.get(lease.execution_id) or found.get(lease.execution_id)
            if entry is None:
                continue
            node = entry.state.at_workers.get(lease.node_id)
            if node is None or node.attempt != lease.attempt:
                self._leases.pop(lease.token)
                if lease.stream is not None:
                    # Whoever owned it before may have had no time to say so.
                    lease.stream.cancel(lease.token)
            elif lease.key is None:
                # It may wait here for what it has without asking.
                self._limiter.canceled(lease.token)
                self.recognize(lease, entry.state, node)
                limited |= lease.permitted
        if limited:
            self._limiter.permits.report_held()

    def running(self, rules: Rules) -> list[tuple[str, str, tuple[Need, ...]]]:
        """Namespace and token of tasks at workers, with the permits they need by these rules."""
        found = []
        for lease in self._leases.all():
            entry = self._states.get(lease.execution_id)
            node = entry.state.at_workers.get(lease.node_id) if entry is not None else None
            if entry is None or node is None or node.attempt != lease.attempt:
                continue
            plan = entry.state.plan
            needs = rules.needs(plan, node.planned, self._limiter.declared.of(entry.state, node)[1])
            if needs or lease.permitted:
                lease.permitted = True
                found.append((plan.namespace, lease.token, needs))
        return found

    def recognize(self, lease: Lease, state: State, node: NodeState) -> None:
        """A task that runs already is known now: it has its time, and holds its permits."""
        limiter = self._limiter
        lease.key = key_of(state.plan, node.planned)
        needs = limiter.rules.needs(state.plan, node.planned, limiter.declared.of(state, node)[1])
        if needs:
            lease.permitted = True
            limiter.permits.hold(state.plan.namespace, lease.token, needs)
        self._long_runs.watch(lease, node)
