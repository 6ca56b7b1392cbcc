"""What a new owner of partitions asks of worker services: which of their tasks they hold."""

import asyncio
from collections.abc import Iterable, Mapping

from flowmesh.orchestrator.attached import Attached


class Claims:
    """Claims that have not been answered by all."""

    def __init__(self) -> None:
        self._open: list[tuple[dict[Attached, set[int]], asyncio.Event]] = []

    def ask(
        self, streams: Iterable[Attached], partitions: Iterable[int], epochs: Mapping[int, int]
    ) -> asyncio.Event:
        """Asks each of the streams; the event says that all answered."""
        answered = asyncio.Event()
        mine = [partition for partition in partitions if partition in epochs]
        waiting: dict[Attached, set[int]] = {}
        for stream in streams if mine else ():
            stream.out.claim_partitions.extend(mine)
            stream.out.claim_epochs.extend(epochs[partition] for partition in mine)
            stream.flush_soon()
            waiting[stream] = set(mine)
        if waiting:
            self._open.append((waiting, answered))
        else:
            answered.set()
        return answered

    def answered(self, stream: Attached, partitions: set[int] | None = None) -> None:
        """A stream has answered for these partitions, or is gone and answers for none.

        Partitions are handed over one by one: the answer about one says nothing of the next.
        """
        for waiting, answered in self._open:
            if stream in waiting:
                waiting[stream] -= waiting[stream] if partitions is None else partitions
                if not waiting[stream]:
                    del waiting[stream]
            if not waiting:
                answered.set()
        self._open = [claim for claim in self._open if claim[0]]
