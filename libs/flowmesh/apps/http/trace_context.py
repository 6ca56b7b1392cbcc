"""The trace of the running request, run or message, as the header `traceparent`."""

from contextvars import ContextVar

TRACEPARENT: ContextVar[str] = ContextVar("traceparent", default="")
