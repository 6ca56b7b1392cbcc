"""Long-running tasks: their start is recorded, and they end at their timeout."""

import asyncio
import heapq
import math
from collections import deque
from collections.abc import Callable

from flowmesh.engine import NodeState, TaskRuns
from flowmesh.orchestrator.dispatch.leases import Lease, Leases
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.runtime import Clock

MARK_RUNNING_AFTER_MS = 50
"""A task that still runs this long after its dispatch gets its TaskStarted in the next batch."""

SWEEP_EVERY_MS = 10
"""Minimum pause between sweeps: under load a task is sent every few microseconds."""

RECHECK_MS = 100
"""Pause before the next check of an overdue attempt while the lease is not valid."""

TIMEOUT_GRACE_MS = 1_000
"""The worker ends an attempt at its timeout; otherwise the orchestrator does after this grace."""


class LongRuns:
    """Sweeps the leases at the next time at which one needs a mark or a timeout.

    `overdue` ends an attempt; it returns False if the attempt must be checked again later.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        leases: Leases,
        submit: Callable[[PendingCommand], None],
        overdue: Callable[[Lease], bool],
    ) -> None:
        self._clock = clock
        self._leases = leases
        self._submit = submit
        self._overdue = overdue
        self._fresh: deque[Lease] = deque()
        self._deadlines: list[tuple[float, str]] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._sweep_at_ms = math.inf

    def sent(self, lease: Lease, node: NodeState) -> None:
        """Watch a sent task; mark it as started at once if it has a start timeout."""
        self._mark_if_start_limited(lease, node)
        self._fresh.append(lease)
        self._sweep_by(lease.sent_at_ms + MARK_RUNNING_AFTER_MS)

    def _mark_if_start_limited(self, lease: Lease, node: NodeState) -> None:
        if node.planned.start_timeout_us and not node.delivery:
            self._mark_started(lease)

    def _mark_started(self, lease: Lease) -> None:
        """Submit TaskStarted for an attempt; ignored if it has one."""
        delivery = self._leases.delivery(lease.token)
        command = TaskRuns(
            lease.node_id, lease.attempt, lease.worker_id, lease.sent_at_us, delivery
        )
        self._submit(PendingCommand(lease.execution_id, lease.partition, command))

    def watch(self, lease: Lease, node: NodeState) -> None:
        """Give an adopted task the timeouts of its node, from now on."""
        self._mark_if_start_limited(lease, node)
        if lease.timeout_ms or lease.heartbeat_timeout_ms:
            return
        lease.timeout_ms = node.planned.timeout_ms
        lease.heartbeat_timeout_ms = node.planned.heartbeat_timeout_ms
        deadline = lease.deadline_ms(TIMEOUT_GRACE_MS)
        if deadline:
            heapq.heappush(self._deadlines, (deadline, lease.token))
            self._sweep_by(deadline)

    def _sweep_by(self, at_ms: float) -> None:
        """Schedule a sweep at this time unless an earlier one is scheduled."""
        if self._sweep is not None:
            if self._sweep_at_ms <= at_ms:
                return
            self._sweep.cancel()
        self._sweep_at_ms = at_ms
        delay_s = max(at_ms - self._clock.monotonic_ms(), 1) / 1000
        self._sweep = asyncio.get_running_loop().call_later(delay_s, self._run_sweep)

    def _run_sweep(self) -> None:
        """Mark running tasks as started, and end attempts that are over their time."""
        self._sweep = None
        now_ms = self._clock.monotonic_ms()
        while self._fresh and self._fresh[0].sent_at_ms <= now_ms - MARK_RUNNING_AFTER_MS:
            lease = self._fresh.popleft()
            if self._leases.get(lease.token) is lease:
                self._mark_and_bound(lease)
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            _, token = heapq.heappop(self._deadlines)
            self._check_deadline(token, now_ms)
        waits = []
        if self._fresh:
            wait_ms = self._fresh[0].sent_at_ms + MARK_RUNNING_AFTER_MS - now_ms
            waits.append(max(wait_ms, SWEEP_EVERY_MS))
        if self._deadlines:
            waits.append(self._deadlines[0][0] - now_ms)
        if waits:
            self._sweep_by(now_ms + min(waits))

    def _mark_and_bound(self, lease: Lease) -> None:
        self._mark_started(lease)
        deadline = lease.deadline_ms(TIMEOUT_GRACE_MS)
        if deadline:
            heapq.heappush(self._deadlines, (deadline, lease.token))

    def _check_deadline(self, token: str, now_ms: float) -> None:
        lease = self._leases.get(token)
        if lease is None:
            return
        deadline = lease.deadline_ms(TIMEOUT_GRACE_MS)
        if deadline <= now_ms:
            if self._overdue(lease):
                return
            deadline = now_ms + RECHECK_MS
        heapq.heappush(self._deadlines, (deadline, token))
