"""Claims: requests of a new owner to worker services for the tasks that they hold."""

import asyncio
from collections.abc import Iterable, Mapping

from flowmesh.orchestrator.dispatch.attachment import WorkerStream


class Claim:
    """A claim of partitions. `settled` is set when no worker is left that could hold tasks.

    `asked` are streams with unanswered partitions. `awaited` are workers of the former owner that
    have not reconnected; None if they are unknown, so that the claim is never settled early.
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
    """Open claims."""

    def __init__(self) -> None:
        self._open: list[Claim] = []

    def ask(
        self,
        streams: Iterable[WorkerStream],
        partitions: Iterable[int],
        epochs: Mapping[int, int],
        awaited: Iterable[str] | None,
    ) -> Claim:
        """Send a claim to each stream; `awaited` are workers that are not connected."""
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
        """Record the answer of a stream for these partitions; None stands for a closed stream.

        Partitions are handed over one by one, so each of them needs its own answer.
        """
        for claim in self._open:
            if stream in claim.asked:
                claim.asked[stream] -= claim.asked[stream] if partitions is None else partitions
                if not claim.asked[stream]:
                    del claim.asked[stream]
                    claim.check()

    def workers_arrived(self, workers: Iterable[str]) -> None:
        """Record workers that reconnected and reported their tasks."""
        for claim in self._open:
            if claim.awaited:
                claim.awaited.difference_update(workers)
                claim.check()

    def end(self, claim: Claim) -> None:
        """Remove a claim."""
        self._open.remove(claim)

    @property
    def awaited(self) -> set[str] | None:
        """Workers that may still reconnect; None while they are unknown."""
        found: set[str] = set()
        for claim in self._open:
            if claim.awaited is None:
                return None
            found |= claim.awaited
        return found
