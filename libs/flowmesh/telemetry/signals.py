"""Signals of a process on their way to the observe service: log records and calls.

The queues are bounded: what exceeds them is dropped and counted, and the caller never waits.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Iterator, MutableMapping, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import structlog

QUEUED_MAX: Final = 1_000
"""Records of one kind that wait; also those that a process sends in a minute."""

STARTS_MAX: Final = 500
"""Quick and good calls that started an execution, of which a process keeps so many a minute."""

FIELDS_BYTES_MAX: Final = 4_096
TEXT_CHARACTERS_MAX: Final = 256
_OWN_MEMBERS: Final = frozenset(
    {"level", "timestamp", "service", "event", "namespace", "execution_id", "trace_id"}
)


@dataclass(frozen=True, slots=True)
class KeptLine:
    """A log record; `fields` is JSON."""

    at_us: int
    level: str
    service: str
    event: str
    namespace: str
    execution_id: str
    trace_id: str
    fields: str


@dataclass(frozen=True, slots=True)
class KeptCall:
    """A call that was slow or failed."""

    at_us: int
    service: str
    method: str
    code: str
    duration_ms: float
    namespace: str
    execution_id: str
    trace_id: str


@dataclass(slots=True)
class SignalQueues:
    """The records that wait to be sent, and the number of those that were dropped, by kind.

    Without the duration from which a call is slow nothing is kept.
    """

    slow_ms: float | None = None
    lines: deque[KeptLine] = field(default_factory=deque)
    calls: deque[KeptCall] = field(default_factory=deque)
    dropped: Counter[str] = field(default_factory=Counter)
    _minute: int = 0
    _taken: Counter[str] = field(default_factory=Counter)

    def add_line(self, line: KeptLine) -> None:
        if self._has_room("logs", QUEUED_MAX, self.lines):
            self.lines.append(line)

    def has_room(self, *, started: bool) -> bool:
        """Count a call that is to be kept; return False if the minute has no room for it.

        Calls that `started` an execution, and were quick and good, are a sample.
        """
        kind, most = ("starts", STARTS_MAX) if started else ("calls", QUEUED_MAX)
        return self._has_room(kind, most, self.calls)

    def _has_room(self, kind: str, most: int, queue: Sized) -> bool:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute = minute
            self._taken.clear()
        self._taken[kind] += 1
        if self._taken[kind] <= most and len(queue) < QUEUED_MAX:
            return True
        if kind != "starts":
            self.dropped[kind] += 1
        return False

    @contextmanager
    def reading_logs(self) -> Iterator[None]:
        """Copy the lines that loggers write within the block."""

        def copy(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Any:
            self.add_line(_line(event))
            return event

        keeps = self.slow_ms is not None
        chains = [structlog.get_config()["processors"], *_chains_of_handlers()] if keeps else []
        for chain in chains:
            # Before the renderer. Loggers that exist share the list.
            chain.insert(-1, copy)
        try:
            yield
        finally:
            for chain in chains:
                chain.remove(copy)


def _chains_of_handlers() -> list[list[Any]]:
    formatters = (each.formatter for each in logging.getLogger().handlers)
    return [
        each.processors
        for each in formatters
        if isinstance(each, structlog.stdlib.ProcessorFormatter)
        and isinstance(each.processors, list)
    ]


def _line(event: MutableMapping[str, Any]) -> KeptLine:
    rest = {name: value for name, value in event.items() if name not in _OWN_MEMBERS}
    text = orjson.dumps(rest, default=str, option=orjson.OPT_NON_STR_KEYS)
    if len(text) > FIELDS_BYTES_MAX:
        short = {name: str(value)[:TEXT_CHARACTERS_MAX] for name, value in list(rest.items())[:10]}
        text = orjson.dumps({**short, "shortened": True}, option=orjson.OPT_NON_STR_KEYS)
    return KeptLine(
        at_us=time.time_ns() // 1_000,
        level=_text(event, "level"),
        service=_text(event, "service"),
        event=_text(event, "event"),
        namespace=_text(event, "namespace"),
        execution_id=_text(event, "execution_id"),
        trace_id=_text(event, "trace_id"),
        fields=text.decode(errors="replace"),
    )


def _text(event: MutableMapping[str, Any], name: str) -> str:
    # PostgreSQL stores no NUL.
    return str(event.get(name, ""))[:TEXT_CHARACTERS_MAX].replace("\0", "")
