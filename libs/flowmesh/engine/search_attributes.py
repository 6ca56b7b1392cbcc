"""Search attributes of an execution: the command that sets them, and their event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from flowmesh.api.common.v1 import search_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history

if TYPE_CHECKING:
    from flowmesh.engine.decisions.step import Step
    from flowmesh.engine.state.state import State

SearchValue: TypeAlias = str | float | bool | int
"""A text, a number, a flag, or a time in microseconds as an int."""

NO_SEARCH_VALUES: Mapping[str, SearchValue] = {}
"""Shared by all executions without search attributes; compared by identity."""


@dataclass(slots=True)
class SetAttributes:
    values: tuple[search_pb2.SearchValue, ...]
    removed: tuple[str, ...] = ()
    request_id: str = ""
    actor: str = ""


def set_attributes(step: Step, command: SetAttributes) -> None:
    """Record new values. The caller has checked the status and the request id."""
    step.emit(
        "search_attributes_set",
        history.SearchAttributesSet(
            values=command.values,
            removed=command.removed,
            actor=command.actor,
            request_id=command.request_id,
        ),
    )


def search_values(messages: Iterable[search_pb2.SearchValue]) -> dict[str, SearchValue]:
    """Return the values of messages by name. The result does not refer to the messages."""
    return {value.name: getattr(value, value.WhichOneof("value") or "text") for value in messages}


def search_messages(values: Mapping[str, SearchValue]) -> list[search_pb2.SearchValue]:
    """Return values as messages; the reverse of `search_values`."""
    messages = []
    for name, value in values.items():
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


def apply_set(state: State, event: history.SearchAttributesSet) -> None:
    kept = {name: value for name, value in state.search.items() if name not in event.removed}
    state.search = {**kept, **search_values(event.values)}
