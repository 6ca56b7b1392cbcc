"""The choice of instances: by health, zone, load and latency; ejection; the budget of retries."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from flowmesh.rpc.instances.balancing import (
    EJECT_AFTER,
    EJECT_MAX_S,
    EJECT_S,
    TOKENS_MAX,
    Backend,
    Balancer,
    Place,
    RetryBudget,
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def balancer(count: int, clock: Clock, zone: str = "") -> Balancer:
    made = Balancer(now_s=clock, draw=random.Random(7).randrange, zone=zone)
    made.update(Place(f"i{n}", f"10.0.0.{n}:1") for n in range(count))
    return made


def call(made: Balancer, clock: Clock, *, failed: bool = False, seconds: float = 0.01) -> Backend:
    chosen = made.pick()
    assert chosen is not None
    began = made.begin(chosen)
    clock.now += seconds
    made.end(chosen, began, failed=failed)
    return chosen


def fail(made: Balancer, name: str, times: int) -> None:
    backend = made.backends[name]
    for _ in range(times):
        made.end(backend, made.begin(backend), failed=True)


def chosen(made: Balancer, clock: Clock, calls: int = 200) -> Counter[str]:
    return Counter(call(made, clock).place.id for _ in range(calls))


def test_no_instance_is_none() -> None:
    """Nothing is chosen from nothing."""
    assert Balancer().pick() is None


def test_calls_are_spread() -> None:
    """Each of three equal instances gets a fair part."""
    clock = Clock()
    found = chosen(balancer(3, clock), clock, 300)
    assert len(found) == 3
    assert min(found.values()) > 50


def test_a_slow_instance_gets_fewer_calls() -> None:
    """Ten times slower: less than a fifth of the calls, and still some."""
    clock = Clock()
    made = balancer(3, clock)
    counts: Counter[str] = Counter()
    for _ in range(600):
        picked = made.pick()
        assert picked is not None
        began = made.begin(picked)
        clock.now += 0.1 if picked.place.id == "i0" else 0.01
        made.end(picked, began, failed=False)
        counts[picked.place.id] += 1
    assert 0 < counts["i0"] < 120


def test_open_calls_count() -> None:
    """An instance with many open calls is avoided."""
    clock = Clock()
    made = balancer(2, clock)
    for _ in range(50):
        made.begin(made.backends["i0"])
    assert chosen(made, clock, 200)["i1"] > 170


def test_the_best_rank_first_then_the_same_zone() -> None:
    """HEALTHY before DEGRADED before UNHEALTHY, and a near one of the same rank."""
    clock = Clock()
    made = balancer(0, clock, zone="a")
    worse = Place("worse", "10.0.0.1:1", rank=1, zone="a")
    far, near = Place("far", "10.0.0.2:1", zone="b"), Place("near", "10.0.0.3:1", zone="a")
    made.update([Place("worst", "10.0.0.4:1", rank=2)])
    assert chosen(made, clock, 3) == {"worst": 3}
    made.update([worse, far])
    assert chosen(made, clock, 9) == {"far": 9}
    made.update([worse, far, near])
    assert chosen(made, clock, 9) == {"near": 9}


def test_five_failures_in_a_row_eject_for_a_growing_time() -> None:
    """Five seconds at first, ten the second time."""
    clock = Clock()
    made = balancer(3, clock)
    fail(made, "i0", EJECT_AFTER - 1)
    assert made.backends["i0"].ejected_until_s == 0
    fail(made, "i0", 1)
    assert "i0" not in chosen(made, clock, 50)
    clock.now = made.backends["i0"].ejected_until_s + 0.01
    fail(made, "i0", EJECT_AFTER)
    assert made.backends["i0"].ejected_until_s - clock.now == 2 * EJECT_S


def test_half_of_ten_calls_eject() -> None:
    """Failures between successes eject too."""
    clock = Clock()
    made = balancer(3, clock)
    backend = made.backends["i0"]
    for index in range(10):
        made.end(backend, made.begin(backend), failed=index % 2 == 0)
        clock.now += 0.01
    fail(made, "i0", 1)
    assert backend.ejected_until_s > clock.now


def test_at_most_half_are_ejected_and_a_single_one_never() -> None:
    """Some instance is chosen always."""
    clock = Clock()
    single = balancer(1, clock)
    fail(single, "i0", 100)
    assert single.pick() is single.backends["i0"]
    made = balancer(4, clock)
    for name in ("i0", "i1", "i2", "i3"):
        fail(made, name, EJECT_AFTER)
    ejected = [each for each in made.backends.values() if each.ejected_until_s > clock.now]
    assert len(ejected) == 2


def test_a_tried_instance_is_not_chosen_again() -> None:
    """A retry goes elsewhere, or nowhere."""
    clock = Clock()
    made = balancer(2, clock)
    assert {made.pick(["i0"]), made.pick(["i1"])} == set(made.backends.values())
    assert made.pick(["i0", "i1"]) is None


def test_an_instance_with_another_address_begins_anew() -> None:
    """Its former outcomes are forgotten."""
    clock = Clock()
    made = balancer(2, clock)
    before = made.backends["i0"]
    gone = made.update([Place("i0", "10.0.0.9:1")])
    assert before in gone
    assert len(gone) == 2
    assert made.backends["i0"] is not before


def test_the_budget_stops_retries_and_comes_back() -> None:
    """Five failures use it up; ten successes give one back."""
    budget = RetryBudget()
    permitted = []
    for _ in range(5):
        permitted.append(budget.permits)
        budget.record(failed=True)
    permitted.append(budget.permits)
    assert permitted == [True] * 5 + [False]
    for _ in range(11):
        budget.record(failed=False)
    permitted.append(budget.permits)
    assert permitted[-1]
    for _ in range(1_000):
        budget.record(failed=False)
    assert budget.tokens == TOKENS_MAX


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.floats(0, 5)), max_size=200))
def test_whatever_fails_some_instance_is_chosen(calls: list[tuple[int, bool, float]]) -> None:
    """At most half are ejected, no longer than the limit, and no open call is lost."""
    clock = Clock()
    made = balancer(5, clock)
    for index, failed, seconds in calls:
        backend = made.backends[f"i{index}"]
        began = made.begin(backend)
        clock.now += seconds
        made.end(backend, began, failed=failed)
        until = [each.ejected_until_s - clock.now for each in made.backends.values()]
        assert sum(left > 0 for left in until) <= 2
        assert max(until) <= EJECT_MAX_S
    assert made.pick() is not None
    assert all(each.open_calls == 0 for each in made.backends.values())
