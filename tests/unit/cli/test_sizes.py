"""`flowmesh size`: sums of costs, and the step of growth that follows from them."""

from typing import Any

import pytest

from flowmesh.cli.operations.sizes import bytes_text
from flowmesh.cli.operations.sizing import (
    Cost,
    Costs,
    Load,
    Machine,
    cost_of,
    measured_costs,
    size_of,
)

COSTS = Costs(
    commit="",
    at="",
    machine=Machine(cores=2, python="3.11", load_1m=0.0),
    workflow=Cost(cpu_ms=1.0, wal_bytes=1_000, commits=0.5, stored_bytes=1_000, bus_bytes=100),
    step=Cost(cpu_ms=0.5, wal_bytes=500, stored_bytes=200),
    payload_byte=Cost(wal_bytes=2, stored_bytes=1),
    sleeper=Cost(stored_bytes=1_300),
)


def load(rate: float, **changed: Any) -> Load:
    given: dict[str, Any] = {"steps": 4, "payload_bytes": 100, "retention_s": 1_000} | changed
    return Load(starts_per_second=rate, **given)


def test_a_workflow_costs_itself_its_steps_and_its_payloads() -> None:
    """Input and output of the workflow are recorded beside the output of each step."""
    cost = cost_of(COSTS, 4, 100)
    assert cost == Cost(cpu_ms=3.0, wal_bytes=4_200, commits=0.5, stored_bytes=2_400, bus_bytes=100)


def test_rows_are_kept_for_the_retention_and_while_executions_sleep() -> None:
    """Log, commits and cores depend on the rate alone."""
    size = size_of(COSTS, load(10, sleeping=100))
    assert size.stored_bytes == 10 * 1_000 * 2_400 + 100 * 1_300
    assert size.cores == pytest.approx(10 * 3 / 1_000 / 0.6)
    assert size.commits_per_second == 5
    assert size.step == "one process"


@pytest.mark.parametrize(
    ("rate", "retention_s", "step"),
    [
        (300, 1_000, "more processes"),
        (10_000, 1_000, "strong stores"),
        (1_000, 1_000_000, "archive or more databases"),
    ],
)
def test_the_step_is_the_first_that_carries_the_load(
    rate: float, retention_s: float, step: str
) -> None:
    """Disk decides before the log, the log before cores."""
    assert size_of(COSTS, load(rate, retention_s=retention_s)).step == step


def test_the_measured_costs_are_complete() -> None:
    """Every cost of a workflow, of a step and of a payload is above zero."""
    costs = measured_costs()
    for part in (costs.workflow, costs.step, costs.payload_byte):
        assert all(getattr(part, name) > 0 for name in ("cpu_ms", "wal_bytes", "stored_bytes"))


def test_bytes_are_written_in_the_largest_unit() -> None:
    """Below 1 KiB in bytes."""
    assert [bytes_text(each) for each in (0, 1_023, 1_536, 5 << 40)] == [
        "0.0 B",
        "1,023.0 B",
        "1.5 KiB",
        "5.0 TiB",
    ]
