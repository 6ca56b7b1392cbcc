"""Low-priority writes that the next commit carries; none justifies a commit of its own."""

from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.batch import CommitBatch, Message

ANSWERED_MAX = 1_000
"""Limit of answered messages whose rows one commit deletes."""


class PiggybackWrites:
    """Published outbox rows, answered messages, and positions that events wait for."""

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership
        self._served: dict[int, int] = {}
        self.answered: list[tuple[int, str]] = []

    def mark_served(self, incarnation: int, position: int) -> None:
        """Delete outbox rows up to this position."""
        self._served[incarnation] = max(position, self._served.get(incarnation, 0))

    def mark_answered(self, message: Message) -> None:
        """Delete the row of a message that its receiver has confirmed."""
        self.answered.append((message.partition, message.id))

    def add_to(self, batch: CommitBatch, epochs: dict[int, int], incarnation: int) -> None:
        """Add the writes of owned partitions to a batch of this incarnation."""
        mine, alive = self._ownership.epochs, self._ownership.is_alive
        # The new owner of a lost partition sends its messages again.
        taken, self.answered = self.answered[:ANSWERED_MAX], self.answered[ANSWERED_MAX:]
        batch.answered = [one for one in taken if one[0] in mine]
        for partition, _ in batch.answered:
            epochs[partition] = mine[partition]
        batch.after = self._ownership.take_after()
        # Other live incarnations delete their own rows.
        for served, position in sorted(self._served.items()):
            if served == incarnation or not alive(served):
                batch.served[served] = position
                del self._served[served]

    def restore(self, batch: CommitBatch) -> None:
        """Keep the writes of a batch that was not committed for a later one."""
        self._ownership.give_back_after(batch.after)
        self.answered += batch.answered
        for incarnation, position in batch.served.items():
            self.mark_served(incarnation, position)
