"""Expressions of PromQL in the simple forms that name one kept series.

    sum [by (label)] (M), sum [by (label)] (rate(M[5m])), increase in place of rate
    histogram_quantile(0.95, sum by (le[, label]) (rate(M_bucket[5m])))
    M, rate(M[5m])                                       the series of each process

M is a metric with conditions `=` and `!=`. The window of a rate is left to the steps of a chart.
"""

import re
from dataclasses import dataclass
from typing import Final

from flowmesh.dashboards.metrics import METRICS, PROCESS, is_buckets

_VECTOR: Final = (
    r"(?:(?P<function>rate|increase)\( ?)?(?P<metric>[A-Za-z_:][A-Za-z0-9_:]*)"
    r" ?(?:\{(?P<where>[^{}]*)\})? ?(?:\[(?P<window>\w+)\] ?\))?"
)
_SUM: Final = rf"sum ?(?:by ?\((?P<by>[^()]*)\))? ?\( ?{_VECTOR} ?\)"
_FORMS: Final = (
    re.compile(rf"histogram_quantile\( ?(?P<quantile>[0-9.]+) ?, ?{_SUM} ?\)"),
    re.compile(_SUM),
    re.compile(_VECTOR),
)
_CONDITION: Final = re.compile(r'([A-Za-z_][A-Za-z0-9_]*) ?(!?=) ?"([^"\\]*)"')
_HOURS: Final = re.compile(r"([1-9][0-9]{0,2})h")
EXPRESSION_CHARACTERS_MAX: Final = 2_000


class Unmapped(Exception):
    """An expression without a kept series; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """The kept series of an expression; `hours` is the window of an increase."""

    metric: str
    where: tuple[str, ...] = ()
    by: str = ""
    quantile: float = 0
    rate: bool = False
    hours: int = 0


def mapped(expression: str) -> Mapped:
    """Return the kept series of an expression. Raises Unmapped."""
    text = " ".join(expression.split())
    if len(text) > EXPRESSION_CHARACTERS_MAX:
        raise Unmapped(f"the expression has more than {EXPRESSION_CHARACTERS_MAX:,} characters")
    for form in _FORMS:
        found = form.fullmatch(text)
        if found and bool(found["function"]) is bool(found["window"]):
            return _mapped(found.groupdict())
    shown = text[:80] + ("…" if len(text) > 80 else "")
    forms = "sum by, rate, increase and histogram_quantile of one metric"
    raise Unmapped(f"{shown!r} is not one of the forms {forms}")


def _mapped(parts: dict[str, str | None]) -> Mapped:
    name, function = parts["metric"] or "", parts["function"]
    metric = METRICS.get(name)
    if metric is None:
        raise Unmapped(f"{name!r} is no kept metric")
    if bool(function) is (metric.kind == "gauge"):
        right = "as it is" if metric.kind == "gauge" else "by rate or increase"
        raise Unmapped(f"{name} is a {metric.kind}, which is kept {right}")
    quantile = float(parts.get("quantile") or 0)
    if is_buckets(name) is not (0 < quantile < 1):
        raise Unmapped(f"of {name} there are {'only' if is_buckets(name) else 'no'} quantiles")
    return Mapped(
        name,
        _conditions(parts["where"] or "", name),
        _group(parts, name),
        quantile,
        rate=function == "rate" and not quantile,
        hours=_hours(parts["window"] or "") if function == "increase" else 0,
    )


def _group(parts: dict[str, str | None], name: str) -> str:
    """Return the label that groups: one, or the process of an expression without a sum."""
    if "by" not in parts:
        return PROCESS
    labels = [each for each in re.split(r"[ ,]+", parts["by"] or "") if each]
    groups = [each for each in labels if each != "le"]
    if len(groups) > 1:
        raise Unmapped(f"kept series have one group, the expression has {', '.join(groups)}")
    if groups and groups[0] not in METRICS[name].filters:
        raise Unmapped(f"{groups[0]!r} is no label of {name}")
    return groups[0] if groups else ""


def _conditions(text: str, name: str) -> tuple[str, ...]:
    found = []
    for each in filter(None, map(str.strip, text.split(","))):
        match = _CONDITION.fullmatch(each)
        if match is None:
            raise Unmapped(f'the condition {each[:80]!r} is not of the form label="value"')
        if match[1] not in METRICS[name].filters:
            raise Unmapped(f"{match[1]!r} is no label of {name}")
        found.append("".join(match.groups()))
    return tuple(found)


def _hours(window: str) -> int:
    found = _HOURS.fullmatch(window)
    return int(found[1]) if found else 0
