"""Inputs of nodes, rendered again from the history, which does not store them.

A replay sees the same values as the templates did, so the result is the input sent to the worker.
Inputs that need a payload that is not fetched are left out; `missing` names the payload.
"""

from collections.abc import Callable, Collection, Iterable

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.engine import NodeState, State, apply
from flowmesh.insight.parts import Json
from flowmesh.insight.reports import NodeInputs
from flowmesh.plan import (
    PayloadNeeded,
    Plan,
    PlanNode,
    RenderError,
    payload_reader,
    render_input,
    render_items,
)
from flowmesh.views import raw_value

INPUT_BYTES_MAX = 32 << 20
"""Bytes of the rendered inputs of one history; later ones are left out."""

SHOWN_BYTES_MAX = 4 << 20
"""Bytes of the inputs in one report."""

NEEDED_MAX = 200
"""Missing payloads that are named."""


class Stored:
    """A reader of inline and `fetched` payloads that records the missing ones."""

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
    """Replay a history with the items of its maps. Calls `after` after each event."""
    state = State(execution_id, plan)
    for event in events:
        apply(state, event)
        if event.HasField("map_started"):
            _render_items(state, event.map_started.node, read)
        after(state, event)
    return state


def _render_items(state: State, node_id: str, read: Stored) -> None:
    node = state.node(node_id)
    if node is None or node.map is None or node.is_group or node.planned.pages_max:
        return
    try:
        node.map.items = render_items(state, node, read)
    except (PayloadNeeded, RenderError):
        node.map.items = None


class Inputs:
    """Inputs by node, collected during a replay, up to `bytes_max`.

    Inputs made of the whole context are left out unless `contexts` is set. `nodes` restricts the
    inputs to some nodes.
    """

    def __init__(
        self,
        read: Stored,
        *,
        nodes: Collection[str] = (),
        contexts: bool = False,
        bytes_max: int = INPUT_BYTES_MAX,
    ) -> None:
        self.by_node: dict[str, payload_pb2.Payload] = {}
        self.truncated = False
        self._read = read
        self._nodes = frozenset(nodes)
        self._contexts = contexts
        self._bytes_max = bytes_max
        self._bytes = 0

    def note(self, state: State, event: pb.HistoryEvent) -> None:
        """Render the input of a node after the event that scheduled it."""
        if not event.HasField("task_scheduled"):
            return
        node = state.node(event.task_scheduled.node)
        if node is None or (self._nodes and node.id not in self._nodes):
            return
        if not (renders(node.planned) or (self._contexts and has_input(node.planned))):
            return
        if self._bytes > self._bytes_max:
            self.truncated = True
            return
        if self._contexts and not renders(node.planned) and not _context_fetched(state, self._read):
            return
        rendered = input_of(state, node, self._read)
        if rendered is not None:
            self._bytes += len(rendered.data)
            self.by_node[node.id] = rendered


def node_inputs(
    execution_id: str,
    plan: Plan,
    events: Iterable[pb.HistoryEvent],
    read: Stored,
    nodes: Collection[str] = (),
) -> NodeInputs:
    """Return the inputs of some or all nodes; none for an erased execution.

    An input that is a stored payload is shown as its value, if that is fetched.
    """
    found = Inputs(read, nodes=nodes, contexts=True, bytes_max=SHOWN_BYTES_MAX)
    state = replayed(execution_id, plan, events, read, found.note)
    shown: dict[str, Json] = {}
    for node_id, payload in found.by_node.items() if state.erasure is None else ():
        try:
            shown[node_id] = raw_value(payload_pb2.Payload(data=read(payload)))
        except PayloadNeeded:
            found.truncated = True
    return NodeInputs(execution_id=execution_id, inputs=shown, truncated=found.truncated)


def has_input(planned: PlanNode) -> bool:
    return planned.input is not None or planned.input_mode == plan_pb2.INPUT_MODE_CONTEXT


def renders(planned: PlanNode) -> bool:
    """Return whether a node has an input template that does not read the context."""
    if planned.input is None or planned.input_mode == plan_pb2.INPUT_MODE_CONTEXT:
        return False
    return all(reference.root != "context" for reference in planned.input.references)


def _context_fetched(state: State, read: Stored) -> bool:
    """Return whether all payloads of the context can be read; record the missing ones."""
    fetched = True
    outputs = (state.scope.output_of(node.index) for node in state.plan.nodes)
    for payload in (state.input, *outputs):
        try:
            if payload is not None:
                read(payload)
        except PayloadNeeded:
            fetched = False
    return fetched


def input_of(state: State, node: NodeState, read: Stored) -> payload_pb2.Payload | None:
    """Return the rendered input of a node; None if the rendering fails."""
    try:
        return render_input(state, node, read)
    except (PayloadNeeded, RenderError, LookupError):
        return None
