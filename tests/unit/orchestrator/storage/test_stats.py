"""Latencies of one process, of several put together, and what is stored of them."""

import random

import pytest

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import State
from flowmesh.orchestrator.dispatch.statistics.workflow_stats import (
    SAMPLES_SENT_MAX,
    SAMPLES_STORED_MAX,
    Latency,
    merged,
    overhead,
    to_store,
)
from tests.unit.engine.factories import node, plan


def told(samples: list[float]) -> execution_pb2.WorkflowStats:
    """Return the statistics that a process with these samples sends to another."""
    latency = Latency()
    for sample in samples:
        latency.add(sample)
    message = latency.message()
    return execution_pb2.WorkflowStats(
        workflow_id="w",
        started=len(samples),
        latency=message,
        tasks=[execution_pb2.TaskStats(node="a", completed=len(samples), latency=message)],
    )


def test_percentiles_of_one_process() -> None:
    """Of sorted samples, independent of their order of arrival."""
    samples = [float(sample) for sample in random.Random(1).sample(range(100), 100)]
    message = merged([told(samples)])[0].latency
    assert (message.p50_ms, message.p95_ms, message.p99_ms) == (50, 95, 99)
    assert (message.count, message.total_ms, len(message.samples_ms)) == (100, 4950, 0)


def test_nothing_measured_has_no_percentiles() -> None:
    """Zero, as an absent number reads."""
    assert Latency().message() == execution_pb2.LatencyStats()


def test_several_processes_weigh_by_what_they_measured() -> None:
    """As near to the percentiles of all samples as a hundred of each allow."""
    rng = random.Random(2)
    slow = [rng.uniform(100, 200) for _ in range(100)]
    fast = [rng.uniform(0, 10) for _ in range(900)]
    (workflow,) = merged([told(slow), told(fast)])
    everything = sorted(slow + fast)
    latency = workflow.latency
    assert (workflow.started, latency.count) == (1_000, 1_000)
    assert abs(latency.p50_ms - everything[500]) < 0.5
    assert abs(latency.p95_ms - everything[950]) < 5
    assert abs(latency.p99_ms - everything[990]) < 5
    assert workflow.tasks[0].completed == 1_000
    assert len(told(fast).latency.samples_ms) == SAMPLES_SENT_MAX


def test_a_latency_tells_what_is_not_stored() -> None:
    """Only the samples after those that were, also when more than are kept followed."""
    latency = Latency()
    for sample in (1.0, 2.0, 3.0):
        latency.add(sample)
    latency.stored(latency.message())
    latency.add(4.0)
    message = latency.message()
    assert (message.count, message.total_ms, list(message.samples_ms)) == (1, 4.0, [4.0])
    for _ in range(2_000):
        latency.add(5.0)
    message = latency.message()
    assert (message.count, message.total_ms) == (2_001, 10_004.0)
    assert set(message.samples_ms) == {5.0}


def test_stored_statistics_forget_old_samples_only() -> None:
    """The counts are of all executions, the percentiles of the latest."""
    stored = told([9.0] * 50)
    for _ in range(SAMPLES_STORED_MAX // SAMPLES_SENT_MAX):
        stored = to_store(stored, told([1.0] * SAMPLES_SENT_MAX))
    (workflow,) = merged([stored])
    assert (workflow.started, workflow.latency.count) == (250, 250)
    assert workflow.latency.total_ms == 650
    assert workflow.tasks[0].latency.p99_ms == workflow.latency.p99_ms == 1.0
    assert len(stored.latency.samples_ms) == SAMPLES_STORED_MAX


@pytest.mark.parametrize(
    ("ran", "share"),
    [
        ([(100, 1_100)], 0.0),
        ([(200, 1_000)], 0.2),
        ([(100, 600), (600, 1_100)], 0.0),
        ([(100, 500), (700, 1_100)], 0.2),
        ([(100, 1_100), (200, 300)], 0.0),
        ([(300, 600), (200, 500), (900, 1_000)], 0.5),
        ([(0, 100), (300, 800)], 0.5),
        ([], 1.0),
    ],
)
def test_overhead_is_the_time_without_a_task(ran: list[tuple[int, int]], share: float) -> None:
    """Tasks side by side count once; one that never began does not count."""
    state = State("e", plan(*(node(f"n{number}") for number in range(len(ran)))))
    state.started_at_us, state.ended_at_us = 100, 1_100
    for planned, (started_us, ended_us) in zip(state.scope.graph.nodes, ran, strict=True):
        one = state.scope.node(planned)
        one.started_at_us, one.ended_at_us = started_us, ended_us
    assert overhead(state) == pytest.approx(share)


def test_an_execution_without_a_duration_has_no_overhead() -> None:
    """Nothing is divided by nothing."""
    assert overhead(State("e", plan(node("a")))) == 0.0
