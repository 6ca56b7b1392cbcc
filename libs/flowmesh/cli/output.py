"""Writing to standard output: JSON, columns, times and durations as people read them."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson

from flowmesh.jsontext import exact


def document(value: Any) -> None:
    """One JSON document, indented."""
    sys.stdout.write(orjson.dumps(exact(value), option=orjson.OPT_INDENT_2).decode() + "\n")


def json_line(value: Any) -> None:
    """One JSON document on one line, at once: for streams."""
    sys.stdout.write(orjson.dumps(exact(value)).decode() + "\n")
    sys.stdout.flush()


def line(text: str = "") -> None:
    sys.stdout.write(text + "\n")


def problem(text: str) -> None:
    """A line for a person, beside the output."""
    sys.stderr.write(text + "\n")


def columns(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns; never cut, so that scripts can read them too."""
    table = [header, *rows]
    widths = [max(len(row[index]) for row in table) for index in range(len(header))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line("  ".join(cells).rstrip())


def compact(value: Any) -> str:
    return orjson.dumps(exact(value)).decode()


def duration(milliseconds: float | None) -> str:
    """`12 ms`, `3.4 s`, `5 min 06 s`, `2 h 03 min`; `-` for none."""
    if milliseconds is None:
        return "-"
    if milliseconds < 1_000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1_000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


def moment(at: datetime | None) -> str:
    """Local time to the second; `-` for none."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else "-"


def clock(at: datetime | None) -> str:
    """Local time of day to the millisecond."""
    return at.astimezone().strftime("%H:%M:%S.%f")[:-3] if at else "-"


def iso(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None
