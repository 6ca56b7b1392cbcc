"""Conditions over much data: they hold nobody up, and mean what they mean elsewhere."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from flowmesh.api.definition.v1.plan_pb2 import DIALECT_STEPS, TaskSpec
from flowmesh.api.worker.v1.task_pb2 import TaskResult
from tests.integration.worker.harness import Worker
from tests.integration.worker.orchestrator import Orchestrator, spec_of, task_of

MANY = 8_000
STEPS = 200
NOBODY_WAITS_S = 0.1
"""Others had their turn within this; a frame of all of them takes several times as long."""


def decision(language: str, expression: str) -> TaskSpec:
    condition = {"id": "c", "language": language, "expression": expression}
    return spec_of("decision", {"conditions": [condition], "default": ["no"]})


def condition(language: str, expression: str) -> TaskSpec:
    config = {"expression": expression, "language": language}
    return spec_of("condition", config, dialect=DIALECT_STEPS)


async def longest_wait_s(until: asyncio.Future[Any]) -> float:
    """The longest time in which the event loop did not come round."""
    longest, before = 0.0, time.perf_counter()
    while not until.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    return longest


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (condition("cel", "input.o == input.o"), b"true"),
        (condition("cel", "input.l.exists(x, x == 7)"), b"true"),
        (condition("javascript", "context.l.includes(7)"), b"true"),
        (decision("cel", "size(input.o) > 1 && input.l == input.l"), b'["c"]'),
        (decision("jsonpath", "$.o[?@ > 7998]"), b'["c"]'),
        (decision("jsonpath", "$.o[?@ > 9999]"), b'["no"]'),
    ],
)
async def test_much_data_is_looked_at_elsewhere(
    orchestrator: Orchestrator, worker: Worker, spec: TaskSpec, expected: bytes
) -> None:
    """In a process of its own, which is kept for the next."""
    value = {"l": list(range(MANY)), "o": {f"k{n}": n for n in range(MANY)}}
    for token in ("t1", "t2"):
        result = await orchestrator.run(task_of(token, spec, value), spec)
        assert result.output.data == expected
    assert len(worker.sandbox.children) == 1


async def test_little_data_is_looked_at_here(orchestrator: Orchestrator, worker: Worker) -> None:
    """No process is started for it, however much is beside what the condition reads."""
    spec = condition("cel", "input.n == 1")
    value = {"n": 1, "beside": list(range(MANY))}
    result = await orchestrator.run(task_of("t1", spec, value), spec)
    assert result.output.data == b"true"
    assert worker.sandbox.children == ()


@pytest.mark.parametrize("language", ["cel", "javascript"])
async def test_it_fails_as_it_does_over_little_data(
    orchestrator: Orchestrator, worker: Worker, language: str
) -> None:
    """The class and the words of the failure are the same."""
    spec = decision(language, "size(input.l) > 0 && input.s > 1" if language == "cel"
                    else "input.l.includes(-1) || input.nope.deeper")  # fmt: skip
    told = []
    for length in (1, MANY):
        value = {"l": list(range(length)), "s": "text"}
        result = await orchestrator.run(task_of(f"t{length}", spec, value), spec)
        told.append((getattr(result.failure, "class"), result.failure.message))
    assert told[0] == told[1]
    assert told[0][0] == "ValidationError"
    assert len(worker.sandbox.children) == 1


class Sink:
    """Takes results in place of the relay, until it has so many."""

    def __init__(self, wanted: int) -> None:
        self.results: list[TaskResult] = []
        self.full = asyncio.Event()
        self._wanted = wanted

    def complete(self, _: object, results: Sequence[TaskResult]) -> None:
        self.results += results
        if len(self.results) >= self._wanted:
            self.full.set()


async def test_many_steps_of_one_frame_leave_others_their_turn(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may take a few ms; all of them together must not be one long pause."""
    sink = Sink(STEPS)
    monkeypatch.setattr(worker.pool, "_sink", sink)
    spec = condition("cel", "input.o == input.o")
    value = {"o": {f"k{number}": number for number in range(1_900)}}
    tasks = [task_of(f"t{number}", spec, value) for number in range(STEPS)]

    async def run_all() -> None:
        worker.pool.deliver(tasks, {spec.digest: spec})
        await sink.full.wait()

    assert await longest_wait_s(asyncio.create_task(run_all())) < NOBODY_WAITS_S
    assert {result.output.data for result in sink.results} == {b"true"}
