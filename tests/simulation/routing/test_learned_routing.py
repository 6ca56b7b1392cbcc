"""Learned routing against chance and against turns, and histories that mislead it."""

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from flowmesh.orchestrator.dispatch.routing.history import RECENT, RESULTS_MIN, History
from flowmesh.orchestrator.dispatch.routing.router import KINDS_MAX, LearnedRouter
from flowmesh.orchestrator.limits.ready_queues import Key
from tests.simulation.routing.workshop import KINDS, Duration, Outcome, Workshop

SEEDS = range(1, 5)
TASKS, PER_SECOND, SLOTS = 4_000, 40.0, 4
WORKERS = ("a", "b", "c", "d")
# A worker that is fast at one kind is slow at the other.
MEANS_MS = {"pack": (20, 40, 120, 200), "weigh": (200, 120, 40, 20)}


def by_speed(rng: random.Random, key: Key, worker: str, busy: int, number: int) -> float:
    return rng.expovariate(1 / MEANS_MS[key[2]][WORKERS.index(worker)])


def run(duration: Duration, seed: int, workers: tuple[str, ...] = WORKERS, **how: Any) -> Outcome:
    return Workshop(workers, SLOTS, duration, seed, **how).run(TASKS, PER_SECOND)


def learning() -> LearnedRouter:
    return LearnedRouter(["shop"])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.feature("S4-99")
def test_learned_routing_beats_chance_by_a_fifth(seed: int) -> None:
    """Tasks end sooner than with random workers, and than with workers in turn."""
    learned = run(by_speed, seed, router=learning())
    by_chance, in_turn = run(by_speed, seed, by_chance=True), run(by_speed, seed)
    figures = f"{learned.mean_ms:.0f}, {by_chance.mean_ms:.0f}, {in_turn.mean_ms:.0f} ms"
    assert learned.mean_ms <= 0.8 * by_chance.mean_ms, figures
    assert learned.mean_ms <= 0.8 * in_turn.mean_ms, figures


def test_the_same_history_gives_the_same_choices() -> None:
    """There is no clock and no chance in the choice."""
    first, second = (run(by_speed, 1, router=learning()) for _ in range(2))
    assert first.workers == second.workers


def test_without_a_place_nothing_is_learned() -> None:
    """Another namespace or queue has its workers in turn."""
    for places in (["other"], ["shop/other"], []):
        router = LearnedRouter(places)
        assert run(by_speed, 1, router=router).workers == run(by_speed, 1).workers
        assert not list(router.histories())


def alike(rng: random.Random, key: Key, worker: str, busy: int, number: int) -> float:
    return rng.expovariate(1 / 50)


class Tired:
    """A worker is fast until it gets more than its part, which a router brings about."""

    def __init__(self) -> None:
        self._latest: deque[str] = deque(maxlen=30)

    def __call__(self, rng: random.Random, key: Key, worker: str, busy: int, number: int) -> float:
        self._latest.append(worker)
        if self._latest.count(worker) > 12:
            return 250.0
        return 20.0 if worker == "a" else 60.0


def changing(rng: random.Random, key: Key, worker: str, busy: int, number: int) -> float:
    """Change speeds in the middle."""
    slow = "a" if number >= TASKS // 2 else "b"
    return rng.expovariate(1 / (200 if worker == slow else 20))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("made", [lambda: alike, Tired], ids=["alike", "tired"])
def test_a_history_that_misleads_costs_little(made: Callable[[], Duration], seed: int) -> None:
    """Where the expectations are of no use, workers take turns, as without routing."""
    learned, in_turn = run(made(), seed, router=learning()), run(made(), seed)
    figures = f"{learned.mean_ms:.0f} ms against {in_turn.mean_ms:.0f} ms: {learned.reasons}"
    assert learned.mean_ms <= 1.1 * in_turn.mean_ms, figures


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_that_change_places_are_noticed(seed: int) -> None:
    """The preferred worker loses its tasks once it is slow."""
    found = run(changing, seed, ("a", "b"), router=learning())
    assert found.share("a", 500, TASKS // 2) > 0.7
    assert found.share("b", TASKS * 3 // 4, TASKS) > 0.7


def test_a_worker_that_fails_at_once_is_not_preferred() -> None:
    """A failure is no fast result."""

    def failing(rng: random.Random, key: Key, worker: str, busy: int, number: int) -> float:
        return 1.0 if worker == "a" else rng.expovariate(1 / 50)

    found = run(failing, 1, ("a", "b"), router=learning(), failing=("a",))
    assert found.share("a", 500, TASKS) < 0.6


def test_expectations_that_do_not_shorten_tasks_are_left() -> None:
    """They are measured against the tasks that are still sent in turn; then more are needed."""
    history = History()
    for number in range(RESULTS_MIN):
        worker = number % 2
        history.add(f"w{worker}", 20 + 80 * worker, failed=False, routed=False)
    assert history.judge().used
    for _ in range(RECENT // 2):
        history.add("w0", 58, failed=False, routed=True)
    assert "58 ms by expectation, 60 ms in turn" in history.judge().reason
    for number in range(RESULTS_MIN):
        worker = number % 2
        history.add(f"w{worker}", 20 + 80 * worker, failed=False, routed=False)
    assert history.judge().reason == "in turn: 50 of 100 results"


def test_memory_is_bounded() -> None:
    """Kinds and workers without recent results are forgotten."""
    router = LearnedRouter(["shop"])
    for number in range(2 * KINDS_MAX):
        for each in range(3):
            router.ended(
                ("shop", "q", f"t{number}", ""), f"w{each}", 1.0, failed=False, routed=False
            )
    assert len(list(router.histories())) == KINDS_MAX
    for number in range(1_000):
        router.ended(KINDS[0], f"w{number}", 1.0, failed=False, routed=False)
    history = dict(router.histories())[KINDS[0]]
    assert history.results("w0") == 0
    assert history.results("w999") == 1
