"""Quotas at the admission of starts: exact for one owner, divided among several."""

import random

import pytest

from flowmesh.api.identity.v1.quota_service_pb2 import Quota
from flowmesh.errors import FlowmeshError, Overloaded
from flowmesh.orchestrator.limits.quotas import NamespaceUse, QuotaCounters, RowCounts
from flowmesh.orchestrator.model.commands import Started

SECOND_US = 1_000_000
NEW = Started("e", created=True)
NONE = RowCounts(0, 0, 0)


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000 * SECOND_US

    def now_us(self) -> int:
        return self.now


def counting(quota: Quota, owned: int = 64, rows: RowCounts = NONE) -> tuple[QuotaCounters, Clock]:
    """Return counters that enforce a quota of the namespace `n`."""
    clock = Clock()
    counters = QuotaCounters(owned=range(owned), now_us=clock.now_us)
    recount(counters, quota, rows, clock)
    return counters, clock


def recount(counters: QuotaCounters, quota: Quota, rows: RowCounts, clock: Clock) -> None:
    use = counters.limit({"n": quota})["n"]
    use.counted(rows, use.changes, counters.share, clock.now_us())


def begin(counters: QuotaCounters) -> NamespaceUse | None:
    """Return the use that counts an accepted start; None for a refused one."""
    try:
        counters.check("n")
    except Overloaded:
        return None
    return counters.begin("n")


def test_nothing_is_counted_in_a_namespace_without_a_quota() -> None:
    """Of executions: other limits do not count."""
    counters, _ = counting(Quota(running_executions=1))
    counters.check("other")
    assert counters.begin("other") is None
    assert counters.limit({"n": Quota(file_bytes=1)}) == {}
    assert counters.begin("n") is None


def test_a_failed_start_gives_its_place_back() -> None:
    """A repeat that creates nothing as well."""
    counters, _ = counting(Quota(running_executions=1, executions_per_day=1))
    for answer in (FlowmeshError("OVERLOADED", ""), Started("e", created=False)):
        use = begin(counters)
        assert use is not None
        assert begin(counters) is None
        use.begun(answer)
    use = begin(counters)
    assert use is not None
    use.begun(NEW)
    assert begin(counters) is None
    counters.ended("n")
    assert begin(counters) is None, "the day is used up"


def test_rows_that_were_read_during_a_commit_change_nothing_for_a_sole_owner() -> None:
    """The rows may lack a start that this process has committed meanwhile."""
    quota = Quota(running_executions=2)
    counters, clock = counting(quota)
    use = counters.limit({"n": quota})["n"]
    before = use.changes
    for _ in range(2):
        accepted = begin(counters)
        assert accepted is use
        use.begun(NEW)
    use.counted(NONE, before, 1.0, clock.now_us())
    assert begin(counters) is None


def test_rows_are_passed_over_ten_times_in_a_row() -> None:
    """An owner that commits without a pause takes every eleventh count."""
    counters, clock = counting(Quota(running_executions=100))
    use = counters.limit({"n": Quota(running_executions=100)})["n"]

    def passed_over() -> int:
        """Return the number of counts until one is taken, while starts are committed."""
        count, use.running = 0, 50
        while use.running == 50:
            use.counted(NONE, use.changes - 1, 1.0, clock.now_us())
            count += use.running == 50
        return count

    assert [passed_over() for _ in range(3)] == [10, 10, 10]


def test_starts_per_second_refill_with_the_time() -> None:
    """A pause saves no more than one second; the refusal has the time to wait."""
    counters, clock = counting(Quota(starts_per_second=4))
    assert sum(begin(counters) is not None for _ in range(100)) == 4
    with pytest.raises(FlowmeshError) as refused:
        counters.check("n")
    assert refused.value.retry_after_ms == 250
    clock.now += SECOND_US // 4
    assert sum(begin(counters) is not None for _ in range(100)) == 1
    clock.now += 60 * SECOND_US
    assert sum(begin(counters) is not None for _ in range(100)) == 4


@pytest.mark.parametrize("seed", range(5))
def test_three_orchestrators_together_keep_a_quota(seed: int) -> None:
    """Over by at most 1 % under starts at once, and all of it is given out in a few seconds."""
    draw = random.Random(seed)
    quota = Quota(executions_per_day=1_000)
    parts = [counting(quota, owned)[0] for owned in (22, 21, 21)]
    clock = Clock()
    weights = [draw.random() + 0.1 for _ in parts]
    begun, latest = 0, 0
    for _ in range(30):
        for counters in parts:
            recount(counters, quota, RowCounts(0, begun, latest), clock)
        latest = 0
        for counters in draw.choices(parts, weights, k=draw.choice((50, 1_000, 3_000))):
            use = begin(counters)
            if use is not None:
                use.begun(NEW)
                begun, latest = begun + 1, latest + 1
        assert begun <= 1_010
    assert begun >= 1_000
