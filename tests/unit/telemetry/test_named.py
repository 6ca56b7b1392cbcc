"""Kept metrics by names of users, of which there is a bounded number."""

from flowmesh.telemetry.metrics import Metrics
from flowmesh.telemetry.named import IDLE_MS, NAMES_MAX, NAMES_OF_ALL_MAX, NamedDurations


def attempts_of_workers() -> NamedDurations:
    return NamedDurations("flowmesh_worker_attempt", ("worker",), "Attempts")


def values(metrics: NamedDurations, suffix: str = "_total") -> dict[tuple[str, ...], float]:
    """Return the samples of a suffix that are not 0, by the values of their labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in metrics.collect()
        for sample in family.samples
        if sample.name.endswith(suffix) and sample.value
    }


def test_attempts_are_counted_by_outcome_and_duration() -> None:
    """Buckets are cumulative, and end with all attempts."""
    metrics = attempts_of_workers()
    metrics.ended("shop", ("w-1",), 0.02, 1, failed=False)
    metrics.ended("shop", ("w-1",), 40, 2, failed=True)
    assert values(metrics) == {("shop", "w-1", "completed"): 1, ("shop", "w-1", "failed"): 1}
    buckets = values(metrics, "_bucket")
    assert buckets["shop", "w-1", "0.025"] == buckets["shop", "w-1", "30.0"] == 1
    assert buckets["shop", "w-1", "+Inf"] == 2
    assert values(metrics, "_sum") == {("shop", "w-1"): 40.02}


def test_further_names_count_as_other() -> None:
    """Of a namespace, and of all; no namespace takes the room of another one."""
    metrics = attempts_of_workers()
    for number in range(2 * NAMES_MAX):
        metrics.ended("loud", (f"w-{number}",), 1, 1, failed=False)
    metrics.ended("quiet", ("w-1",), 1, 1, failed=False)
    found = values(metrics)
    assert found["loud", "other", "completed"] == NAMES_MAX
    assert found["quiet", "w-1", "completed"] == 1
    for number in range(2 * NAMES_OF_ALL_MAX):
        metrics.ended(f"n-{number}", ("w",), 1, 1, failed=False)
    found = values(metrics)
    assert len(found) <= NAMES_OF_ALL_MAX + 2
    assert found["other", "other", "completed"] > NAMES_OF_ALL_MAX


def test_an_idle_name_makes_room() -> None:
    """After an hour without an attempt."""
    metrics = attempts_of_workers()
    metrics.ended("shop", ("w-1",), 1, 0, failed=False)
    metrics.ended("shop", ("w-2",), 1, IDLE_MS + 1, failed=False)
    assert set(values(metrics)) == {("shop", "w-2", "completed")}


def test_names_of_users_are_exported_only_on_request() -> None:
    """They are among the kept metrics in both cases."""
    for exported in (True, False):
        metrics = Metrics()
        attempts = attempts_of_workers()
        metrics.add_named(attempts, exported=exported)
        attempts.ended("shop", ("w-1",), 1, 1, failed=False)
        assert (b"w-1" in metrics.exposition()[0]) is exported
        names = {family.name for family in metrics.collected()}
        assert "flowmesh_worker_attempts" in names
