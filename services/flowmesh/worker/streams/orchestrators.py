"""A stream to every orchestrator in the registry."""

import asyncio
from collections.abc import Callable, Mapping

from flowmesh.worker import limits
from flowmesh.worker.streams.orchestrator_stream import OrchestratorStream


class Orchestrators:
    """Opens and closes streams as orchestrators join and leave the registry."""

    def __init__(self, *, make_stream: Callable[[str, str], OrchestratorStream]) -> None:
        self._make_stream = make_stream
        self._streams: dict[str, tuple[OrchestratorStream, asyncio.Task[None]]] = {}
        self._closed = False

    def update(self, addresses: Mapping[str, str]) -> None:
        """Set the current instances, ids to addresses.

        An instance that has left keeps its stream until it breaks.
        """
        if self._closed:
            return
        for instance_id, (stream, task) in list(self._streams.items()):
            stream.retired = instance_id not in addresses
            if task.done():
                del self._streams[instance_id]
        for instance_id, address in addresses.items():
            if instance_id not in self._streams:
                stream = self._make_stream(instance_id, address)
                self._streams[instance_id] = (stream, asyncio.create_task(stream.run()))

    async def close(self) -> None:
        """End all streams; wait up to FINISH_MS until their queues are sent."""
        self._closed = True
        tasks = [task for _, task in self._streams.values()]
        for stream, _ in self._streams.values():
            stream.finish()
        self._streams.clear()
        if tasks:
            await asyncio.wait(tasks, timeout=limits.FINISH_MS / 1000)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
