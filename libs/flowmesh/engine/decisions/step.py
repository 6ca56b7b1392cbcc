"""The working set of one decision: the state, the time and the transition."""

from __future__ import annotations

from typing import Any

from flowmesh.engine.events.apply import APPLY
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import NodeState, Scope, State
from flowmesh.engine.state.transition import Ended, Transition
from flowmesh.plan import PlanNode


class Step:
    """The state that a command advances, and the transition that receives its events.

    `begun` counts the nodes begun in bodies, `asked` is the body that continues in a later
    command, `chosen` the id of the node that holds a slot of the plan's parallelism.
    """

    __slots__ = ("asked", "begun", "chosen", "now", "out", "plan", "state")

    def __init__(self, state: State, now_us: int, out: Transition) -> None:
        self.state = state
        self.plan = state.plan
        self.now = max(now_us, state.started_at_us)
        self.out = out
        self.begun = 0
        self.asked: NodeState | None = None
        self.chosen = ""

    def emit(self, kind: str, body: Any) -> None:
        added = self.add(kind)
        added.CopyFrom(body)
        added.SetInParent()
        APPLY[kind](self.state, added, self.now)

    def add(self, kind: str) -> Any:
        """Append an event and return its body, for the caller to fill and apply.

        Half the cost of `emit`, which copies a body.
        """
        state = self.state
        state.sequence += 1
        event = self.out.history.events.add()
        event.sequence = state.sequence
        event.at_us = self.now
        return getattr(event, kind)

    def started(
        self, node: NodeState, worker_id: str = "", delivery: int = 1, started_at_us: int = 0
    ) -> None:
        body = self.add("task_started")
        body.node = node.id
        body.attempt = node.attempt
        body.worker_id = worker_id
        body.delivery = delivery
        body.started_at_us = started_at_us
        APPLY["task_started"](self.state, body, self.now)

    def scheduled(self, scope: Scope, planned: PlanNode) -> NodeState:
        """Begin the next attempt of a node."""
        body = self.add("task_scheduled")
        body.node = scope.prefix + planned.id if scope.prefix else planned.id
        body.attempt = scope.next_attempt(planned)
        APPLY["task_scheduled"](self.state, body, self.now)
        return scope.nodes[planned.index]

    def schedule(self, scope: Scope, planned: PlanNode) -> None:
        self.out.dispatch.append(self.scheduled(scope, planned))

    def ask(self, node: NodeState) -> None:
        """Request items, a value or stored outputs for a body; a timer repeats the request."""
        self.state.set_timer(node.id, self.now + s.ASK_AGAIN_US)
        self.out.asks.append(node)


def repeated(step: Step, request_id: str) -> bool:
    """Return whether the command was applied before. Raises Ended for a new command."""
    if request_id and request_id in step.state.requests:
        return True
    if step.state.ended:
        raise Ended(step.state.status)
    return False
