"""Tasks that are at workers for long: they are marked as started, and end at their time."""

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
"""A task that is still out so long after dispatch gets its TaskStarted in the next batch."""

SWEEP_EVERY_MS = 10
"""Not one by one: under load a task is sent every few microseconds."""

LOOK_AGAIN_MS = 100
"""At an attempt that is over its time while it is not known whose it is."""

TIMEOUT_GRACE_MS = 1_000
"""The worker ends an attempt at its timeout; the orchestrator so much later, if it does not."""


class LongRuns:
    """Looks at what is out when there is something to see.

    `overdue` ends an attempt; false where that cannot be told now.
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
        """A task has left; one whose time to begin is limited is marked at once."""
        self._begun_in_time(lease, node)
        self._fresh.append(lease)
        self._sweep_by(lease.sent_at_ms + MARK_RUNNING_AFTER_MS)

    def _begun_in_time(self, lease: Lease, node: NodeState) -> None:
        if node.planned.start_timeout_us and not node.delivery:
            self._begun(lease)

    def _begun(self, lease: Lease) -> None:
        """The attempt has its TaskStarted in the next batch, if it has none yet."""
        command = TaskRuns(lease.node_id, lease.attempt, lease.worker_id, lease.sent_at_us)
        self._submit(PendingCommand(lease.execution_id, lease.partition, command))

    def watch(self, lease: Lease, node: NodeState) -> None:
        """Bounds an adopted task by the limits of its node, counted from now."""
        self._begun_in_time(lease, node)
        if lease.timeout_ms or lease.heartbeat_timeout_ms:
            return
        lease.timeout_ms = node.planned.timeout_ms
        lease.heartbeat_timeout_ms = node.planned.heartbeat_timeout_ms
        deadline = lease.deadline_ms(TIMEOUT_GRACE_MS)
        if deadline:
            heapq.heappush(self._deadlines, (deadline, lease.token))
            self._sweep_by(deadline)

    def _sweep_by(self, at_ms: float) -> None:
        """Looks at what runs long at this time, or earlier if that is planned already."""
        if self._sweep is not None:
            if self._sweep_at_ms <= at_ms:
                return
            self._sweep.cancel()
        self._sweep_at_ms = at_ms
        delay_s = max(at_ms - self._clock.monotonic_ms(), 1) / 1000
        self._sweep = asyncio.get_running_loop().call_later(delay_s, self._swept)

    def _swept(self) -> None:
        """Marks what still runs as started, and ends attempts that are over their time."""
        self._sweep = None
        now_ms = self._clock.monotonic_ms()
        while self._fresh and self._fresh[0].sent_at_ms <= now_ms - MARK_RUNNING_AFTER_MS:
            lease = self._fresh.popleft()
            if self._leases.get(lease.token) is lease:
                self._mark_running(lease)
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

    def _mark_running(self, lease: Lease) -> None:
        self._begun(lease)
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
            deadline = now_ms + LOOK_AGAIN_MS
        heapq.heappush(self._deadlines, (deadline, token))
