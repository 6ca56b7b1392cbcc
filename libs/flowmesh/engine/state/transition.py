"""What a command did: the events it added and what the world must be told of them."""

from __future__ import annotations

from flowmesh.api.execution.v1 import execution_service_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import NodeState, State


class Ended(Exception):
    """The command asks something of an execution that has ended."""

    def __init__(self, status: s.ExecutionStatus) -> None:
        super().__init__(status)
        self.status = status


class Unfit(Exception):
    """The command does not fit the status: a pause of what is paused, a resumption of what runs."""

    def __init__(self, status: s.ExecutionStatus) -> None:
        super().__init__(status)
        self.status = status


class NodeMissing(Exception):
    """No node of this name has begun, or could."""


class NodeUnfit(Exception):
    """The node's state does not allow what is asked; says why and what would be possible."""


class Full(Exception):
    """The execution has as much of something as it may; says of what."""

    def __init__(self, reason: str, held: str) -> None:
        super().__init__(held)
        self.reason = reason


class Transition:
    """What commands of one batch did to one execution, and what the world must be told of it.

    `dispatch` holds nodes whose current attempt is to be sent to a worker, `cancel` those whose
    worker is to stop (node, attempt); `asks` nodes whose body needs its items or its first value,
    or is to go on (Expand), or has all outputs (Collect). `needs_payload` is the digest the output
    template waits for, or "output" where the rendered output is to be stored. `closed` are the
    nodes that completed or failed, `retried` those that failed and are tried again. `messages` are
    for other executions. `told` are durable handlers with the records of their journal that their
    worker knows; None if there are none.
    """

    __slots__ = (
        "asks",
        "cancel",
        "closed",
        "dispatch",
        "ended",
        "first_sequence",
        "history",
        "messages",
        "needs_payload",
        "retried",
        "told",
    )

    def __init__(self, state: State) -> None:
        self.first_sequence = state.sequence + 1
        self.history = history.HistoryEvents()
        self.dispatch: list[NodeState] = []
        self.cancel: list[tuple[str, int]] = []
        self.asks: list[NodeState] = []
        self.closed: list[NodeState] = []
        self.retried: list[NodeState] = []
        self.messages: list[execution_service_pb2.ExecutionMessage] = []
        self.ended = False
        self.needs_payload = ""
        self.told: dict[str, tuple[NodeState, int]] | None = None

    def message(self, state: State) -> execution_service_pb2.ExecutionMessage:
        """A message to another execution, to be filled in place."""
        message = execution_service_pb2.ExecutionMessage(
            namespace=state.plan.namespace,
            execution_id=state.execution_id,
            traceparent=state.traceparent,
        )
        self.messages.append(message)
        return message

    def tell(self, node: NodeState, known: int) -> None:
        """Has the worker of a handler told what comes after these records of its journal."""
        if self.told is None:
            self.told = {}
        before = self.told.get(node.id)
        self.told[node.id] = (node, min(known, before[1]) if before is not None else known)
