"""Values for templates: the execution's input, the outputs of ended nodes, the context."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import msgspec

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.expressions import MOMENT, Moment, RenderError, instant
from flowmesh.plan.compiled import Graph, Plan, PlanNode

ITEMS_MAX = 1_000_000
"""Items of one map."""

PayloadReader = Callable[[payload_pb2.Payload], bytes]
"""Returns the bytes of a payload. Raises PayloadNeeded for a reference that is not fetched."""


class ScopeValues(Protocol):
    """The part of a running graph's state that templates in it read."""

    graph: Graph

    @property
    def parent(self) -> "ScopeValues | None":
        """The graph around this one."""

    def output_of(self, index: int) -> payload_pb2.Payload | None:
        """Return the output of a completed node, else None."""

    def ended_node(self, index: int) -> "NodeValues | None":
        """Return a node that has begun or ended."""

    def binding(self, name: str, read: PayloadReader) -> Any:
        """Return the value bound to a name in this graph or the nearest one around it.

        Raises KeyError for an unbound name, ItemsNeeded, and errors of `read`.
        """

    def machine_value(self) -> payload_pb2.Payload | None:
        """Return the value of the nearest state machine around this graph."""


class ExecutionValues(Protocol):
    """The part of an execution's state that templates read."""

    execution_id: str
    plan: Plan
    input: payload_pb2.Payload
    started_at_us: int
    edits: Mapping[str, payload_pb2.Payload]

    @property
    def scope(self) -> ScopeValues:
        """The graph of the plan."""

    @property
    def last_node_ended_at_us(self) -> int:
        """The time at which the last node of the plan's graph ended."""

    def variables_of(self, node: Any) -> Mapping[str, Any]:
        """Return the variables as a node sees them; without a node the current ones."""


class NodeValues(Protocol):
    """A node of a running graph; `id` is unique in its execution."""

    id: str
    planned: PlanNode
    scheduled_at_us: int

    @property
    def scope(self) -> ScopeValues:
        """The graph of the node."""


class FetchNeeded(Exception):
    """A payload or items must be fetched before the rendering."""


class PayloadNeeded(FetchNeeded):
    """A referenced payload must be fetched."""

    def __init__(self, digest: str) -> None:
        super().__init__(digest)
        self.digest = digest


class ItemsNeeded(FetchNeeded):
    """The items of a map must be rendered again; they are not stored."""

    def __init__(self, node: NodeValues) -> None:
        super().__init__(node.planned.id)
        self.node = node


def payload_reader(fetched: Mapping[str, bytes]) -> PayloadReader:
    """Return a reader of inline bytes and of fetched payloads by digest."""

    def read(payload: payload_pb2.Payload) -> bytes:
        if not payload.HasField("reference"):
            return payload.data
        digest = payload.reference.digest
        if digest not in fetched:
            raise PayloadNeeded(digest)
        return fetched[digest]

    return read


inline = payload_reader({})
"""The reader of inline payloads only."""


def decode(payload: payload_pb2.Payload | None, read: PayloadReader = inline) -> Any:
    """Return the JSON value of a payload with exact integers; None for no payload.

    Raises RenderError for invalid JSON.
    """
    if payload is None:
        return None
    data = read(payload)
    if not data:
        return None
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RenderError("payload", "the value is not JSON") from error


def decode_if_json(data: bytes) -> Any:
    """Return the JSON value of bytes; None for invalid JSON."""
    try:
        return decode(payload_pb2.Payload(data=data))
    except RenderError:
        return None


def _output_named(scope: ScopeValues, name: str) -> payload_pb2.Payload | None:
    """Return the output of the named task in this graph or one around it."""
    around: ScopeValues | None = scope
    while around is not None:
        node = around.graph.by_id.get(name)
        if node is not None:
            return around.output_of(node.index)
        around = around.parent
    return None


class _Tasks(Mapping[str, Any]):
    """`tasks.<id>.output`, decoded on access."""

    __slots__ = ("_read", "_scope")

    def __init__(self, scope: ScopeValues, read: PayloadReader) -> None:
        self._scope = scope
        self._read = read

    def __getitem__(self, name: str) -> dict[str, Any]:
        output = _output_named(self._scope, name)
        if output is None:
            raise KeyError(name)
        return {"output": decode(output, self._read)}

    def __iter__(self) -> Iterator[str]:
        return iter(self._scope.graph.by_id)

    def __len__(self) -> int:
        return len(self._scope.graph.by_id)


class _Values(Mapping[str, Any]):
    """The roots of a template, each computed on access."""

    __slots__ = ("_execution", "_node", "_read", "_scope")

    def __init__(
        self,
        execution: ExecutionValues,
        scope: ScopeValues,
        read: PayloadReader,
        node: NodeValues | None = None,
    ) -> None:
        self._execution = execution
        self._scope = scope
        self._read = read
        self._node = node

    def __getitem__(self, root: str) -> Any:
        match root:
            case "input":
                return decode(self._execution.input, self._read)
            case "tasks":
                return _Tasks(self._scope, self._read)
            case "context":
                return context_of(self._execution, self._read)
            case "variables":
                return self._execution.variables_of(self._node)
            case "execution":
                started = instant(self._execution.started_at_us)
                return {"id": self._execution.execution_id, "startedAt": started}
            case "undo" if self._node is not None:
                return _undone(self._execution, self._node, self._read)
            case _ if root == MOMENT:
                return moment_of(self._execution, self._node)
        return self._scope.binding(root, self._read)

    def __iter__(self) -> Iterator[str]:
        return iter(("input", "tasks", "context", "execution"))

    def __len__(self) -> int:
        return 4


def _undone(execution: ExecutionValues, node: NodeValues, read: PayloadReader) -> dict[str, Any]:
    """Return input and output of the node that this one undoes."""
    undoes = node.planned.undoes
    done = node.scope.ended_node(undoes.index) if undoes is not None else None
    if undoes is None or done is None:
        return {}
    return {
        "input": decode(render_input(execution, done, read), read),
        "output": decode(node.scope.output_of(undoes.index), read),
    }


def moment_of(execution: ExecutionValues, node: NodeValues | None) -> Moment:
    """Return the schedule time of a node, or the end of the last node for the execution.

    Both are facts of the history, so a repeated rendering has the same result.
    """
    if node is None:
        return Moment(execution.execution_id, execution.last_node_ended_at_us)
    return Moment(f"{execution.execution_id}/{node.id}", node.scheduled_at_us)


def values_of(execution: ExecutionValues, read: PayloadReader = inline) -> Mapping[str, Any]:
    """Return the values for a template of the execution itself."""
    return _Values(execution, execution.scope, read)


def context_of(execution: ExecutionValues, read: PayloadReader = inline) -> dict[str, Any]:
    """Return the input merged with the outputs of completed nodes under their ids."""
    value = decode(execution.input, read)
    context = dict(value) if isinstance(value, dict) else {}
    for node in execution.plan.nodes:
        output = execution.scope.output_of(node.index)
        if output is not None:
            context[node.id] = decode(output, read)
    return context


_EMPTY = payload_pb2.Payload(data=b"null")
NO_NAMES: Mapping[str, Any] = {}


def render_input(
    execution: ExecutionValues, node: NodeValues, read: PayloadReader = inline
) -> payload_pb2.Payload:
    """Return the input of a node's task.

    A template that is one reference to a whole value returns its stored bytes without decoding.

    Raises RenderError for data that the template does not accept, FetchNeeded for missing payloads.
    """
    if execution.edits and node.id in execution.edits:
        return execution.edits[node.id]
    if node.planned.input_mode == plan_pb2.INPUT_MODE_CONTEXT:
        return payload_pb2.Payload(data=msgspec.json.encode(context_of(execution, read)))
    template = node.planned.input
    if template is None:
        return node.planned.given or _EMPTY
    whole = template.whole
    if whole is not None:
        if whole.root == "input" and not whole.path:
            return execution.input
        if whole.root == "tasks" and len(whole.path) == 2 and whole.path[1] == "output":
            output = _output_named(node.scope, str(whole.path[0]))
            if output is not None:
                return output
        if whole.root == "state" and not whole.path:
            return node.scope.machine_value() or _EMPTY
    values = _Values(execution, node.scope, read, node)
    return payload_pb2.Payload(data=msgspec.json.encode(template.render(values)))


def render_names(
    execution: ExecutionValues, node: NodeValues, read: PayloadReader = inline
) -> Mapping[str, Any]:
    """Return the rendered `workflow` and `id` of the execution that a node starts.

    Raises as `render_input`.
    """
    template = node.planned.names
    if template is None:
        return NO_NAMES
    names: Mapping[str, Any] = template.render(_Values(execution, node.scope, read, node))
    return names


def render_items(execution: ExecutionValues, node: NodeValues, read: PayloadReader) -> list[Any]:
    """Return the items of a map. Raises RenderError for another value than a list, FetchNeeded."""
    assert node.planned.input is not None
    if node.id in execution.edits:
        items = decode(execution.edits[node.id], read)
    else:
        items = node.planned.input.render(_Values(execution, node.scope, read, node))
    if not isinstance(items, list):
        raise RenderError("items", f"expected a list, got {_kind_of(items)}")
    if len(items) > ITEMS_MAX:
        raise RenderError("items", f"{len(items)} items, at most {ITEMS_MAX}")
    size = node.planned.batch
    return [items[at : at + size] for at in range(0, len(items), size)] if size else items


def next_page(node: NodeValues, read: PayloadReader) -> payload_pb2.Payload | None:
    """Return the cursor of the next page of a map; None after the last. Raises FetchNeeded."""
    if not node.planned.next_path:
        return None
    value = decode(node.scope.output_of(node.planned.dependencies[0]), read)
    for key in node.planned.next_path:
        value = value.get(key) if isinstance(value, dict) else None
    if value is None or value is False or value == "":
        return None
    return payload_pb2.Payload(data=msgspec.json.encode(value))


def _kind_of(value: Any) -> str:
    names = {dict: "an object", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
