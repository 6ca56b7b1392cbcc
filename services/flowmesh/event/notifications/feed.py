"""Feeds of subscriptions: matching events become notifications, together with the position.

One process at a time feeds a subscription. The lease decides it; a position that another process
has taken over is not moved any more, and notifications have stable ids, so an event that is read
again is stored once.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final, TypeVar

from structlog.typing import FilteringBoundLogger

from flowmesh.api.event.v1 import event_service_pb2, trigger_service_pb2
from flowmesh.errors import Gone, Overloaded
from flowmesh.event.intake.stream import EventStream
from flowmesh.event.live.cursors import Cursor, Place, encode
from flowmesh.event.live.selection import Selection
from flowmesh.event.misfits import Misfit
from flowmesh.event.notifications.alerts import Alerts
from flowmesh.event.notifications.compiled import (
    CompiledSubscription,
    Notification,
    Row,
    SubscriptionCache,
)
from flowmesh.event.notifications.store import NotificationStore
from flowmesh.event.subscriptions.watch_events import NamespaceWatch
from flowmesh.event.triggers.published import event_value, lifecycle_value
from flowmesh.event.triggers.store import TriggerStore
from flowmesh.failpoints import failpoint
from flowmesh.runtime import Loop

LEASE_MS: Final = 10_000
BATCH: Final = 200
PAGE_BYTES_MAX: Final = 2 * 1024 * 1024
FULL_PAUSE_S: Final = 1.0

T = TypeVar("T")


class FeedLoop(Loop):
    """Runs the feeds of this process, and takes over those of dead processes."""

    interval_ms = 2_000

    def __init__(
        self,
        *,
        store: NotificationStore,
        feed: "Feed",
        subscriptions: SubscriptionCache,
        feeder: str,
        log: FilteringBoundLogger,
    ) -> None:
        self._store = store
        self._feed = feed
        self._subscriptions = subscriptions
        self._feeder = feeder
        self._log = log
        self._running: dict[str, tuple[bytes, asyncio.Task[None]]] = {}

    async def run_once(self) -> int:
        """Renew the leases; start and stop feeds as subscriptions change. Return their number."""
        rows = {
            row["id"]: row for row in await self._store.claim_feeds(self._feeder, lease_ms=LEASE_MS)
        }
        for key, (body, task) in list(self._running.items()):
            if key not in rows or rows[key]["body"] != body or task.done():
                await _stop(task)
                self._log_failure(key, task)
                del self._running[key]
        for key, row in rows.items():
            if key not in self._running:
                compiled = self._subscriptions.compiled(row)
                task = asyncio.create_task(self._feed.run(row, compiled), name=f"feed-{key}")
                self._running[key] = (row["body"], task)
        return len(self._running)

    async def drain(self) -> None:
        """Stop the feeds, so that another process can take them over at once."""
        running, self._running = self._running, {}
        for _, task in running.values():
            await _stop(task)
        await self._store.release_feeds(self._feeder)

    def _log_failure(self, key: str, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.warning("feed_failed", subscription=key, exc_info=error)


class Feed:
    """Stores the notifications of one subscription until it is stopped."""

    def __init__(
        self,
        *,
        store: NotificationStore,
        published: TriggerStore,
        watch: NamespaceWatch,
        stream: EventStream,
        alerts: Alerts,
        feeder: str,
    ) -> None:
        self._store = store
        self._published = published
        self._watch = watch
        self._stream = stream
        self._alerts = alerts
        self._feeder = feeder

    async def run(self, row: Row, compiled: CompiledSubscription) -> None:
        """Backfill published events, then follow lifecycle events. Ends after a takeover."""
        if compiled.config.HasField("alert"):
            # A process may have died between the storage of events and their alert.
            await self._alerts.stored([compiled])
        if row["backfill_us"] is not None:
            await self._backfill(row, compiled)
        selection = compiled.selection()
        if selection is None:
            return await _forever()
        cursor: str = row["cursor"]
        while True:
            try:
                cursor = await self._follow(compiled, selection, cursor, row["from_us"])
            except Overloaded:
                continue  # the backlog overflowed: read on from the last stored position
            except Gone as error:
                await self._store.note_problem(compiled.id, error.message)
                cursor = await self.oldest()
                continue
            return None

    async def oldest(self) -> str:
        """Return the cursor before the first event that is held."""
        state = await self._stream.state()
        return encode(Cursor(state.made_us, Place(max(0, state.first - 1))))

    async def _follow(
        self, compiled: CompiledSubscription, selection: Selection, cursor: str, from_us: int
    ) -> str:
        """Store the events after the cursor until a takeover; return the position then."""
        responses = self._watch.events(compiled.namespace, selection, cursor=cursor)
        async with aclosing(batches(responses, BATCH)) as found:
            async for batch in found:
                cursor = batch[-1].cursor
                events = [each for each in batch if each.HasField("event")]
                notifications = await self._matching(compiled, events, from_us)
                if not notifications and not events:
                    continue
                await self._until_room(compiled)
                if not await self._store.feed(compiled.id, self._feeder, cursor, notifications):
                    return cursor
                failpoint("event.fed")
                if notifications:
                    await self._alerts.stored([compiled])
        return cursor

    async def _matching(
        self,
        compiled: CompiledSubscription,
        responses: list[event_service_pb2.WatchEventsResponse],
        from_us: int,
    ) -> list[Notification]:
        found: list[Notification] = []
        for response in responses:
            if response.event.event.at_us < from_us:
                continue
            await self._match(compiled, lifecycle_value(response.event), found)
        return found

    async def _match(
        self, compiled: CompiledSubscription, event: dict[str, Any], found: list[Notification]
    ) -> None:
        """Add the notification of an event, or note that the filter fails over it."""
        try:
            notification = await compiled.notification(event)
        except Misfit as misfit:
            await self._store.note_problem(compiled.id, str(misfit))
            return
        if notification is not None:
            found.append(notification)

    async def _backfill(self, row: Row, compiled: CompiledSubscription) -> None:
        """Store the published events from an instant to the creation of the subscription."""
        after = (row["backfill_us"], "", "")
        more = True
        while more:
            page, more = await self._published.published(
                compiled.namespace,
                row["backfill_us"],
                row["created_us"],
                after,
                count=BATCH,
                bytes_max=PAGE_BYTES_MAX,
            )
            found: list[Notification] = []
            for each in page:
                after = (each["at_us"], each["source"], each["id"])
                event = trigger_service_pb2.Event.FromString(each["event"])
                await self._match(compiled, event_value(event), found)
            await self._until_room(compiled)
            await self._store.add(found)
            await self._store.set_backfill(compiled.id, after[0] if more else None)
            if found:
                await self._alerts.stored([compiled])

    async def _until_room(self, compiled: CompiledSubscription) -> None:
        while await self._store.is_full(compiled.id):  # noqa: ASYNC110 the room is in the database
            await asyncio.sleep(FULL_PAUSE_S)


async def batches(items: AsyncGenerator[T, None], most: int) -> AsyncGenerator[list[T], None]:
    """Yield the items that are there, at least one and at most `most` at a time."""
    queue: asyncio.Queue[T] = asyncio.Queue(most)
    pump = asyncio.create_task(_pump(items, queue))
    try:
        while True:
            first = asyncio.ensure_future(queue.get())
            try:
                await asyncio.wait({first, pump}, return_when=asyncio.FIRST_COMPLETED)
                if not first.done():
                    pump.result()
                    return
                batch = [first.result()]
            finally:
                first.cancel()
            while len(batch) < most and not queue.empty():
                batch.append(queue.get_nowait())
            yield batch
    finally:
        await _stop(pump)


async def _pump(items: AsyncIterator[T], queue: "asyncio.Queue[T]") -> None:
    async for item in items:
        await queue.put(item)


async def _stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait({task})


async def _forever() -> None:
    await asyncio.Event().wait()
