"""Import of a dashboard of Grafana: its panels as those of a saved dashboard."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from flowmesh.contract.json_value import Json
from flowmesh.dashboards.document import HOURS_DEFAULT
from flowmesh.dashboards.limits import HOURS_MAX, PANELS_MAX, SERIES_MAX
from flowmesh.dashboards.promql import Mapped, Unmapped, mapped
from flowmesh.definitions.reading.documents import parse
from flowmesh.definitions.reading.yaml_text import Unreadable
from flowmesh.errors import Invalid

_KINDS: Final = {
    **dict.fromkeys(("timeseries", "graph", "barchart"), "line"),
    **dict.fromkeys(("stat", "gauge", "singlestat"), "number"),
    **dict.fromkeys(("table", "bargauge", "piechart"), "table"),
}
_UNITS: Final = {
    **dict.fromkeys(("", "short", "none"), "count"),
    **dict.fromkeys(("ops", "reqps", "rps", "cps"), "per-second"),
    **dict.fromkeys(("bytes", "decbytes"), "bytes"),
    "s": "seconds",
    "percentunit": "share",
}
_HOURS: Final = re.compile(r"now-([1-9][0-9]{0,3})([hd])")
_TEMPLATE: Final = re.compile(r"\{\{[^{}]*\}\}")


@dataclass(frozen=True, slots=True)
class Left:
    """A panel that has no place in the document, and the reason."""

    title: str
    reason: str


@dataclass(frozen=True, slots=True)
class Imported:
    """The document of a dashboard, and the panels that it lacks."""

    document: dict[str, Json]
    left: tuple[Left, ...]


def imported(source: bytes, name: str = "") -> Imported:
    """Return a dashboard of Grafana as a document. Raises DASHBOARD_INVALID for another JSON."""
    try:
        found = parse(source, "application/json").documents[0]
    except Unreadable as error:
        raise Invalid("DASHBOARD_INVALID", error.problem.text()) from None
    if not isinstance(found, dict) or not isinstance(found.get("panels"), list):
        raise Invalid("DASHBOARD_INVALID", "this is no dashboard of Grafana: it has no panels")
    title = _text(found, "title") or "Imported"
    panels: list[Json] = []
    left: list[Left] = []
    for panel in _panels(found):
        heading = _text(panel, "title") or f"panel {panel.get('id', '')}".strip()
        try:
            if len(panels) == PANELS_MAX:
                raise Unmapped(f"a dashboard has at most {PANELS_MAX} panels")
            panels.append(_panel(panel, heading))
        except Unmapped as error:
            left.append(Left(heading, str(error)))
    document: dict[str, Json] = {
        "name": name or _text(found, "uid") or title.lower().replace(" ", "-"),
        "title": title,
        "hours": _hours(found),
        "panels": panels,
    }
    return Imported(document, tuple(left))


def _panels(within: dict[str, Json]) -> Iterator[dict[str, Json]]:
    """Yield the panels; rows are headings, which may have the panels below them."""
    items = within.get("panels")
    for each in items if isinstance(items, list) else ():
        if not isinstance(each, dict):
            continue
        if each.get("type") == "row":
            yield from _panels(each)
        else:
            yield each


def _panel(panel: dict[str, Json], title: str) -> dict[str, Json]:
    """Return a panel of the document. Raises Unmapped unless all of it has a place there."""
    kind = _KINDS.get(_text(panel, "type"))
    if kind is None:
        raise Unmapped(f"panels of the type {_text(panel, 'type')[:64]!r} are not drawn")
    targets = panel.get("targets")
    queries = (
        [each for each in targets if isinstance(each, dict)] if isinstance(targets, list) else []
    )
    if not 0 < len(queries) <= SERIES_MAX:
        raise Unmapped(f"it has {len(queries)} expressions; a panel has 1 to {SERIES_MAX}")
    found = [(mapped(_text(each, "expr")), _label(each)) for each in queries]
    made: dict[str, Json] = {
        "title": title,
        "kind": kind,
        "unit": _unit(panel, [each for each, _ in found]),
        "series": [_series(each, label) for each, label in found],
    }
    if kind != "line" and (hours := found[0][0].hours):
        made["hours"] = hours
    return made


def _unit(panel: dict[str, Json], series: list[Mapped]) -> str:
    if len({each.rate for each in series}) > 1:
        raise Unmapped("rates and other values are in one panel, which has one unit")
    if series[0].rate:
        return "per-second"
    config = panel.get("fieldConfig")
    defaults = config.get("defaults") if isinstance(config, dict) else None
    name = _text(defaults, "unit") if isinstance(defaults, dict) else ""
    unit = _UNITS.get(name)
    if unit is None or unit == "per-second":
        raise Unmapped(f"the unit {name[:64]!r} has no place here")
    return unit


def _series(each: Mapped, label: str) -> dict[str, Json]:
    made: dict[str, Json] = {"metric": each.metric}
    if label:
        made["label"] = label
    if each.where:
        made["where"] = list(each.where)
    if each.by:
        made["by"] = each.by
    if each.quantile:
        made["quantile"] = each.quantile
    return made


def _label(target: dict[str, Json]) -> str:
    return " ".join(_TEMPLATE.sub("", _text(target, "legendFormat")).split())


def _hours(found: dict[str, Json]) -> int:
    time = found.get("time")
    match = _HOURS.fullmatch(_text(time, "from")) if isinstance(time, dict) else None
    if match is None:
        return HOURS_DEFAULT
    return min(HOURS_MAX, int(match[1]) * (24 if match[2] == "d" else 1))


def _text(value: dict[str, Json], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""
