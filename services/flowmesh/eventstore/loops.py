"""Background task of the event store: retention of streams."""

from flowmesh.eventstore.reading import Streams
from flowmesh.eventstore.store import StreamStore
from flowmesh.runtime import Loop


class StreamRetentionLoop(Loop):
    """Deletes the events beyond the bounds of streams."""

    interval_ms = 60_000

    def __init__(self, *, store: StreamStore, streams: Streams) -> None:
        self._store = store
        self._streams = streams

    async def run_once(self) -> int:
        """Return the number of deleted events."""
        deleted = 0
        for namespace, stream in await self._store.bounded():
            deleted += await self._streams.trim(namespace, stream)
        return deleted
