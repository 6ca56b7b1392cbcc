"""One execution in a batch that is being committed."""

from collections.abc import Sequence

from flowmesh.engine import Transition
from flowmesh.orchestrator.model.commands import PendingCommand, PendingStart
from flowmesh.orchestrator.storage.batch import Message, Row
from flowmesh.orchestrator.storage.states import Entry


class BatchedExecution:
    """One execution in a batch: its state, its transition, and the commands that await it.

    `kept` is True after the commit if this process still owns the partition at the same epoch.
    """

    __slots__ = (
        "commands",
        "entry",
        "events",
        "kept",
        "messages",
        "partition",
        "row",
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
