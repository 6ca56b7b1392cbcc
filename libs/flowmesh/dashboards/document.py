"""The document of a dashboard: read from YAML or JSON, and checked with line and column."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from flowmesh.contract.json_value import Json
from flowmesh.dashboards.limits import (
    CONDITIONS_MAX,
    DOCUMENT_BYTES_MAX,
    HOURS_MAX,
    PANELS_MAX,
    SERIES_MAX,
    TITLE_CHARACTERS_MAX,
)
from flowmesh.dashboards.metrics import METRICS, Metric, is_buckets
from flowmesh.definitions.problems import Path, Problem, Problems, nearest
from flowmesh.definitions.reading.documents import parse
from flowmesh.definitions.reading.reader import Reader
from flowmesh.definitions.reading.yaml_text import Unreadable
from flowmesh.errors import Invalid, TooLarge, Violation

HOURS_DEFAULT: Final = 6
KINDS: Final = ("line", "number", "table")
UNITS: Final = ("count", "per-second", "seconds", "bytes", "share")
T_ = TypeVar("T_")
_CONDITION: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,63})(!?=)(.{0,256})")


@dataclass(frozen=True, slots=True)
class Series:
    """A query of a kept series."""

    metric: str
    label: str
    where: tuple[str, ...]
    by: str
    quantile: float


@dataclass(frozen=True, slots=True)
class Panel:
    """Series that are drawn together."""

    title: str
    kind: str
    unit: str
    hours: int
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A checked document with its text."""

    name: str
    title: str
    hours: int
    panels: tuple[Panel, ...]
    text: str


def read(source: bytes, content_type: str = "") -> Dashboard:
    """Return a dashboard. Raises DASHBOARD_INVALID with all problems, DASHBOARD_TOO_LARGE."""
    if len(source) > DOCUMENT_BYTES_MAX:
        text = f"a dashboard has at most {DOCUMENT_BYTES_MAX:,} bytes, this one {len(source):,}"
        raise TooLarge("DASHBOARD_TOO_LARGE", text)
    try:
        found = parse(source, content_type)
    except Unreadable as error:
        raise _refusal([error.problem]) from None
    problems = Problems()
    document = found.documents[0]
    if len(found.documents) > 1:
        problems.add("DASHBOARD_INVALID", "a file has one dashboard; this one has several")
    if not isinstance(document, dict):
        problems.add("DASHBOARD_INVALID", "a dashboard is an object with name and panels")
        document = {}
    made = _dashboard(Reader(document, (), problems), found.text)
    if problems.found:
        raise _refusal(found.place(problems.found))
    return made


def _refusal(problems: Sequence[Problem]) -> Invalid:
    first = problems[0]
    line = f"line {first.line}: " if first.line else ""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Invalid(
        "DASHBOARD_INVALID",
        f"{line}{first.text()}{more}",
        violations=tuple(
            Violation(each.place, each.message, "DASHBOARD_INVALID", each.line, each.column)
            for each in problems
        ),
    )


def _dashboard(reader: Reader, text: str) -> Dashboard:
    name = reader.identifier("name", "the name of the dashboard, such as suite")
    title = reader.text("title", most=TITLE_CHARACTERS_MAX) or name
    hours = reader.integer("hours", HOURS_DEFAULT, 1, HOURS_MAX)
    panels = _items(reader, "panels", PANELS_MAX, _panel)
    reader.refuse_unknown()
    return Dashboard(name, title, hours, panels, text)


def _items(reader: Reader, key: str, most: int, read: Callable[[Reader], T_]) -> tuple[T_, ...]:
    """Return the objects of a list that has at least one and at most so many."""
    if not reader.has(key):
        reader.missing(key, f"a list of 1 to {most} objects")
        return ()
    items = reader.items(key)
    if not 0 < len(items) <= most:
        text = f"{key} has {len(items)} items; it must have 1 to {most}"
        reader.problems.add("DASHBOARD_INVALID", text, (*reader.path, key))
    found = []
    for number, item in enumerate(items[:most]):
        path = (*reader.path, key, number)
        if isinstance(item, dict):
            found.append(read(Reader(item, path, reader.problems)))
        else:
            reader.problems.add("DASHBOARD_INVALID", f"{key} holds objects", path)
    return tuple(found)


def _panel(reader: Reader) -> Panel:
    title = reader.text("title", most=TITLE_CHARACTERS_MAX)
    if not title.strip():
        reader.missing("title", "the heading of the panel")
    kind = _choice(reader, "kind", KINDS)
    unit = _choice(reader, "unit", UNITS)
    hours = reader.integer("hours", 0, 0, HOURS_MAX)
    if kind == "line" and hours:
        text = "hours is for a number or a table; lines share the time of the dashboard"
        reader.problems.add("DASHBOARD_INVALID", text, (*reader.path, "hours"))
    series = _items(reader, "series", SERIES_MAX, lambda each: _series(each, unit))
    reader.refuse_unknown()
    return Panel(title, kind, unit, hours, series)


def _choice(reader: Reader, key: str, choices: Sequence[str]) -> str:
    """Return a member that is one of some words, by default the first."""
    value = reader.raw(key)
    if value is None and key not in reader.value:
        return choices[0]
    if isinstance(value, str) and value in choices:
        return value
    text = f"{key} must be one of {', '.join(choices)}{_near(value, choices)}"
    reader.problems.add("DASHBOARD_INVALID", text, (*reader.path, key))
    return choices[0]


def _near(value: Json, known: Collection[str]) -> str:
    if not isinstance(value, str):
        return ""
    return f", not {value[:64]!r}{nearest(value, known)}"


def _series(reader: Reader, unit: str) -> Series:
    name = reader.required_text("metric", "the name of a kept metric, as in /metrics")
    label = reader.text("label", most=TITLE_CHARACTERS_MAX)
    by = reader.text("by")
    quantile = reader.number("quantile", 0, 0, 0.9999)
    conditions = reader.items("where")
    reader.refuse_unknown()
    add, path = reader.problems.add, reader.path
    metric = METRICS.get(name)
    if metric is None:
        if name:
            text = f"{name[:64]!r} is no kept metric{nearest(name, METRICS)}"
            add("DASHBOARD_INVALID", text, (*path, "metric"))
        return Series(name, label, (), by, quantile)
    if by and by not in metric.filters:
        add("DASHBOARD_INVALID", _unknown(by, name, metric), (*path, "by"))
    if is_buckets(name) is not (quantile > 0):
        text = "quantile, such as 0.95, is for a metric that ends with _bucket, and only for it"
        add("DASHBOARD_INVALID", text, (*path, "quantile" if quantile else "metric"))
    if unit == "per-second" and (metric.kind == "gauge" or quantile):
        text = f"per-second is for increases; {name} is a {'quantile' if quantile else 'gauge'}"
        add("DASHBOARD_INVALID", text, (*path, "metric"))
    where = _conditions(conditions, (*path, "where"), name, metric, reader.problems)
    return Series(name, label, where, by, quantile)


def _conditions(
    items: Sequence[Json], path: Path, name: str, metric: Metric, problems: Problems
) -> tuple[str, ...]:
    if len(items) > CONDITIONS_MAX:
        text = f"where has {len(items)} conditions; at most {CONDITIONS_MAX} are allowed"
        problems.add("DASHBOARD_INVALID", text, path)
    found = []
    for number, item in enumerate(items[:CONDITIONS_MAX]):
        match = _CONDITION.fullmatch(item) if isinstance(item, str) else None
        if match is None:
            text = "a condition is a text such as code!=OK"
            problems.add("DASHBOARD_INVALID", text, (*path, number))
        elif match[1] not in metric.filters:
            problems.add("DASHBOARD_INVALID", _unknown(match[1], name, metric), (*path, number))
        else:
            found.append(match[0])
    return tuple(found)


def _unknown(label: str, name: str, metric: Metric) -> str:
    return f"{label[:64]!r} is no label of {name}; it has {', '.join(metric.filters)}"
