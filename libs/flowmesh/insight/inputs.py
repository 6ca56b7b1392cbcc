"""What each node got as its input: rendered again from the history, which does not keep it.

A history replayed sees what the templates saw, so what comes out is what a worker was sent. What
needs a stored payload that is not at hand is left out and named, so that a caller can bring it.
Inputs made of the whole context are left out: they are the outputs of all nodes before.
"""

from collections.abc import Callable, Iterable

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.engine import NodeState, State, apply
from flowmesh.plan import (
    PayloadNeeded,
    Plan,
    PlanNode,
    RenderError,
    payload_reader,
    render_input,
    render_items,
)

INPUT_BYTES_MAX = 32 << 20
"""Rendered inputs of one history, in all; later ones are left out."""

NEEDED_MAX = 200
"""Stored payloads that are asked for."""


class Stored:
    """Reads payloads; those stored elsewhere from what was `fetched`, and notes what is missing."""

    def __init__(self, fetched: dict[str, bytes] | None = None) -> None:
        self.fetched = fetched if fetched is not None else {}
        self.missing: dict[str, None] = {}
        self._read = payload_reader(self.fetched)

    def __call__(self, payload: payload_pb2.Payload) -> bytes:
        try:
            return self._read(payload)
        except PayloadNeeded as needed:
            if len(self.missing) < NEEDED_MAX:
                self.missing[needed.digest] = None
            raise


def replayed(
    execution_id: str,
    plan: Plan,
    events: Iterable[pb.HistoryEvent],
    read: Stored,
    after: Callable[[State, pb.HistoryEvent], None],
) -> State:
    """Replays a history with the items of its maps, and calls `after` behind each event."""
    state = State(execution_id, plan)
    for event in events:
        apply(state, event)
        if event.HasField("map_started"):
            _bring_items(state, event.map_started.node, read)
        after(state, event)
    return state


def _bring_items(state: State, node_id: str, read: Stored) -> None:
    node = state.node(node_id)
    if node is None or node.map is None or node.is_group:
        return
    try:
        node.map.items = render_items(state, node, read)
    except (PayloadNeeded, RenderError):
        node.map.items = None


class Inputs:
    """Inputs by node, gathered while a history is replayed."""

    def __init__(self, read: Stored) -> None:
        self.by_node: dict[str, payload_pb2.Payload] = {}
        self._read = read
        self._bytes = 0

    def note(self, state: State, event: pb.HistoryEvent) -> None:
        """Renders the input of a node that has just become ready."""
        if not event.HasField("task_scheduled"):
            return
        node = state.node(event.task_scheduled.node)
        if node is None or not renders(node.planned) or self._bytes > INPUT_BYTES_MAX:
            return
        rendered = input_of(state, node, self._read)
        if rendered is not None:
            self._bytes += len(rendered.data)
            self.by_node[node.id] = rendered


def renders(planned: PlanNode) -> bool:
    """Whether a node has an input of its own that is worth showing."""
    if planned.input is None or planned.input_mode == plan_pb2.INPUT_MODE_CONTEXT:
        return False
    return all(reference.root != "context" for reference in planned.input.references)


def input_of(state: State, node: NodeState, read: Stored) -> payload_pb2.Payload | None:
    """The rendered input of a node; None where it cannot be rendered."""
    try:
        return render_input(state, node, read)
    except (PayloadNeeded, RenderError, LookupError):
        return None
