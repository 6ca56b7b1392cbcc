"""Adoption of tasks that workers already hold: their owner creates leases for them.

A lease that is created from a token alone has no timeouts and no permits until its execution is
known: at once if it is in memory, otherwise after it was loaded.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.api.worker.v1.task_pb2 import WorkerScope
from flowmesh.engine import NodeState, State
from flowmesh.orchestrator.dispatch.attachment import WorkerStream
from flowmesh.orchestrator.dispatch.dispatch_limiter import DispatchLimiter
from flowmesh.orchestrator.dispatch.leases import Lease, Leases
from flowmesh.orchestrator.dispatch.long_runs import LongRuns
from flowmesh.orchestrator.dispatch.uncommitted import UncommittedExecutions
from flowmesh.orchestrator.dispatch.uncommitted_ends import UncommittedEnds
from flowmesh.orchestrator.limits.ready_queues import Need, key_of
from flowmesh.orchestrator.limits.rules import Rules
from flowmesh.orchestrator.limits.worker_scope import is_permitted
from flowmesh.orchestrator.model.ids import parse_token, partition_of
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.states import Entry, States
from flowmesh.runtime import Clock

_NOTHING: Mapping[str, Entry] = MappingProxyType({})


class Adoption:
    """Creates leases for running tasks.

    `fetch` loads executions in the background, and calls `fetched` when no decision about them is
    uncommitted. `requeue` sends open tasks again that no worker holds.
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
        requeue: Callable[[set[str]], None],
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
        self._requeue = requeue

    def adopt(self, stream: WorkerStream, held: Iterable[pb.HeldTask]) -> None:
        """Adopt the tasks that a worker service holds, if they are open and owned here."""
        missing: set[str] = set()
        known: list[Lease] = []
        for task in held:
            token, valid = self._leases.resolve(task.token)
            parsed = parse_token(token)
            if parsed is None:
                continue
            partition = partition_of(parsed[0])
            if partition is None or partition not in self._ownership.epochs:
                continue
            if not valid:
                stream.cancel(task.token)
                continue
            if token in self._uncommitted_ends:
                # Its lease would never end.
                continue
            lease = self._leases.get(token)
            if task.away and lease is not None and lease.stream not in (stream, None):
                # Its worker reconnected through another worker service.
                continue
            scope = task.scope if task.HasField("scope") else None
            if scope is not None and self._is_foreign(scope, parsed, lease):
                continue
            if lease is None:
                now_us = self._ownership.now_us()
                lease = Lease(
                    token, *parsed, partition, stream, task.worker_id,
                    self._clock.monotonic_ms(), now_us, 0, 0, scope=scope,
                )  # fmt: skip
            self._leases.adopt(lease, stream, task.worker_id)
            is_uncommitted = lease.execution_id in self._uncommitted
            if is_uncommitted or self._states.get(lease.execution_id) is None:
                missing.add(lease.execution_id)
            else:
                known.append(lease)
        self._review(known)
        if missing:
            self._fetch(missing)

    def _is_foreign(
        self, scope: WorkerScope, parsed: tuple[str, str, int], lease: Lease | None
    ) -> bool:
        """Return whether a task is certainly not one that the credential of a worker permits."""
        if lease is not None and lease.key is None:
            return lease.scope != scope
        key = lease.key if lease is not None else None
        entry = self._states.get(parsed[0])
        node = entry.state.at_workers.get(parsed[1]) if entry is not None else None
        if key is None and entry is not None and node is not None:
            key = key_of(entry.state.plan, node.planned)
        return key is not None and not is_permitted(scope, key)

    def fetched(self, found: Mapping[str, Entry]) -> None:
        """Review the leases of loaded executions; evicted ones are passed in `found`."""
        self._review(self._leases.of_executions(found), found)

    def resumed(self) -> None:
        """Review adopted tasks after this process has renewed an expired lease."""
        self._review([lease for lease in self._leases.all() if lease.key is None])

    def _review(self, leases: Iterable[Lease], found: Mapping[str, Entry] = _NOTHING) -> None:
        """Cancel tasks that have ended; give the others their timeouts and permits."""
        if not self._ownership.lease_valid:
            # Memory may be outdated: another process may own the execution by now.
            return
        limited, foreign = False, set()
        for lease in leases:
            entry = self._states.get(lease.execution_id) or found.get(lease.execution_id)
            if entry is None:
                continue
            node = entry.state.at_workers.get(lease.node_id)
            if node is None or node.attempt != lease.attempt:
                self._leases.pop(lease.token)
                if lease.stream is not None:
                    # A former owner may not have canceled it.
                    lease.stream.cancel(lease.wire_token)
            elif not lease.is_within_scope(key_of(entry.state.plan, node.planned)):
                self._leases.pop(lease.token)
                foreign.add(lease.execution_id)
            elif lease.key is None:
                # A running task needs no permit: drop its request.
                self._limiter.canceled(lease.token)
                self.recognize(lease, entry.state, node)
                limited |= lease.permitted
        if limited:
            self._limiter.permits.report_held()
        if foreign:
            self._requeue(foreign)

    def running(self, rules: Rules) -> list[tuple[str, str, tuple[Need, ...]]]:
        """Return namespace, token and needed permits, by these rules, of tasks at workers."""
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
        """Give a running task its timeouts and permits: its execution is known now."""
        limiter = self._limiter
        lease.key = key_of(state.plan, node.planned)
        needs = limiter.rules.needs(state.plan, node.planned, limiter.declared.of(state, node)[1])
        if needs:
            lease.permitted = True
            limiter.permits.hold(state.plan.namespace, lease.token, needs)
        self._long_runs.watch(lease, node)
