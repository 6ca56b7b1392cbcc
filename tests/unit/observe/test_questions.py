"""Sentences and judgements of the questions, without a suite."""

import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.api.observe.v1 import questions_pb2 as figures
from flowmesh.errors import Invalid
from flowmesh.observe.questions.queue_use import published_keys
from flowmesh.observe.questions.service_map import calls_between
from flowmesh.observe.questions.slowness import sentence
from flowmesh.observe.questions.sums import DAY_US, RANGE_US_MAX, Range, checked_range
from flowmesh.observe.questions.workers import judge

WORKFLOW = figures.Difference(
    kind=figures.DIFFERENCE_KIND_WORKFLOW,
    name="orders",
    before_ms=100,
    after_ms=500,
    before_count=10,
    after_count=20,
)


def part(
    kind: figures.DifferenceKind.ValueType, before_ms: float, after_ms: float
) -> figures.Difference:
    return figures.Difference(
        kind=kind,
        name="charge",
        before_ms=before_ms,
        after_ms=after_ms,
        before_count=5,
        after_count=5,
    )


def test_a_range_is_within_31_days_and_ends_at_most_a_day_ahead() -> None:
    """The bounds themselves are allowed; without bounds it is the time before now."""
    now = 100 * DAY_US
    assert checked_range(0, 0, now, DAY_US) == (now - DAY_US, now)
    assert checked_range(0, 50 * DAY_US, now, DAY_US) == (49 * DAY_US, 50 * DAY_US)
    widest = (now - 30 * DAY_US, now + DAY_US)
    assert checked_range(*widest, now, DAY_US) == widest
    first = (1, RANGE_US_MAX)
    assert checked_range(*first, now, DAY_US) == first
    for begin, end in (
        (now - RANGE_US_MAX - 1, now),
        (now, now),
        (now, now + DAY_US + 1),
        (1, RANGE_US_MAX - 1),
    ):
        with pytest.raises(Invalid, match="by at most 31 days"):
            checked_range(begin, end, now, DAY_US)
    assert Range(20, 30).before() == (10, 20)
    assert Range(0, 2_500_000).seconds == 2.5


def test_the_largest_change_is_the_cause() -> None:
    """Each kind in words of its own."""
    for kind, words in (
        (
            figures.DIFFERENCE_KIND_TASK,
            "most of it is the task charge, which runs 400 ms instead of 9 ms",
        ),
        (
            figures.DIFFERENCE_KIND_WAIT,
            "the queue of the task charge, which waits 400 ms instead of",
        ),
        (
            figures.DIFFERENCE_KIND_DATABASE,
            "the database, whose commits take 400 ms instead of 9 ms",
        ),
    ):
        assert words in sentence(WORKFLOW, [part(kind, 9, 400)])
    same = sentence(WORKFLOW, [part(figures.DIFFERENCE_KIND_TASK, 9, 9.5)])
    assert "500 ms in the median of 20 executions, 100 ms before; no single part" in same


def test_without_executions_nothing_is_compared() -> None:
    """Also if it became quicker."""
    nothing = figures.Difference(name="orders")
    assert sentence(nothing, []) == "orders has completed no execution since then"
    quicker = figures.Difference(
        name="orders", before_ms=9, after_ms=8, before_count=1, after_count=1
    )
    assert sentence(quicker, []).startswith("orders is not slower: 8 ms")


def worker(name: str, completed: int, failed: int, mean_ms: float = 10) -> figures.ComparedWorker:
    return figures.ComparedWorker(
        worker_id=name, completed=completed, failed=failed, mean_ms=mean_ms, attached=True
    )


def test_workers_are_judged_beside_those_of_the_same_types() -> None:
    """By failures and durations; another type of tasks may take longer, and two failures happen."""
    kind, other = frozenset({"pay"}), frozenset({"report"})
    workers = [
        worker("good", 100, 1),
        worker("failing", 50, 50),
        worker("slow", 100, 1, mean_ms=900),
        worker("unlucky", 10, 2),
        worker("reporter", 100, 0, mean_ms=60_000),
        figures.ComparedWorker(worker_id="gone", completed=1),
    ]
    kinds = {each.worker_id: kind for each in workers if each.attached} | {"reporter": other}
    judge(workers, kinds)
    found = {each.worker_id: each.problem for each in workers}
    assert "50% of its attempts fail" in found["failing"]
    assert "an attempt takes 900 ms" in found["slow"]
    assert found["gone"] == "sends no heartbeat any more"
    assert found["good"] == found["unlucky"] == found["reporter"] == ""


def test_tasks_that_publish_to_a_queue_or_its_exchange() -> None:
    """By the key without an exchange, or by an exchange that is bound."""
    plan = plan_pb2.Plan()
    for config in (
        b'{"key": "q"}',
        b'{"key": "other"}',
        b'{"key": "k", "exchange": "x"}',
        b'{"key": "q", "exchange": "y"}',
    ):
        plan.specs.add(task_type="message.publish", config=config)
    plan.specs.add(task_type="http.request", config=b'{"key": "q"}')
    assert list(published_keys(plan, "q", frozenset({"x"}))) == ["q", "k"]


def test_the_caller_of_a_call_encloses_it() -> None:
    """The shortest one of another service in the same trace; others are of clients."""

    def call(service: str, at_us: int, duration_ms: float, trace: str = "t") -> pb.CallRecord:
        return pb.CallRecord(
            service=service, at_us=at_us, duration_ms=duration_ms, trace_id=trace, code="OK"
        )

    calls = [
        call("gateway", 1_000_000, 500),
        call("ExecutionService", 990_000, 400),
        call("DefinitionService", 900_000, 100),
        call("DefinitionService", 900_000, 100, trace="u"),
        call("DefinitionService", 900_000, 300, trace=""),
    ]
    found = {(each.caller, each.service): each for each in calls_between(calls)}
    assert set(found) == {
        ("", "gateway"),
        ("gateway", "ExecutionService"),
        ("ExecutionService", "DefinitionService"),
        ("", "DefinitionService"),
    }
    assert found["", "DefinitionService"].mean_ms == 200
    assert found["", "DefinitionService"].p95_ms == 300


def test_a_change_of_a_tenth_is_none() -> None:
    """Nor is one of a millisecond; a larger one makes a workflow slower."""
    for before_ms, after_ms, slower in (
        (100.0, 110.0, False),
        (100.0, 111.0, True),
        (5.0, 6.0, False),
        (5.0, 6.5, True),
        (9.0, 8.0, False),
    ):
        whole = figures.Difference(
            name="orders", before_ms=before_ms, after_ms=after_ms, before_count=1, after_count=1
        )
        assert sentence(whole, []).startswith("orders takes") is slower, (before_ms, after_ms)


def test_a_worker_that_is_slower_than_its_peers() -> None:
    """Three times slower, and by 50 ms."""
    kinds = dict.fromkeys(("peer", "slow"), frozenset({"pay"}))
    for usual_ms, mean_ms, problem in (
        (100, 250, False),
        (100, 301, True),
        (10, 59, False),
        (10, 61, True),
    ):
        workers = [worker("peer", 10, 0, usual_ms), worker("slow", 10, 0, mean_ms)]
        judge(workers, kinds)
        assert bool(workers[1].problem) is problem, (usual_ms, mean_ms)


def test_clocks_of_callers_differ_by_2_ms_at_most() -> None:
    """A caller may end so much before its call, and begin so much after it."""

    def caller_of(end_us: int, begin_us: int) -> str:
        other = pb.CallRecord(
            service="gateway",
            at_us=end_us,
            duration_ms=(end_us - begin_us) / 1_000,
            trace_id="t",
            code="OK",
        )
        call = pb.CallRecord(
            service="DefinitionService", at_us=990_000, duration_ms=90, trace_id="t", code="OK"
        )
        found = {each.service: each.caller for each in calls_between([other, call])}
        return found["DefinitionService"]

    # The call begins at 900 ms and ends at 990 ms.
    for end_us, begin_us, caller in (
        (988_000, 800_000, "gateway"),
        (987_000, 800_000, ""),
        (1_200_000, 902_000, "gateway"),
        (1_200_000, 903_000, ""),
    ):
        assert caller_of(end_us, begin_us) == caller, (end_us, begin_us)
