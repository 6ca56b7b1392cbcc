"""Series of metrics: defaults of a request, label sets as series, quantiles."""

from typing import Any

import pytest

from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.errors import Invalid
from flowmesh.observe.series import quantile_of, series_of, wanted
from flowmesh.observe.store import Amount

NOW_US = 1_700_000_000_000_000
HOUR_US = 3_600_000_000


def request(**fields: object) -> pb.ListSeriesRequest:
    given: Any = {"metric": "flowmesh_rpc_total", **fields}
    return pb.ListSeriesRequest(**given)


def test_a_request_is_the_last_hour_by_minutes() -> None:
    """A longer time has longer steps, and whole hours come from the sums by the hour."""
    ask = wanted(request(), NOW_US)
    assert (ask.until_us - ask.from_us, ask.step_s, ask.by_hours) == (HOUR_US, 60, False)
    ask = wanted(request(from_us=NOW_US - 24 * 15 * HOUR_US), NOW_US)
    assert (ask.step_s, ask.by_hours) == (3_600, True)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"metric": "select 1"}, "metric"),
        ({"group_by": "a b"}, "group_by"),
        ({"where": ["code"]}, "where"),
        ({"where": ["code=OK"] * 11}, "where"),
        ({"quantile": 1.0}, "quantile"),
        ({"from_us": NOW_US, "until_us": NOW_US - 1}, "from_us"),
        ({"step_s": 61}, "step_s"),
        ({"step_s": 60, "from_us": NOW_US - 17 * HOUR_US}, "step_s"),
    ],
)
def test_wrong_requests(fields: dict[str, object], field: str) -> None:
    """The metric, the label, each condition, the quantile, the time and the step are checked."""
    with pytest.raises(Invalid) as refused:
        wanted(request(**fields), NOW_US)
    assert refused.value.violations[0].field == field


def test_label_sets_are_summed_by_a_label() -> None:
    """Conditions leave out label sets, and the largest series is first."""
    amounts = [
        Amount(60, "flowmesh", "service=A,code=OK", 1),
        Amount(60, "flowmesh", "service=B,code=OK", 5),
        Amount(60, "flowmesh", "service=B,code=INTERNAL", 7),
        Amount(120, "worker", "service=B,code=OK", 2),
    ]
    found = series_of(amounts, wanted(request(group_by="service", where=["code=OK"]), NOW_US))
    assert [(each.group, [point.value for point in each.points]) for each in found] == [
        ("B", [5, 2]),
        ("A", [1]),
    ]
    (others,) = series_of(amounts, wanted(request(where=["code!=OK"]), NOW_US))
    assert [point.value for point in others.points] == [7]
    by_process = series_of(amounts, wanted(request(group_by="process"), NOW_US))
    assert [each.group for each in by_process] == ["flowmesh", "worker"]


@pytest.mark.parametrize(("quantile", "expected"), [(0.5, 0.1), (0.25, 0.05), (0.95, 0.91)])
def test_a_quantile_is_linear_within_its_bucket(quantile: float, expected: float) -> None:
    """Half of the calls took up to 0.1 s, the other half up to a second."""
    buckets = [(0.1, 50.0), (1.0, 100.0), (float("inf"), 100.0)]
    assert quantile_of(buckets, quantile) == pytest.approx(expected)


def test_a_quantile_above_all_bounds_is_the_last_bound() -> None:
    """The durations beyond it are not known."""
    assert quantile_of([(0.1, 1.0), (float("inf"), 100.0)], 0.95) == 0.1
