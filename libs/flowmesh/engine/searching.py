"""What an execution is found by, and the erasure of its values: commands, and how events apply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from flowmesh.api.common.v1 import failure_pb2, payload_pb2, search_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history

if TYPE_CHECKING:
    from flowmesh.engine.decisions.progress import Progress
    from flowmesh.engine.state.state import ExecutionStatus, State

Found: TypeAlias = str | float | bool | int
"""A search value: text, a number, a flag, or a time in microseconds as an int."""

Changed: TypeAlias = history.SearchAttributesSet | history.PayloadsErased

NOTHING_FOUND: Mapping[str, Found] = {}
"""Of executions that nothing is searched by; shared by all of them, compared by identity."""

ERASED = "ERASED"
"""Stands in place of the message of an erased failure."""


class StillOpen(Exception):
    """The command asks something of an execution that has not ended."""

    def __init__(self, status: ExecutionStatus) -> None:
        super().__init__(status)
        self.status = status


@dataclass(slots=True)
class SetAttributes:
    values: tuple[search_pb2.SearchValue, ...]
    removed: tuple[str, ...] = ()
    request_id: str = ""
    actor: str = ""


@dataclass(slots=True)
class Erase:
    reason: str = ""
    request_id: str = ""
    actor: str = ""


def set_attributes(step: Progress, command: SetAttributes) -> None:
    """The caller has seen to it that the execution is open and the command no repeat."""
    step.emit(
        "search_attributes_set",
        history.SearchAttributesSet(
            values=command.values,
            removed=command.removed,
            actor=command.actor,
            request_id=command.request_id,
        ),
    )


def erase(step: Progress, command: Erase) -> None:
    """Once: what is erased stays so, and a repeat changes nothing. Raises StillOpen."""
    state = step.state
    if not state.ended:
        raise StillOpen(state.status)
    if state.erasure is None:
        step.emit(
            "payloads_erased",
            history.PayloadsErased(
                reason=command.reason, actor=command.actor, request_id=command.request_id
            ),
        )


def found_values(values: Iterable[search_pb2.SearchValue]) -> dict[str, Found]:
    """Search values by name, free of the message they came in."""
    return {value.name: getattr(value, value.WhichOneof("value") or "text") for value in values}


def search_messages(found: Mapping[str, Found]) -> list[search_pb2.SearchValue]:
    """And back."""
    messages = []
    for name, value in found.items():
        message = search_pb2.SearchValue(name=name)
        if isinstance(value, bool):
            message.flag = value
        elif isinstance(value, int):
            message.time_us = value
        elif isinstance(value, float):
            message.number = value
        else:
            message.text = value
        messages.append(message)
    return messages


def values_changed(state: State, event: Changed, at_us: int) -> None:
    """Applies an event about values as such."""
    if isinstance(event, history.PayloadsErased):
        _payloads_erased(state, event, at_us)
        return
    kept = {name: value for name, value in state.search.items() if name not in event.removed}
    state.search = {**kept, **found_values(event.values)}


def _payloads_erased(state: State, event: history.PayloadsErased, at_us: int) -> None:
    state.erasure = execution_pb2.Erasure(at_us=at_us, actor=event.actor, reason=event.reason)
    state.input = payload_pb2.Payload(data=b"null")
    state.output = None
    state.failure = without_text(state.failure)
    state.signals = [
        execution_pb2.Signal(name=each.name, received_at_us=each.received_at_us)
        for each in state.signals
    ]
    state.signals_bytes = 0
    state.edits = {}
    state.variables_set, state.variables = (), state.variables[:1]
    if state.closing is not None:
        bare = history.CompensationStarted(outcome=state.closing.outcome)
        failure = state.closing.failure if state.closing.HasField("failure") else None
        bare.failure.CopyFrom(without_text(failure) or bare.failure)
        state.closing = bare
    for scope in tuple(state.all_scopes()):
        for node in scope.nodes.values():
            node.output = None
            node.metadata = b""
            node.failure = without_text(node.failure)
            node.map = node.machine = node.journal = None
            if node.approval is not None:
                node.approval = without_answers(node.approval)
    if state.search:
        labels = {n: v for n, v in state.search.items() if n.startswith("label.")}
        state.search = labels or NOTHING_FOUND


def without_answers(approval: execution_pb2.Approval) -> execution_pb2.Approval:
    """An approval with who was asked and decided, and nothing of what about."""
    bare = execution_pb2.Approval()
    bare.CopyFrom(approval)
    bare.ClearField("details")
    for decision in bare.decisions:
        decision.ClearField("form")
    return bare


def without_text(failure: failure_pb2.Failure | None) -> failure_pb2.Failure | None:
    """A failure with its class and its node and nothing of what it says."""
    if failure is None:
        return None
    bare = failure_pb2.Failure(message=ERASED, node=failure.node, state=failure.state)
    setattr(bare, "class", getattr(failure, "class"))
    return bare
