"""The events and effects of commands, and the errors of commands."""

from __future__ import annotations

from flowmesh.api.execution.v1 import execution_service_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import NodeState, State


class Ended(Exception):
    """The command requires an open execution."""

    def __init__(self, status: s.ExecutionStatus) -> None:
        super().__init__(status)
        self.status = status


class Unfit(Exception):
    """The command does not fit the status, such as a pause of a paused execution."""

    def __init__(self, status: s.ExecutionStatus) -> None:
        super().__init__(status)
        self.status = status


class NodeMissing(Exception):
    """No node of this name has begun or can begin."""


class NodeUnfit(Exception):
    """The state of the node does not allow the action; the message names what is possible."""


class Full(Exception):
    """A limit of the execution is reached; the message names it."""

    def __init__(self, reason: str, held: str) -> None:
        super().__init__(held)
        self.reason = reason


class Transition:
    """The events and effects of the commands of one batch on one execution.

    `dispatch` holds nodes with an attempt to send to a worker, `cancel` attempts to stop (node,
    attempt). `asks` are nodes with a body that needs its items or first value, or continues
    (Expand), or has all outputs (Collect). `needs_payload` is the digest that the output template
    requires, or "output" if the rendered output must be stored. `closed` are the completed and
    failed nodes, `retried` the nodes with a retry. `messages` go to other executions.
    `handler_updates` are durable handlers with the number of journal records that their worker
    knows; None if there are none.
    """

    __slots__ = (
        "asks",
        "cancel",
        "closed",
        "dispatch",
        "ended",
        "first_sequence",
        "handler_updates",
        "history",
        "messages",
        "needs_payload",
        "retried",
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
        self.handler_updates: dict[str, tuple[NodeState, int]] | None = None

    def message(self, state: State) -> execution_service_pb2.ExecutionMessage:
        """Add a message to another execution, for the caller to fill."""
        message = execution_service_pb2.ExecutionMessage(
            namespace=state.plan.namespace,
            execution_id=state.execution_id,
            traceparent=state.traceparent,
        )
        self.messages.append(message)
        return message

    def update_handler(self, node: NodeState, known: int) -> None:
        """Send the worker of a handler the journal records after the first `known`."""
        if self.handler_updates is None:
            self.handler_updates = {}
        before = self.handler_updates.get(node.id)
        least = min(known, before[1]) if before is not None else known
        self.handler_updates[node.id] = (node, least)
