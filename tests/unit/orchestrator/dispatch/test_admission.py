"""Starts are refused while more is offered than can be done, and only then."""

import random
from dataclasses import dataclass, field

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.engine import Start, TaskEnded
from flowmesh.orchestrator.commit.admission import Admission
from flowmesh.orchestrator.commit.inbox import Inbox
from flowmesh.orchestrator.model.commands import PendingCommand

STEPS = 3
# Costs of the modeled process in microseconds, close to the real ones.
COMMAND_US = 150
BATCH_US = 4_000
REFUSAL_US = 20
SECOND_US = 1_000_000
CALLERS = 64
# A batch of the closed loop holds one command of each caller.
PEAK_PER_S = SECOND_US * CALLERS / ((BATCH_US + CALLERS * COMMAND_US) * (STEPS + 1))


@dataclass
class Outcome:
    """Outcomes of the starts; times from the call to the end of the execution."""

    refused: int = 0
    took_us: list[int] = field(default_factory=list)

    @property
    def p99_us(self) -> int:
        return sorted(self.took_us)[int(len(self.took_us) * 0.99)]


class Model:
    """A process that does one thing after the other: takes a batch, decides, commits, tells.

    Each start is followed by three results, each submitted when the one before is committed.
    """

    def __init__(self, seed: int) -> None:
        self.now_us = 0
        self._inbox = Inbox(lambda: self.now_us)
        self._draw = random.Random(seed)
        self._began: dict[int, int] = {}
        self._done: dict[int, int] = {}
        self._arrival_us = 0.0
        self._number = 0

    def offer(self, per_s: float, seconds: float, stalled_us: int = 0) -> Outcome:
        """Offers starts at random times, at an average rate per second.

        So long nothing happens at first, while they come.
        """
        outcome, until_us = Outcome(), self.now_us + int(seconds * SECOND_US)
        self._arrival_us = float(self.now_us)
        self.now_us += stalled_us
        while self.now_us < until_us:
            self._arrive(per_s, outcome)
            batch = self._inbox.take()
            self.now_us += BATCH_US + COMMAND_US * len(batch)
            for work in batch:
                self._follow(work, outcome)
        return outcome

    def _arrive(self, per_s: float, outcome: Outcome) -> None:
        while self._arrival_us <= self.now_us:
            refusal = self._inbox.refusal()
            if refusal is not None:
                outcome.refused += refusal.retry_after_ms > 0
                self.now_us += REFUSAL_US
            else:
                self._number += 1
                self._began[self._number] = int(self._arrival_us)
                start = Start(payload_pb2.Payload(), str(self._number), "", "")
                self._inbox.submit(PendingCommand(str(self._number), 0, start))
            self._arrival_us += self._draw.expovariate(per_s) * SECOND_US

    def _follow(self, work: PendingCommand, outcome: Outcome) -> None:
        number = int(work.execution_id)
        done = self._done.get(number, 0)
        if done < STEPS:
            self._done[number] = done + 1
            self._inbox.submit(PendingCommand(work.execution_id, 0, TaskEnded("step", 1)))
            return
        del self._done[number]
        outcome.took_us.append(self.now_us - self._began.pop(number))


@pytest.mark.parametrize("seed", range(3))
def test_five_times_too_much_costs_little(seed: int) -> None:
    """Nine tenths of the best are done, each in a third of a second; then it is as before."""
    model = Model(seed)
    normal = model.offer(0.8 * PEAK_PER_S, 10)
    # Until it is known that it is too much, everything is taken on.
    model.offer(5 * PEAK_PER_S, 4)
    over = model.offer(5 * PEAK_PER_S, 20)
    model.offer(0.8 * PEAK_PER_S, 2)
    after = model.offer(0.8 * PEAK_PER_S, 10)

    assert normal.refused == after.refused == 0
    assert len(over.took_us) >= 0.9 * PEAK_PER_S * 20
    assert over.p99_us <= SECOND_US / 3
    assert after.p99_us <= 1.5 * normal.p99_us


@pytest.mark.parametrize("seed", range(3))
def test_it_is_noticed_before_many_are_taken_on(seed: int) -> None:
    """Those wait longer than the rest: fewer than one in a hundred of two minutes may."""
    model = Model(seed)
    model.offer(0.8 * PEAK_PER_S, 10)
    took_us = model.offer(5 * PEAK_PER_S, 5).took_us
    assert sum(took > SECOND_US / 3 for took in took_us) < 0.9 * PEAK_PER_S * 120 / 100


@pytest.mark.parametrize("stalled_us", [500_000, 1_000_000])
def test_a_pause_refuses_no_request(stalled_us: int) -> None:
    """The machine does something else: who came meanwhile is served, also more than a batch."""
    model = Model(seed=1)
    for _ in range(10):
        assert model.offer(0.5 * PEAK_PER_S, 4, stalled_us).refused == 0


def test_load_is_shed_until_a_second_without_a_refusal() -> None:
    """At least for one; 80 starts may always wait, and as many as are begun in 28 ms."""
    made = Admission()
    made.observe(501, 0, 40_000, 1)
    assert made.admits(10_000)
    made.observe(500, 0, 40_001, 2)
    assert made.admits(10_000)
    made.observe(501, 0, 40_001, 3)
    for second in (1, 2, 3):
        made.observe(0, 0, 0, second * SECOND_US)
        assert made.admits(79)
        assert not made.admits(80)
    made.observe(0, 10_000, 0, 4 * SECOND_US)
    assert made.admits(279)
    made.observe(0, 0, 0, 5 * SECOND_US)
    assert made.admits(10_000)


def test_starts_that_are_late_for_a_quarter_of_a_second_are_a_crowd() -> None:
    """If more than 200 of them wait; one batch in time ends it."""
    for waiting, crowded in ((200, False), (201, True)):
        made = Admission()
        made.observe(waiting, 0, 40_000, 100)
        made.observe(waiting, 0, 40_001, 250_100)
        assert made.admits(10_000)
        made.observe(waiting, 0, 40_001, 250_101)
        assert made.admits(10_000) is not crowded
