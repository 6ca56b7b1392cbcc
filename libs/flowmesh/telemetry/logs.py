"""Structured logs: one JSON object per line, or readable lines on a terminal."""

import logging
import sys
from contextlib import suppress
from typing import Any, TextIO

import orjson
import structlog

from flowmesh.telemetry.context import current_traceparent, trace_id_of

# These libraries log mistakes of callers, which receive an error and could fill the log.
NOISY = {"grpc": logging.ERROR, "uvicorn": logging.ERROR, "nats": logging.ERROR}
Event = dict[str, Any]


class LossyStream:
    """A stream that drops lines it cannot write, such as on a full disk, instead of raising."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def configure_logs(level: str = "info", style: str = "") -> None:
    """Configure structlog for stderr, and route the loggers of the standard library through it.

    `style` is "json", "console", or empty: console on a terminal, JSON otherwise.
    """
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    stream: Any = LossyStream(sys.stderr)
    console = style == "console" or (not style and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        structlog.processors.format_exc_info,
    ]
    renderer: Any = _as_json
    if console:
        # The rich form prints local variables, which contain data of users.
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))
    for name, at_least in NOISY.items():
        logging.getLogger(name).setLevel(at_least)


def _add_trace(_logger: Any, _method: str, event: Event) -> Event:
    traceparent = current_traceparent()
    if traceparent:
        event["trace_id"] = trace_id_of(traceparent)
    return event


def _as_json(_logger: Any, _method: str, event: Event) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
