"""One execution in a batch that is being committed."""

from collections.abc import Sequence

from flowmesh.engine import Transition
from flowmesh.orchestrator.model.commands import PendingCommand, PendingStart
from flowmesh.orchestrator.storage.batch import Message, Row
from flowmesh.orchestrator.storage.states import Entry


class BatchedExecution:
    """One execution in a batch: its state, its transition, and the commands that await it.

    `seen` is the number of its tasks that were considered to be sent ahead of the commit. `carried`
    is True if further decisions are in the next batch. `epoch` is that of the partition at a
    decision beside a commit. `kept` is True after the commit if this process still owns the
    partition at the same epoch.
    """

    __slots__ = (
        "carried",
        "commands",
        "entry",
        "epoch",
        "events",
        "kept",
        "messages",
        "partition",
        "row",
        "seen",
        "start",
        "transition",
    )

    def __init__(self, entry: Entry, partition: int, start: PendingStart | None) -> None:
        self.entry = entry
        self.partition = partition
        self.start = start
        self.transition = Transition(entry.state)
        self.commands: list[PendingCommand] = []
        self.row: Row | None = None
        self.events = b""
        self.messages: Sequence[Message] = ()
        self.kept = False
        self.carried = False
        self.seen = 0
        self.epoch = 0
