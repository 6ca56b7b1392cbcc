"""Groups of consumers: leases, attempts, parked events."""

from typing import Final

from flowmesh.api.eventstore.v1 import event_group_service_pb2 as pb
from flowmesh.errors import NotFound, WrongState
from flowmesh.eventstore import limits
from flowmesh.eventstore.announcements import Announcements
from flowmesh.eventstore.checks import (
    check_range,
    check_room,
    checked_group,
    invalid,
    page_size,
)
from flowmesh.eventstore.decisions import chosen_page
from flowmesh.eventstore.group_store import GroupChange, GroupStore
from flowmesh.eventstore.store import StreamStore
from flowmesh.failpoints import failpoint
from flowmesh.rpc import valid_id
from flowmesh.runtime import Clock

# An announcement may be lost; a consumer looks by itself after this time.
LOOK_S: Final = 1.0


class Groups:
    """Deliveries to the members of groups."""

    def __init__(
        self,
        *,
        store: GroupStore,
        streams: StreamStore,
        announcements: Announcements,
        clock: Clock,
    ) -> None:
        self._store = store
        self._streams = streams
        self._announcements = announcements
        self._clock = clock

    async def put(self, namespace: str, given: pb.EventGroup) -> pb.PutEventGroupResponse:
        """Create a group, or change its settings."""
        group = checked_group(given)
        async with self._store.changing(namespace, group.event_group) as change:
            before = change.group
            if before is None:
                check_room("groups", await change.count(), limits.GROUPS_MAX)
                group.checkpoint = group.start_after
                created = await change.add(group)
            else:
                if before.filter != group.filter:
                    raise WrongState(
                        "GROUP_DIFFERS",
                        f"the group {group.event_group!r} exists with another filter; delete it, or"
                        " use another name",
                    )
                created = False
                group.checkpoint, group.start_after = before.checkpoint, before.start_after
                await change.change(group)
            await change.note(leaseMs=group.lease_ms, maxAttempts=group.max_attempts)
        return pb.PutEventGroupResponse(group=group, created=created)

    async def all(self, namespace: str) -> list[pb.EventGroup]:
        return await self._store.groups(namespace)

    async def delete(self, namespace: str, name: str) -> None:
        async with self._store.changing(namespace, valid_id(name, "event_group")) as change:
            _known(change, name)
            await change.delete()
            await change.note()

    async def receive(
        self, namespace: str, request: pb.ReceiveEventsRequest
    ) -> list[pb.EventDelivery]:
        """Return deliveries, waiting for the first."""
        name = valid_id(request.event_group, "event_group")
        count = check_range(request.max or 1, "max", 1, limits.RECEIVE_MAX)
        wait_ms = check_range(request.wait_ms, "wait_ms", 0, limits.RECEIVE_WAIT_MS_MAX)
        until = self._clock.monotonic_ms() + wait_ms
        with self._announcements.watched(namespace) as watch:
            while True:
                watch.clear()
                found = await self._take(namespace, name, count)
                left_s = (until - self._clock.monotonic_ms()) / 1_000
                if found or left_s <= 0:
                    return found
                due_s = await self._due_within_s(namespace, name)
                await watch.wait(max(0.0, min(left_s, due_s)))

    async def _due_within_s(self, namespace: str, name: str) -> float:
        due = await self._store.next_due(namespace, name)
        if due is None:
            return LOOK_S
        return min(LOOK_S, max(0.0, (due - self._clock.now_us()) / 1e6))

    async def _take(self, namespace: str, name: str, count: int) -> list[pb.EventDelivery]:
        """Lease events that are due, then events after the checkpoint, in one transaction."""
        now = self._clock.now_us()
        async with self._store.changing(namespace, name) as change:
            group = _known(change, name)
            attempts: dict[int, int] = {}
            for position, attempt in await change.due(now, count):
                attempts[position] = attempt + 1
            exhausted = [each for each, made in attempts.items() if made > group.max_attempts]
            await change.park(exhausted)
            for each in exhausted:
                del attempts[each]
            if len(attempts) < count:
                scanned = await self._streams.scan(
                    namespace, group.filter, group.checkpoint, on=change.connection
                )
                page = chosen_page(scanned.places, count - len(attempts))
                attempts |= dict.fromkeys((each.position for each in page), 1)
                whole = len(page) == len(scanned.places)
                reached = scanned.reached if whole else page[-1].position
                if reached != group.checkpoint:
                    await change.set_checkpoint(reached)
            until = now + group.lease_ms * 1_000
            await change.lease(attempts, until)
            events = await self._streams.events(namespace, sorted(attempts), on=change.connection)
            kept = {each.position for each in events}
            # Events of deleted streams are not delivered.
            await change.drop([each for each in attempts if each not in kept])
            failpoint("eventstore.leased")
        return [
            pb.EventDelivery(event=each, attempt=attempts[each.position], lease_until_us=until)
            for each in events
        ]

    async def settle(self, namespace: str, request: pb.SettleEventsRequest) -> list[int]:
        """Settle deliveries; return the positions of stale ones."""
        name = valid_id(request.event_group, "event_group")
        if len(request.settlements) > limits.RECEIVE_MAX:
            raise invalid("settlements", f"has more than {limits.RECEIVE_MAX} entries")
        for each in request.settlements:
            check_range(each.position, "settlements.position", 1, limits.LAST_VERSION)
            check_range(each.attempt, "settlements.attempt", 1, 2**31 - 1)
            if "\0" in each.failure.error:
                raise invalid("settlements.failure.error", "must not contain a NUL character")
        now = self._clock.now_us()
        async with self._store.changing(namespace, name) as change:
            group = _known(change, name)
            acks = [each for each in request.settlements if not each.HasField("failure")]
            failed = [each for each in request.settlements if each.HasField("failure")]
            settled = await change.acknowledge(acks)
            retry_at = now + group.retry_delay_ms * 1_000
            settled |= await change.give_back(
                failed,
                [
                    None if each.failure.park or each.attempt >= group.max_attempts else retry_at
                    for each in failed
                ],
            )
        failpoint("eventstore.settled")
        return [each.position for each in request.settlements if each.position not in settled]

    async def parked(
        self, namespace: str, request: pb.ListParkedEventsRequest
    ) -> list[pb.ParkedEvent]:
        name = valid_id(request.event_group, "event_group")
        check_range(request.after, "after", 0, limits.LAST_VERSION)
        count = page_size(request.max, most=limits.RECEIVE_MAX)
        async with self._store.changing(namespace, name) as change:
            _known(change, name)
        rows = await self._store.parked(namespace, name, request.after, count)
        events = await self._streams.events(namespace, sorted(rows))
        return [
            pb.ParkedEvent(
                event=each, attempts=rows[each.position][0], error=rows[each.position][1]
            )
            for each in events
        ]

    async def replay(self, namespace: str, request: pb.ReplayParkedEventsRequest) -> int:
        """Deliver parked events again; return their number."""
        name = valid_id(request.event_group, "event_group")
        if len(request.positions) > limits.RECEIVE_MAX:
            raise invalid("positions", f"has more than {limits.RECEIVE_MAX} entries")
        async with self._store.changing(namespace, name) as change:
            _known(change, name)
            replayed = await change.replay(list(request.positions), self._clock.now_us())
            await change.note(replayed=replayed)
        await self._announcements.announce(namespace, 0)
        return replayed


def _known(change: GroupChange, name: str) -> pb.EventGroup:
    if change.group is None:
        raise NotFound("EVENT_GROUP_NOT_FOUND", f"there is no group {name!r}; create it first")
    return change.group
