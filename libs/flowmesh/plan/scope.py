"""What templates see: the execution's input, the outputs of ended nodes, the context."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import msgspec

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.expressions import RenderError
from flowmesh.plan.compiled import Plan, PlanNode

PayloadReader = Callable[[payload_pb2.Payload], bytes]
"""Gives the bytes of a payload; raises PayloadNeeded for a reference that is not at hand."""


class Outputs(Protocol):
    """The part of an execution's state that templates read."""

    execution_id: str
    plan: Plan
    input: payload_pb2.Payload

    def output_of(self, index: int) -> payload_pb2.Payload | None:
        """Output of a node that completed, else None."""


class PayloadNeeded(Exception):
    """A referenced payload must be fetched before this can be rendered."""

    def __init__(self, digest: str) -> None:
        super().__init__(digest)
        self.digest = digest


def inline(payload: payload_pb2.Payload) -> bytes:
    """The reader for whoever has nothing fetched: inline bytes, or PayloadNeeded."""
    if payload.HasField("reference"):
        raise PayloadNeeded(payload.reference.digest)
    return payload.data


def decode(payload: payload_pb2.Payload | None, read: PayloadReader = inline) -> Any:
    """The JSON value of a payload, integers exact; None where there is none.

    Raises RenderError for what is not JSON.
    """
    if payload is None:
        return None
    data = read(payload)
    if not data:
        return None
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RenderError("payload", "the value is not JSON") from error


class _Tasks(Mapping[str, Any]):
    """`tasks.<id>.output`, decoded only when looked at."""

    __slots__ = ("_read", "_state")

    def __init__(self, state: Outputs, read: PayloadReader) -> None:
        self._state = state
        self._read = read

    def __getitem__(self, node: str) -> dict[str, Any]:
        output = self._state.output_of(self._state.plan.index[node])
        if output is None:
            raise KeyError(node)
        return {"output": decode(output, self._read)}

    def __iter__(self) -> Iterator[str]:
        return iter(self._state.plan.index)

    def __len__(self) -> int:
        return len(self._state.plan.index)


class _Scope(Mapping[str, Any]):
    """The roots of a template, each made only when looked at."""

    __slots__ = ("_read", "_state")

    def __init__(self, state: Outputs, read: PayloadReader) -> None:
        self._state = state
        self._read = read

    def __getitem__(self, root: str) -> Any:
        match root:
            case "input":
                return decode(self._state.input, self._read)
            case "tasks":
                return _Tasks(self._state, self._read)
            case "context":
                return context_of(self._state, self._read)
            case "execution":
                return {"id": self._state.execution_id}
        raise KeyError(root)

    def __iter__(self) -> Iterator[str]:
        return iter(("input", "tasks", "context", "execution"))

    def __len__(self) -> int:
        return 4


def scope_of(state: Outputs, read: PayloadReader = inline) -> Mapping[str, Any]:
    """What a template of this execution may refer to."""
    return _Scope(state, read)


def context_of(state: Outputs, read: PayloadReader = inline) -> dict[str, Any]:
    """The execution's input merged with the outputs of its completed nodes under their ids."""
    value = decode(state.input, read)
    context = dict(value) if isinstance(value, dict) else {}
    for node in state.plan.nodes:
        output = state.output_of(node.index)
        if output is not None:
            context[node.id] = decode(output, read)
    return context


_EMPTY = payload_pb2.Payload(data=b"null")


def render_input(
    state: Outputs, node: PlanNode, read: PayloadReader = inline
) -> payload_pb2.Payload:
    """The input of a node's task.

    A template that is exactly one reference to a whole value hands the stored bytes on unread.

    Raises RenderError where data is not what the template expects, PayloadNeeded where a
    referenced payload must be fetched first.
    """
    if node.input_mode == plan_pb2.INPUT_MODE_CONTEXT:
        return payload_pb2.Payload(data=msgspec.json.encode(context_of(state, read)))
    template = node.input
    if template is None:
        return _EMPTY
    whole = template.whole
    if whole is not None:
        if whole.root == "input" and not whole.path:
            return state.input
        if whole.root == "tasks" and len(whole.path) == 2 and whole.path[1] == "output":
            output = state.output_of(state.plan.index[str(whole.path[0])])
            if output is not None:
                return output
    return payload_pb2.Payload(data=msgspec.json.encode(template.render(scope_of(state, read))))
