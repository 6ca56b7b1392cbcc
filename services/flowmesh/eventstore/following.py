"""Subscriptions: stored events, then those appended later, without gap or repeat."""

from collections.abc import AsyncGenerator
from typing import Final

from flowmesh.api.eventstore.v1 import event_store_service_pb2 as pb
from flowmesh.eventstore import limits
from flowmesh.eventstore.announcements import Announcements
from flowmesh.eventstore.checks import check_range, checked_filter, virtual_of
from flowmesh.eventstore.reading import Streams
from flowmesh.eventstore.store import StreamStore
from flowmesh.eventstore.virtual import VirtualStreams

# An announcement may be lost; a subscriber looks by itself after this time.
LOOK_S: Final = 5.0
PAGE_EVENTS: Final = 500


class Following:
    """Catch-up subscriptions."""

    def __init__(
        self,
        *,
        streams: Streams,
        store: StreamStore,
        virtual: VirtualStreams,
        announcements: Announcements,
    ) -> None:
        self._streams = streams
        self._store = store
        self._virtual = virtual
        self._announcements = announcements

    async def events(
        self, namespace: str, request: pb.SubscribeEventsRequest
    ) -> AsyncGenerator[pb.SubscribeEventsResponse, None]:
        """Yield frames of events after a position. Positions are committed in their order."""
        chosen = checked_filter(request.filter, virtual=True)
        check_range(request.after, "after", 0, limits.LAST_VERSION)
        if found := virtual_of(chosen.stream):
            async for event in self._virtual.follow(namespace, *found, request.after):
                yield pb.SubscribeEventsResponse(events=[event], after=event.version)
            return
        with self._announcements.watched(namespace) as watch:
            after = await self._store.head(namespace) if request.live else request.after
            caught_up = False
            while True:
                watch.clear()
                page = await self._streams.events_after(namespace, chosen, after, PAGE_EVENTS)
                if page.events or (page.end and not caught_up):
                    yield pb.SubscribeEventsResponse(
                        events=page.events, after=page.next_after, caught_up=page.end
                    )
                after, caught_up = page.next_after, page.end
                if page.end:
                    await watch.wait(LOOK_S)
