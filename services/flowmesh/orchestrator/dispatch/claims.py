"""What a new owner of partitions asks of worker services: which of their tasks they hold."""

import asyncio
from collections.abc import Iterable, Mapping

from flowmesh.orchestrator.dispatch.attachment import WorkerStream


class Claim:
    """Partitions that were asked about. `settled` is set when nobody is left who could hold tasks.

    `asked` are streams that have not answered for some of them, `awaited` workers of the former
    owner that are not back; None is whoever comes, so that nobody can say when all are there.
    """

    def __init__(self, asked: dict[WorkerStream, set[int]], awaited: set[str] | None) -> None:
        self.asked = asked
        self.awaited = awaited
        self.settled = asyncio.Event()
        self.check()

    def check(self) -> None:
        if not self.asked and self.awaited is not None and not self.awaited:
            self.settled.set()


class Claims:
    """Claims that may still wait for somebody."""

    def __init__(self) -> None:
        self._open: list[Claim] = []

    def ask(
        self,
        streams: Iterable[WorkerStream],
        partitions: Iterable[int],
        epochs: Mapping[int, int],
        awaited: Iterable[str] | None,
    ) -> Claim:
        """Asks each of the streams; `awaited` are workers that are not there."""
        mine = [partition for partition in partitions if partition in epochs]
        asked: dict[WorkerStream, set[int]] = {}
        for stream in streams if mine else ():
            stream.out.claim_partitions.extend(mine)
            stream.out.claim_epochs.extend(epochs[partition] for partition in mine)
            stream.flush_soon()
            asked[stream] = set(mine)
        claim = Claim(asked, None if awaited is None else set(awaited))
        self._open.append(claim)
        return claim

    def answered(self, stream: WorkerStream, partitions: set[int] | None = None) -> None:
        """A stream has answered for these partitions, or is gone and answers for none.

        Partitions are handed over one by one: the answer about one says nothing of the next.
        """
        for claim in self._open:
            if stream in claim.asked:
                claim.asked[stream] -= claim.asked[stream] if partitions is None else partitions
                if not claim.asked[stream]:
                    del claim.asked[stream]
                    claim.check()

    def workers_arrived(self, workers: Iterable[str]) -> None:
        """These workers are there, and what they hold is known."""
        for claim in self._open:
            if claim.awaited:
                claim.awaited.difference_update(workers)
                claim.check()

    def end(self, claim: Claim) -> None:
        """Nobody waits for it any more."""
        self._open.remove(claim)

    @property
    def awaited(self) -> set[str] | None:
        """Workers that may still come back; None while nobody knows who does."""
        found: set[str] = set()
        for claim in self._open:
            if claim.awaited is None:
                return None
            found |= claim.awaited
        return found
