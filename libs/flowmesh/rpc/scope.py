"""Deadline and trace context, which a served call passes to the calls it makes.

The deadline belongs to the task that serves the call; its background tasks do not inherit it.
"""

import asyncio
import time
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any
from weakref import ref

from flowmesh.telemetry.context import (
    TRACEPARENT,
    child_traceparent,
    current_traceparent,
    enter_trace,
    is_traceparent,
)

MetadataItems = Iterable[tuple[str, str | bytes]]
# A weak reference, because the task references the context of this value.
_Deadline = tuple[float, ref[asyncio.Task[Any]]]
_deadline: ContextVar[_Deadline | None] = ContextVar("flowmesh_deadline", default=None)


def enter_call(metadata: MetadataItems | None, seconds_left: float | None) -> None:
    """Set deadline and trace context; call it first in the task that serves a call."""
    enter_trace(_traceparent_of(metadata) or child_traceparent())
    if seconds_left is not None:
        task = asyncio.current_task()
        assert task is not None
        _deadline.set((time.monotonic() + seconds_left, ref(task)))


def _traceparent_of(metadata: MetadataItems | None) -> str:
    for key, value in metadata or ():
        if key == TRACEPARENT and isinstance(value, str) and is_traceparent(value):
            return value
    return ""


def timeout_within(timeout_s: float | None) -> float | None:
    """Return the shorter of the timeout and the remaining time of the call of this task."""
    scope = _deadline.get()
    if scope is None or scope[1]() is not asyncio.current_task():
        return timeout_s
    left = max(0.0, scope[0] - time.monotonic())
    return left if timeout_s is None else min(left, timeout_s)


def with_trace(metadata: MetadataItems | None) -> tuple[tuple[str, str | bytes], ...]:
    """Return the metadata with the trace context of this task."""
    given = tuple(metadata or ())
    traceparent = current_traceparent()
    return (*given, (TRACEPARENT, traceparent)) if traceparent else given
