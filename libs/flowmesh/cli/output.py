"""Output of commands: documents, tables, times and durations.

Texts of others, such as logs, names and errors, reach the terminal as text: control characters
are written as `\\x1b`, and line breaks within a line as `\\n`. In documents they are escaped as
JSON and YAML do.
"""

import re
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache
from typing import Any, Literal, get_args

import orjson

from flowmesh.jsontext import exact

Format = Literal["table", "wide", "json", "yaml"]
PARAGRAPH_WIDTH = 80
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True, slots=True)
class Style:
    """The format of a command's output; a `zone` of None is the local time zone."""

    format: Format = "table"
    zone: tzinfo | None = None


# C0, DEL, C1, separators of lines, directions of text, and halves of characters.
_CONTROLS = (
    *range(0x20),
    *range(0x7F, 0xA0),
    *(0x2028, 0x2029),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    *range(0xD800, 0xE000),
)
_NAMED = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}
_SHOWN = {
    each: _NAMED.get(each, f"\\x{each:02x}" if each < 0x100 else f"\\u{each:04x}")
    for each in _CONTROLS
}
_SHOWN_IN_BLOCKS = {each: text for each, text in _SHOWN.items() if each not in (0x09, 0x0A)}
# Only strings of JSON have these, so that their escapes are those of JSON.
_SHOWN_IN_JSON = {each: f"\\u{each:04x}" for each in _CONTROLS if each >= 0x7F}

_STYLE: ContextVar[Style] = ContextVar("style", default=Style())  # noqa: B039 it is immutable


@contextmanager
def styled(format: Format, *, utc: bool = False) -> Iterator[None]:
    """Use this format, and UTC or local time, within the block."""
    token = _STYLE.set(Style(format, UTC if utc else None))
    try:
        yield
    finally:
        _STYLE.reset(token)


def structured() -> bool:
    """True if standard output contains documents instead of text."""
    return _STYLE.get().format in ("json", "yaml")


def wide() -> bool:
    """True if tables have all their columns, and times instead of ages."""
    return _STYLE.get().format == "wide"


def visible(text: str) -> str:
    """Return the text as one line without control characters."""
    return text.translate(_SHOWN)


def document(value: Any) -> None:
    """Write a document in the format of the command: indented JSON, or YAML."""
    text = _json(value, orjson.OPT_INDENT_2)
    if _STYLE.get().format == "yaml":
        import json

        import yaml

        # Convert through JSON, for the same types in both formats; orjson rejects large integers.
        value = json.loads(text)

        shown = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
        if shown != shown.translate(_SHOWN_IN_BLOCKS):
            # YAML escapes them too, with all others that are not ASCII.
            shown = yaml.safe_dump(value, sort_keys=False, width=100)
        text = shown.rstrip("\n")
    block(text)


def stream_document(value: Any) -> None:
    """Write and flush one of many documents: a line of JSON, or a document of a YAML stream."""
    if _STYLE.get().format == "yaml":
        sys.stdout.write("---\n")
        document(value)
    else:
        line(compact(value))
    sys.stdout.flush()


def line(text: str = "") -> None:
    sys.stdout.write(visible(text) + "\n")


def block(text: str) -> None:
    """Write the lines of one text, such as a source."""
    sys.stdout.write(text.translate(_SHOWN_IN_BLOCKS) + "\n")


def json_lines(data: bytes) -> None:
    """Write lines of JSON as they are."""
    sys.stdout.write(data.decode().translate(_SHOWN_IN_JSON))


def progress(text: str) -> None:
    """Replace the line of a terminal."""
    sys.stdout.write(f"\r{visible(text):<79}\r")
    sys.stdout.flush()


def problem(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(visible(text) + "\n")


def warning(text: str) -> None:
    """Write a warning to standard error."""
    problem(f"warning: {text}")


def colored_problem(text: str) -> None:
    """Write a line with colors to standard error; texts of others in it must be `visible`."""
    sys.stderr.write(text + "\n")


def result(value: Any, text: str) -> None:
    """Write the value as a document, or the text if the format is a table."""
    if structured():
        document(value)
    else:
        line(text)


def source(value: Any, text: str) -> None:
    """Write the value as a document, or the lines of a text such as a script."""
    if structured():
        document(value)
    else:
        block(text.rstrip())


def members(value: object, names: str = "*") -> dict[str, Any]:
    """Return attributes as the members of a JSON object, times as text, records as objects.

    `created_at` is the member `createdAt`; `bulk_id=id` is the attribute `id` as `bulkId`. An
    empty `reason?` is left out, an empty `version~` is null. `*` stands for all other fields of
    the record, `*?` for those that are not empty, without `-those` of a minus.
    """
    shown = {}
    for member, name, mark in _members_of(type(value), names):  # type: ignore[arg-type]
        each = getattr(value, name)
        if each or mark != "?":
            shown[member] = _member(each) if each or not mark else None
    return shown


# The sign before a name, the member, its attribute, and the mark after them.
_NAME = re.compile(r"(-?)(\w+|\*)(?:=(\w+))?([?~]?)")


@cache
def _members_of(kind: Any, names: str) -> tuple[tuple[str, str, str], ...]:
    """Return the members with their attributes and marks."""
    given = _NAME.findall(names)
    known = {own or name for _, name, own, _ in given}
    found: list[tuple[str, str, str]] = []
    for minus, name, own, mark in given:
        if name == "*":
            rest = [each.name for each in fields(kind) if each.name not in known]
            found += [(camel(each), each, mark) for each in rest if each[0] != "_"]
        elif not minus:
            found.append((camel(name), own or name, mark))
    return tuple(found)


def camel(name: str) -> str:
    """Return `createdAt` for `created_at`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _member(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, tuple):
        return [_member(each) for each in value]
    return members(value) if is_dataclass(value) else value


def table(
    found: Sequence[Any],
    document_of: Callable[[Any], Any],
    names: str,
    *,
    none: str,
    only_wide: Container[str] = (),
    **cells: Callable[[Any], str],
) -> None:
    """Write a list as one document, or as a table of columns with names.

    `STATE` is the attribute `state`, `LAST_RUN=last_at` the attribute `last_at`; `-` replaces an
    empty `actor?`. Times are ages. `cells` has the functions of the other columns.
    """
    if structured():
        document([document_of(each) for each in found])
        return
    named = (name.partition("=") for name in names.split())
    shown = {name: cells.get(name) or _cell(own or name.lower()) for name, _, own in named}
    header = [name.replace("_", " ") for name in shown]
    rows = [[cell(each) for cell in shown.values()] for each in found]
    columns(header, rows, none=none, only_wide=only_wide)


def listing(
    found: Sequence[Any],
    document_of: Callable[[Any], Any],
    show: Callable[[Any], object],
    *,
    none: str,
) -> None:
    """Write a list as one document, or show its items; the text `none` replaces an empty one."""
    if structured():
        document([document_of(each) for each in found])
        return
    if not found:
        nothing(none)
    for each in found:
        show(each)


def _cell(name: str) -> Callable[[Any], str]:
    own, is_optional = name.removesuffix("?"), name.endswith("?")

    def cell(each: Any) -> str:
        value = getattr(each, own)
        if own == "at_us" or own.endswith("_at_us"):
            value = datetime.fromtimestamp(value / 1_000_000, UTC) if value else None
        if value is None or isinstance(value, datetime):
            return age(value)
        return str(value or "-") if is_optional else str(value)

    return cell


def columns(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    none: str = "",
    only_wide: Container[str] = (),
) -> None:
    """Write aligned columns; values are never truncated, because scripts read them too.

    The columns in `only_wide` are written with `-o wide` only. On a terminal, the text `none`
    replaces a table without rows. A header without names is not written.
    """
    table = [header, *([visible(cell) for cell in row] for row in rows)]
    if none and len(table) == 1 and sys.stdout.isatty():
        nothing(none)
        return
    if not wide():
        shown = [index for index, name in enumerate(header) if name not in only_wide]
        table = [[row[index] for index in shown] for row in table]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table if any(header) else table[1:]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line("  ".join(cells).rstrip())


def paragraph(text: str, indent: str = "") -> None:
    """Write text wrapped between words at 80 columns; commands in it can be copied."""
    from textwrap import TextWrapper

    wrapper = TextWrapper(
        PARAGRAPH_WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}   ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    for each in wrapper.wrap(text):
        line(each)


def nothing(text: str) -> None:
    """Report on a terminal that a list without a header is empty."""
    if sys.stdout.isatty():
        line(text)


def compact(value: Any) -> str:
    return _json(value, 0)


def _json(value: Any, option: int) -> str:
    return orjson.dumps(exact(value), option=option).decode().translate(_SHOWN_IN_JSON)


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
    """`2026-01-31 13:00:00 +01:00` in local time, `… UTC` if that is UTC; `-` for none."""
    if at is None:
        return "-"
    local = at.astimezone(_STYLE.get().zone)
    text = local.isoformat(" ", "seconds")
    return text.replace("+00:00", " UTC") if not local.utcoffset() else f"{text[:19]} {text[19:]}"


def clock(at: datetime | None) -> str:
    """The time of day with milliseconds; `-` for none."""
    return at.astimezone(_STYLE.get().zone).strftime("%H:%M:%S.%f")[:-3] if at else "-"


_AGES = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def age(at: datetime | None) -> str:
    """`3m ago`, or `in 3m` for a future time; with `-o wide` the time itself."""
    if at is None or wide():
        return moment(at)
    seconds = (now() - at).total_seconds()
    size, unit = next((each for each in _AGES if abs(seconds) >= each[0]), _AGES[-1])
    number = int(abs(seconds) // size)
    return f"{number}{unit} ago" if seconds >= 0 else f"in {number}{unit}"


def now() -> datetime:
    """Return the time that ages are relative to."""
    return datetime.now(UTC)


def iso(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None
