"""One execution in a batch that is being committed."""

from collections.abc import Sequence

from flowmesh.engine import Transition
from flowmesh.orchestrator.batch import Message, Row
from flowmesh.orchestrator.states import Entry
from flowmesh.orchestrator.works import StartWork, Work


class Touched:
    """One execution in a batch: its state, what followed, and who waits for it.

    `kept` says after the commit that its partition is ours still, at the epoch of the commit.
    """

    __slots__ = (
        "entry",
        "events",
        "kept",
        "messages",
        "partition",
        "row",
        "start",
        "transition",
        "works",
    )

    def __init__(self, entry: Entry, partition: int, start: StartWork | None) -> None:
        self.entry = entry
        self.partition = partition
        self.start = start
        self.transition = Transition(entry.state)
        self.works: list[Work] = []
        self.row: Row | None = None
        self.events = b""
        self.messages: Sequence[Message] = ()
        self.kept = False
