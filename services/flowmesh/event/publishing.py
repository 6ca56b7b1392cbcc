"""Publication of events: one transaction stores an event, its firings and its notifications."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.errors import Invalid, TooLarge, Violation
from flowmesh.event.misfits import Misfit, TriggerMisfit
from flowmesh.event.notifications.compiled import CompiledSubscription, SubscriptionCache
from flowmesh.event.notifications.store import add_notifications
from flowmesh.event.triggers.published import (
    LIFECYCLE,
    Fired,
    TriggerCache,
    cause_of,
    event_value,
)
from flowmesh.event.triggers.store import Row, TriggerStore
from flowmesh.failpoints import failpoint
from flowmesh.jsontext import check_json
from flowmesh.sandbox.turns import Turns
from flowmesh.standards.extensions import check_extensions

ATTRIBUTE_CHARACTERS_MAX: Final = 1_024
ID_CHARACTERS_MAX: Final = 256
# Source and id in UTF-8 together, which identify an event.
NAMES_BYTES_MAX: Final = 2_400
DATA_BYTES_MAX: Final = 256 * 1024
# Publications at a time, which each hold a connection; and those of namespaces without one.
PUBLISHING_MAX: Final = 6
PUBLISHING_SPARE: Final = 2


class Publisher:
    """Publishes events of clients."""

    def __init__(
        self,
        *,
        store: TriggerStore,
        trigger_cache: TriggerCache,
        settled: Callable[[], Awaitable[None]],
        new_id: Callable[[], str],
        on_firing: Callable[[], None],
        on_published: Callable[[], None],
        subscriptions: SubscriptionCache,
        on_notifications: Callable[[Sequence[CompiledSubscription]], Awaitable[None]],
    ) -> None:
        self._store = store
        self._trigger_cache = trigger_cache
        self._settled = settled
        self._new_id = new_id
        self._on_firing = on_firing
        self._on_published = on_published
        self._subscriptions = subscriptions
        self._on_notifications = on_notifications
        self._turns = Turns(PUBLISHING_MAX, PUBLISHING_SPARE)

    async def publish(self, namespace: str, given: pb.Event) -> pb.PublishEventResponse:
        """Validate and commit an event of a client with its firings."""
        event = pb.Event()
        event.CopyFrom(given)
        event.id = event.id or self._new_id()
        event.source = event.source or "/"
        check_event(event)
        return await self.commit(namespace, event)

    async def commit(self, namespace: str, event: pb.Event) -> pb.PublishEventResponse:
        """Commit a valid event with its firings, of all triggers announced before it."""
        await self._settled()
        async with self._turns.turn(namespace), self._store.change() as change:
            now_us = await change.now_us()
            event.time_us = event.time_us or now_us
            if not await change.add_published(namespace, event, now_us):
                return pb.PublishEventResponse(event_id=event.id, created=False)
            rows = await change.event_triggers(namespace)
            fired = await self._fired(namespace, event, now_us, rows)
            if fired.firings:
                await change.add_firings(fired.firings, lease_ms=0)
            subscribed = await change.subscriptions(namespace)
            found = await self._subscriptions.notifications(subscribed, event_value(event))
            if found.notifications:
                notifications = list(found.notifications.values())
                await add_notifications(change.sql, change.connection, notifications)
            await change.note_misfits(fired.misfits, found.misfits)
        failpoint("event.published")
        self._on_published()
        if found.notifications:
            await self._on_notifications(list(found.notifications))
        if fired.firings:
            self._on_firing()
        return pb.PublishEventResponse(event_id=event.id, created=True, triggers=len(fired.firings))

    async def _fired(self, namespace: str, event: pb.Event, at_us: int, rows: list[Row]) -> Fired:
        found = Fired()
        if rows:
            value, cause = event_value(event), cause_of(event)
            for row in rows:
                try:
                    trigger = self._trigger_cache.compiled(namespace, row)
                except Exception as error:  # noqa: BLE001 a broken trigger must not delay others
                    misfit = Misfit.of_definition(error)
                    found.misfits.append(
                        TriggerMisfit(namespace, row["workflow"], row["id"], misfit)
                    )
                    continue
                await trigger.fire(found, cause, at_us, value)
        return found


def check_time(event: pb.Event) -> None:
    """Raise EVENT_INVALID for a time out of the range of calendars."""
    if event.time_us < 0 or event.time_us > 2**53:
        raise _invalid("time", "must be microseconds since the epoch, at most 2^53")


def check_event(event: pb.Event) -> None:
    """Raise EVENT_INVALID for an invalid attribute."""
    for name, most in (
        ("id", ID_CHARACTERS_MAX),
        ("source", ATTRIBUTE_CHARACTERS_MAX),
        ("type", ATTRIBUTE_CHARACTERS_MAX),
        ("subject", ATTRIBUTE_CHARACTERS_MAX),
    ):
        value: str = getattr(event, name)
        if len(value) > most or not value.isprintable():
            raise _invalid(name, f"must have at most {most} characters, all printable")
    if len(event.source.encode()) + len(event.id.encode()) > NAMES_BYTES_MAX:
        raise _invalid("source", f"must have at most {NAMES_BYTES_MAX:,} bytes with the id")
    if not event.type:
        raise _invalid("type", "is missing; name the kind of event, such as order.paid")
    if event.type.startswith(LIFECYCLE):
        raise _invalid("type", f"must not begin with {LIFECYCLE}, which executions use")
    check_time(event)
    check_extensions(event.extensions)
    extensions_bytes = sum(len(name) + each.ByteSize() for name, each in event.extensions.items())
    size = len(event.data.data) + extensions_bytes
    if size > DATA_BYTES_MAX or event.data.HasField("reference"):
        message = (
            f"the data of an event must be inline and have, with the extensions, at most "
            f"{DATA_BYTES_MAX // 1024} KiB"
        )
        raise TooLarge("PAYLOAD_TOO_LARGE", message)
    check_json(event.data.data, "data")


def _invalid(field: str, what: str) -> Invalid:
    violation = Violation(field, what, "EVENT_INVALID")
    return Invalid("EVENT_INVALID", f"{field}: {what}", violations=(violation,))
