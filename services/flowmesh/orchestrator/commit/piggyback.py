"""What goes with a commit that is made anyway: nothing of it is worth one of its own."""

from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.storage.batch import CommitBatch, Message

ANSWERED_MAX = 1_000
"""Messages that were answered whose rows one commit deletes."""


class PiggybackWrites:
    """Outbox rows that were served, messages that were answered, positions that events wait for."""

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership
        self._served: dict[int, int] = {}
        self.answered: list[tuple[int, str]] = []

    def serve(self, incarnation: int, position: int) -> None:
        """Outbox rows up to this position may go."""
        self._served[incarnation] = max(position, self._served.get(incarnation, 0))

    def answer(self, message: Message) -> None:
        """What was to be told is known where it belongs: its row may go."""
        self.answered.append((message.partition, message.id))

    def add_to(self, batch: CommitBatch, epochs: dict[int, int], incarnation: int) -> None:
        """Adds all of it that is ours to a batch of this incarnation, and its partitions."""
        mine, alive = self._ownership.epochs, self._ownership.is_alive
        # Of partitions that are another's by now the new owner tells again.
        taken, self.answered = self.answered[:ANSWERED_MAX], self.answered[ANSWERED_MAX:]
        batch.answered = [one for one in taken if one[0] in mine]
        for partition, _ in batch.answered:
            epochs[partition] = mine[partition]
        batch.after = self._ownership.take_after()
        # Incarnations that live delete their own.
        for served, position in sorted(self._served.items()):
            if served == incarnation or not alive(served):
                batch.served[served] = position
                del self._served[served]

    def give_back(self, batch: CommitBatch) -> None:
        """The batch was not committed: a later one carries it."""
        self._ownership.give_back_after(batch.after)
        self.answered += batch.answered
        for incarnation, position in batch.served.items():
            self.serve(incarnation, position)
