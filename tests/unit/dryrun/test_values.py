"""Values compared, for people."""

import tracemalloc
from typing import Any

import pytest

from flowmesh.dryrun.values import DIFFERENCES_MAX, differences


@pytest.mark.parametrize(
    ("expected", "found", "told"),
    [
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, ["output.a[1].b: expected 2, is 3"]),
        ({"a": {"b": 1}}, {"a": {}}, ["output.a.b: expected 1, missing"]),
        ({"a": {}}, {"a": {"b": 1}}, ["output.a.b: not expected, is 1"]),
        (1, True, ["output: expected 1, is true"]),
        ([[1], 2], [[3], 4], ["output[0][0]: expected 1, is 3", "output[1]: expected 2, is 4"]),
        (
            {"b": 1, "a": 1},
            {"b": 2, "a": 2},
            ["output.a: expected 1, is 2", "output.b: expected 1, is 2"],
        ),
        ({"a": 1}, {"a": 1.0}, []),
    ],
)
def test_each_difference_is_reported_with_its_path(
    expected: Any, found: Any, told: list[str]
) -> None:
    """In the order of names and of places."""
    assert differences("output", expected, found) == told


def test_values_below_a_long_key_are_compared_in_little_memory() -> None:
    """The key is not copied for each difference, and their number is limited."""
    key, most = "k" * 20_000, 20_000
    tracemalloc.start()
    try:
        told = differences("output", {key: [0] * most}, {key: [1] * most})
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told[0] == f"output.{key}[0]: expected 0, is 1"
    assert len(told) == DIFFERENCES_MAX + 1
    assert peak_bytes < 50 << 20  # some 6 MiB; it were 400
