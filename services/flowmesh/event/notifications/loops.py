"""The loop that sends due notifications, limited in total and per subscription."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Final

from structlog.typing import FilteringBoundLogger

from flowmesh.api.event.v1 import subscription_service_pb2 as pb
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.notifications.sending import LEASE_MS, NotificationSender, Outcome
from flowmesh.event.notifications.store import Due, NotificationStore
from flowmesh.failpoints import failpoint
from flowmesh.runtime import Clock, Loop

RUNNING_MAX: Final = 64
DRAIN_S: Final = 2.0
# Another process may have stored notifications and died.
LOOK_EVERY_S: Final = 30.0
FORGET_EVERY_MS: Final = 3_600_000


class NotificationLoop(Loop):
    """Claims and sends due notifications; wakes for new rows, ended attempts and due times."""

    interval_ms = 1

    def __init__(
        self,
        *,
        store: NotificationStore,
        sender: NotificationSender,
        clock: Clock,
        metrics: EventMetrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._store = store
        self._sender = sender
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._running: dict[asyncio.Task[None], Due] = {}
        self._notified = asyncio.Event()
        self._draining = asyncio.Event()
        self._forget_at_ms = clock.monotonic_ms() + FORGET_EVERY_MS

    def notify(self) -> None:
        """Wake the loop: there may be new notifications."""
        self._notified.set()

    async def run_once(self) -> int:
        """Start due attempts, or wait until one may be due. Return the number started."""
        self._notified.clear()
        if self._clock.monotonic_ms() >= self._forget_at_ms:
            self._forget_at_ms = self._clock.monotonic_ms() + FORGET_EVERY_MS
            await self._store.delete_expired()
        running = Counter(due.subscription for due in self._running.values())
        most = {due.subscription: due.concurrency for due in self._running.values()}
        busy = [each for each, count in running.items() if count >= most[each]]
        free = RUNNING_MAX - len(self._running)
        if free <= 0 or self._draining.is_set():
            await self._notified.wait()
            return 0
        claimed = await self._store.claim(busy=busy, free=free, lease_ms=LEASE_MS)
        if self._draining.is_set():
            # Draining began during the claim: the HTTP client is about to close.
            await self._give_back(claimed)
            return 0
        for due in claimed:
            task = asyncio.create_task(self._send(due), name=f"notify-{due.id}")
            self._running[task] = due
            task.add_done_callback(self._ended)
        if not claimed:
            await self._until_due(busy)
        return len(claimed)

    async def drain(self) -> None:
        """Give running attempts a grace period, then return the others to the queue."""
        self._draining.set()
        if self._running:
            await asyncio.wait(self._running, timeout=DRAIN_S)
        left = dict(self._running)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._give_back(left.values())

    async def _give_back(self, dues: Iterable[Due]) -> None:
        for due in dues:
            await self._store.give_back(due)

    async def _until_due(self, busy: list[str]) -> None:
        wait_ms = await self._store.next_due_ms(busy=busy)
        wait_s = LOOK_EVERY_S if wait_ms is None else min(LOOK_EVERY_S, wait_ms / 1_000)
        try:
            async with asyncio.timeout(wait_s):
                await self._notified.wait()
        except TimeoutError:
            return

    async def _send(self, due: Due) -> None:
        failpoint("event.notification.claimed")
        began_ms = self._clock.monotonic_ms()
        outcome = await self._sender.attempt(due)
        failpoint("event.notification.sent")
        self._metrics.notifications.labels(_label(outcome)).inc()
        self._metrics.notification_seconds.observe((self._clock.monotonic_ms() - began_ms) / 1_000)
        if outcome.status == "pending":
            await self._store.postpone(
                due,
                attempts=due.attempts + (not outcome.put_off),
                http_status=outcome.http_status,
                last_error=outcome.error,
                delay_ms=outcome.delay_ms,
            )
        else:
            await self._store.end(
                due,
                status=outcome.status,
                http_status=outcome.http_status,
                last_error=outcome.error,
            )
        if outcome.status != "delivered" and outcome.of_sink and not outcome.put_off:
            policy = pb.Subscription.FromString(due.body).policy
            await self._store.note_failure(due, policy, last_error=outcome.error, gone=outcome.gone)

    def _ended(self, task: asyncio.Task[None]) -> None:
        due = self._running.pop(task)
        self._notified.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # It is claimed again when its lease expires, with the same id.
            self._log.error("notification_failed", notification=due.id, exc_info=error)


def _label(outcome: Outcome) -> str:
    if outcome.put_off:
        return "put_off"
    return "failed" if outcome.status == "pending" else outcome.status
