"""W3C trace context as one string, handed from call to call and from message to message.

This is propagation only: what a span needs to be found again. Spans themselves are recorded by
OpenTelemetry, and only when an OTLP endpoint is set.
"""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b

TRACEPARENT = "traceparent"
_SHAPE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# Ids have to differ, not to be secret, and the system is asked for randomness once.
_draws = random.Random(random.SystemRandom().getrandbits(128))
_current: ContextVar[str] = ContextVar("flowmesh_traceparent", default="")


def current_traceparent() -> str:
    """The trace context this task works for; empty outside any."""
    return _current.get()


def child_traceparent(parent: str = "") -> str:
    """A new span id under the parent's trace, or a new trace where the parent is not one."""
    if is_traceparent(parent):
        return f"{parent[:36]}{_draws.getrandbits(64):016x}{parent[52:]}"
    return f"00-{_draws.getrandbits(128):032x}-{_draws.getrandbits(64):016x}-01"


def named_traceparent(parent: str, name: str) -> str:
    """The context of the span of this name under the parent's trace: always the same one."""
    return f"{parent[:36]}{span_id_of(name)}{parent[52:]}"


def span_id_of(name: str) -> str:
    """A span id made of the name, so that children can be told it before the span is recorded."""
    return blake2b(name.encode(), digest_size=8).hexdigest()


def is_traceparent(text: str) -> bool:
    """Whether the text is a trace context of version 00."""
    return len(text) == 55 and _SHAPE.fullmatch(text) is not None


def enter_trace(traceparent: str) -> None:
    """Makes this the trace context of the running task, for good."""
    _current.set(traceparent)


@contextmanager
def trace(traceparent: str) -> Iterator[None]:
    """Makes this the trace context inside the block."""
    token = _current.set(traceparent)
    try:
        yield
    finally:
        _current.reset(token)
