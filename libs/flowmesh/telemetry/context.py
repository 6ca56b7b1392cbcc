"""The W3C trace context as a string, propagated by calls and messages.

OpenTelemetry records the spans, if an OTLP endpoint is set.
"""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b

TRACEPARENT = "traceparent"
_SHAPE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# Ids must be unique but not secret, so the system provides only the seed.
_draws = random.Random(random.SystemRandom().getrandbits(128))
_current: ContextVar[str] = ContextVar("flowmesh_traceparent", default="")


def current_traceparent() -> str:
    """Return the trace context of this task; "" without one."""
    return _current.get()


def child_traceparent(parent: str = "") -> str:
    """Return a new span id in the trace of the parent, or in a new trace without a valid parent."""
    if is_traceparent(parent):
        return f"{parent[:36]}{_draws.getrandbits(64):016x}{parent[52:]}"
    return f"00-{_draws.getrandbits(128):032x}-{_draws.getrandbits(64):016x}-01"


def named_traceparent(parent: str, name: str) -> str:
    """Return the context of the named span in the trace of the parent; it is deterministic."""
    return f"{parent[:36]}{span_id_of(name)}{parent[52:]}"


def span_id_of(name: str) -> str:
    """Return a span id derived from the name, known to children before the span is recorded."""
    return blake2b(name.encode(), digest_size=8).hexdigest()


def trace_id_of(traceparent: str) -> str:
    """Return the id of the trace; "" without a context."""
    return traceparent[3:35]


def is_traceparent(text: str) -> bool:
    """Return whether the text is a trace context of version 00."""
    return len(text) == 55 and _SHAPE.fullmatch(text) is not None


def enter_trace(traceparent: str) -> None:
    """Set the trace context of the running task."""
    _current.set(traceparent)


@contextmanager
def trace(traceparent: str) -> Iterator[None]:
    """Set the trace context within the block."""
    token = _current.set(traceparent)
    try:
        yield
    finally:
        _current.reset(token)
