"""Series of a metric: the request with its defaults, label sets, and quantiles. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import unquote

from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.errors import Invalid, Violation
from flowmesh.observe.limits import CONDITIONS_MAX, POINTS_MAX, SERIES_MAX
from flowmesh.observe.store import Amount

HOUR_S: Final = 3_600
MINUTE_S: Final = 60
DAY_S: Final = 86_400
PROCESS: Final = "process"
BOUND: Final = "le"
_NAME: Final = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]{0,127}")
_CONDITION: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,63})(!?=)(.{0,256})")


Condition = tuple[str, bool, str]
"""A label, whether it is equal, and a value."""

Values = tuple[str, ...]
"""The values of the labels that make groups."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A checked request."""

    metric: str
    from_us: int
    until_us: int
    step_s: int
    group_by: str
    conditions: tuple[Condition, ...]
    quantile: float

    @property
    def by_hours(self) -> bool:
        """True if the sums by the hour suffice for the steps."""
        return self.step_s % HOUR_S == 0


def wanted(request: pb.ListSeriesRequest, now_us: int) -> Wanted:
    """Return the request with its defaults. Raises REQUEST_INVALID."""
    if not _NAME.fullmatch(request.metric):
        _refuse("metric", "is not the name of a metric, such as flowmesh_rpc_total")
    if request.group_by and not _NAME.fullmatch(request.group_by):
        _refuse("group_by", "is not the name of a label")
    if len(request.where) > CONDITIONS_MAX:
        _refuse("where", f"has more than {CONDITIONS_MAX} conditions")
    if not 0 <= request.quantile < 1:
        _refuse("quantile", "must be at least 0 and below 1")
    until_us = request.until_us or now_us
    from_us = request.from_us or until_us - HOUR_S * 1_000_000
    if not 0 <= from_us < until_us <= now_us + DAY_S * 1_000_000:
        _refuse("from_us", "must be before until_us, which is at most a day ahead")
    seconds = (until_us - from_us) / 1_000_000
    step_s = request.step_s or _step(seconds)
    if step_s % MINUTE_S or step_s < MINUTE_S or seconds / step_s > POINTS_MAX:
        _refuse("step_s", f"must be whole minutes, with at most {POINTS_MAX:,} points")
    return Wanted(
        request.metric,
        from_us,
        until_us,
        step_s,
        request.group_by,
        tuple(_condition(each) for each in request.where),
        request.quantile,
    )


def series_of(amounts: Iterable[Amount], ask: Wanted) -> list[pb.Series]:
    """Return the series of a metric, the largest first."""
    labels = (ask.group_by, BOUND) if ask.quantile else (ask.group_by,)
    found: dict[str, pb.Series] = {}
    for step, sums in sorted(sums_of(amounts, labels, ask.conditions).items()):
        values = quantiles(sums, ask.quantile) if ask.quantile else sums
        for (group,), value in values.items():
            series = found.setdefault(group, pb.Series(group=group))
            series.points.add(at_us=step * 1_000_000, value=value)
    largest = sorted(found.values(), key=lambda each: -sum(point.value for point in each.points))
    return largest[:SERIES_MAX]


def sums_of(
    amounts: Iterable[Amount], labels: Sequence[str], conditions: Sequence[Condition]
) -> dict[int, dict[Values, float]]:
    """Return the sums by step and by the values of labels, of all that fulfil the conditions."""
    found: dict[int, dict[Values, float]] = {}
    # Of each label set, which has a value in many steps; None of one that does not fulfil them.
    places: dict[tuple[str, str], Values | None] = {}
    for each in amounts:
        name = each.process, each.labels
        if name not in places:
            named = labels_of(each)
            fits = all((named.get(key, "") == value) is same for key, same, value in conditions)
            places[name] = tuple(named.get(key, "") for key in labels) if fits else None
        place = places[name]
        if place is not None:
            at = found.setdefault(each.step_s, {})
            at[place] = at.get(place, 0.0) + each.value
    return found


def quantiles(sums: Mapping[Values, float], quantile: float) -> dict[Values, float]:
    """Return a quantile of the buckets of each group, whose last label is their bound."""
    buckets: dict[Values, list[tuple[float, float]]] = {}
    for (*group, bound), count in sums.items():
        buckets.setdefault(tuple(group), []).append((float(bound or 0), count))
    return {group: quantile_of(sorted(each), quantile) for group, each in buckets.items()}


def labels_of(amount: Amount) -> dict[str, str]:
    """Return the labels of an amount, with the service of its process as `process`."""
    parts = (part.split("=", 1) for part in amount.labels.split(",") if "=" in part)
    labels = {name: unquote(value) if "%" in value else value for name, value in parts}
    labels.setdefault(PROCESS, amount.process)
    return labels


def quantile_of(buckets: Sequence[tuple[float, float]], quantile: float) -> float:
    """Return a quantile from cumulative counts by upper bound, linear within a bucket."""
    rank = buckets[-1][1] * quantile
    low, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank and count > below:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, max(below, count)
    return low


def _step(seconds: float) -> int:
    least = 2 * seconds / POINTS_MAX
    return next(
        (each for each in (60, 300, 900, HOUR_S, 6 * HOUR_S, DAY_S) if each >= least),
        int(least // DAY_S + 1) * DAY_S,
    )


def _condition(text: str) -> Condition:
    found = _CONDITION.fullmatch(text)
    if found is None:
        _refuse("where", f"{text[:64]!r} is not a condition such as code!=OK")
    return found[1], found[2] == "=", found[3]


def _refuse(field: str, problem: str) -> NoReturn:
    raise Invalid(
        "REQUEST_INVALID",
        f"{field} {problem}",
        violations=(Violation(field, problem, "REQUEST_INVALID"),),
    )
