"""The ready queues decide who leaves first."""

from collections import Counter

from flowmesh.api.common.v1 import priority_pb2 as p
from flowmesh.orchestrator.limits.ready_queues import (
    AGING_MS,
    READY_KEY_MIN,
    READY_MAX,
    Key,
    ReadyQueues,
    ReadyTask,
    urgent_first,
)
from tests.unit.engine.factories import Run, node, plan

HTTP: Key = ("default", "default", "http", "")
OTHER: Key = ("default", "default", "other", "")
NORMAL = p.PRIORITY_NORMAL


def task(
    name: str, priority: int = p.PRIORITY_NORMAL, key: Key = HTTP, partition: int = 0
) -> ReadyTask:
    return ReadyTask("exec-1", name, 1, partition, key, priority)


def names(queues: ReadyQueues, *keys: Key) -> list[str]:
    out = []
    while (popped := queues.pop(keys)) is not None:
        out.append(popped.node_id)
    return out


def test_a_higher_priority_always_leaves_first() -> None:
    """Strictly, regardless of arrival; equal tasks are sent in the order of arrival."""
    queues = ReadyQueues()
    for name, priority in [
        ("low", p.PRIORITY_LOW),
        ("one", p.PRIORITY_NORMAL),
        ("two", p.PRIORITY_NORMAL),
        ("critical", p.PRIORITY_CRITICAL),
        ("high", p.PRIORITY_HIGH),
    ]:
        queues.push(task(name, priority))
    assert names(queues, HTTP) == ["critical", "high", "one", "two", "low"]


def test_a_worker_gets_only_what_it_takes() -> None:
    """Other keys stay where they are."""
    queues = ReadyQueues()
    queues.push(task("mine"))
    queues.push(task("theirs", key=OTHER))
    assert names(queues, HTTP) == ["mine"]
    assert queues.count == 1
    assert queues.waiting([OTHER]) == 1


def test_a_key_is_announced_once() -> None:
    """The first task of a kind makes the worker sets look whether they take it."""
    queues = ReadyQueues()
    assert queues.push(task("a"))
    assert not queues.push(task("b"))


def test_what_does_not_fit_is_left_to_the_rows() -> None:
    """Memory stays bounded; what had no room is asked for when its kind has left."""
    queues = ReadyQueues()
    announced = [queues.push(task("x")) for _ in range(READY_MAX + 5)]
    assert announced == [True] + [False] * (READY_MAX + 4)
    assert queues.count == READY_MAX
    assert queues.take_drained() == set()
    assert len(names(queues, HTTP)) == READY_MAX
    assert queues.take_drained() == {(HTTP, NORMAL)}
    assert queues.take_drained() == set()


def test_a_kind_without_worker_leaves_room_for_the_others() -> None:
    """However many of it wait, which may be for ever."""
    queues = ReadyQueues()
    for _ in range(READY_MAX):
        queues.push(task("stuck", key=OTHER))
    for number in range(READY_KEY_MIN + 1):
        queues.push(task(str(number)))
    assert len(names(queues, HTTP)) == READY_KEY_MIN
    assert queues.take_drained() == {(HTTP, NORMAL)}


def test_a_full_house_of_one_priority_leaves_room_for_a_higher_one() -> None:
    """Urgent tasks do not wait until tens of thousands of others are sent."""
    queues = ReadyQueues()
    for _ in range(READY_MAX):
        queues.push(task("normal"))
    queues.push(task("urgent", p.PRIORITY_CRITICAL))
    popped = queues.pop((HTTP,))
    assert popped is not None
    assert popped.node_id == "urgent"


def test_kinds_take_turns() -> None:
    """A tenant with many tasks does not hold up one with few."""
    queues = ReadyQueues()
    for number in range(10):
        queues.push(task(f"many-{number}"))
    queues.push(task("few", key=OTHER))
    left = [queues.pop([HTTP, OTHER]) for _ in range(2)]
    assert {one.node_id for one in left if one is not None} == {"many-0", "few"}


def test_a_task_that_is_put_back_is_the_next() -> None:
    """It had its turn already."""
    queues = ReadyQueues()
    queues.push(task("first"))
    queues.push(task("second"))
    popped = queues.pop([HTTP])
    assert popped is not None
    queues.push_front(popped)
    assert names(queues, HTTP) == ["first", "second"]


def test_tasks_of_a_lost_partition_are_dropped() -> None:
    """Counts follow."""
    queues = ReadyQueues()
    queues.push(task("kept", partition=1))
    queues.push(task("gone", partition=2))
    queues.drop_partitions({2})
    assert queues.count == 1
    assert names(queues, HTTP) == ["kept"]


def at(name: str, since_ms: float, priority: int = NORMAL) -> ReadyTask:
    """A task that came at this time."""
    found = task(name, priority)
    found.since_ms = since_ms
    return found


def test_nothing_waits_for_ever_behind_what_is_more_urgent() -> None:
    """A task is overtaken only by those that come within 30 s a level after it."""
    queues = ReadyQueues()
    queues.push(at("low", 0.0, p.PRIORITY_LOW))
    bound_ms = (p.PRIORITY_CRITICAL - p.PRIORITY_LOW) * AGING_MS
    overtook = 0
    now_ms = 0.0
    while True:
        # Always more of the highest priority than can leave.
        queues.push(at("critical", now_ms, p.PRIORITY_CRITICAL))
        popped = queues.pop([HTTP])
        assert popped is not None
        if popped.node_id == "low":
            break
        overtook += 1
        assert popped.since_ms <= bound_ms
        now_ms += 1_000.0
    assert overtook == bound_ms / 1_000.0


def of(namespace: str, number: int) -> ReadyTask:
    return task(str(number), key=(namespace, "default", "http", ""))


def test_namespaces_take_turns_by_their_weight() -> None:
    """However many tasks one has: a share of the slots goes to each that has any."""
    queues = ReadyQueues(lambda namespace: 3 if namespace == "heavy" else 1)
    for number in range(1_000):
        queues.push(of("flood", number))
        if number < 40:
            queues.push(of("quiet", number))
            queues.push(of("heavy", number))
    keys = list(queues.keys)
    first = [queues.pop(keys) for _ in range(50)]
    counts = Counter(one.key[0] for one in first if one is not None)
    assert counts == {"heavy": 30, "quiet": 10, "flood": 10}


def test_a_namespace_that_comes_back_does_not_catch_up() -> None:
    """Turns are not saved for later: what waits now shares what is free now."""
    queues = ReadyQueues()
    for number in range(100):
        queues.push(of("flood", number))
    keys = [*queues.keys, ("late", "default", "http", "")]
    for _ in range(50):
        queues.pop(keys)
    for number in range(10):
        queues.push(of("late", number))
    left = [queues.pop(keys) for _ in range(10)]
    assert Counter(one.key[0] for one in left if one is not None) == {"late": 5, "flood": 5}


def test_the_values_of_a_key_take_turns() -> None:
    """A customer with many tasks does not hold up one with few."""
    queues = ReadyQueues()
    for number in range(10):
        many = task(f"many-{number}")
        many.fair = "many"
        queues.push(many)
    few = task("few")
    few.fair = "few"
    queues.push(few)
    assert "few" in names(queues, HTTP)[:2]


def test_the_critical_path_goes_first() -> None:
    """Of what an execution begins at once, the longest way to its end; then what may fail it."""
    run = Run(
        plan(
            node("short"),
            node("optional", critical=False),
            node("long"),
            node("middle", "long"),
            node("end", "middle"),
        )
    )
    begun = run.last.dispatch
    assert [one.id for one in begun] == ["short", "optional", "long"]
    swapped = [begun[1], begun[0], begun[2]]
    assert [one.id for one in urgent_first(swapped)] == ["long", "short", "optional"]


def test_a_namespace_that_comes_back_is_behind_the_others() -> None:
    """It had its turn when its last task left."""
    one, two = (("a", "default", "http", ""), ("b", "default", "http", ""))
    queues = ReadyQueues()
    queues.push(task("a1", key=one))
    for name in ("b1", "b2"):
        queues.push(task(name, key=two))
    first = queues.pop([one, two])
    assert first is not None
    queues.push(task("a2", key=one))
    assert [first.node_id, *names(queues, one, two)] == ["a1", "b1", "a2", "b2"]


def test_the_oldest_task_is_the_first_one_of_its_queue() -> None:
    """Of all namespaces, kinds and fairness keys."""
    queues = ReadyQueues()
    assert queues.oldest_ms() is None
    for number, (key, since_ms) in enumerate(((HTTP, 30.0), (HTTP, 40.0), (OTHER, 35.0))):
        queues.push(ReadyTask("exec-1", str(number), 1, 0, key, NORMAL, since_ms=since_ms))
    assert queues.oldest_ms() == 30
    queues.pop([HTTP])
    assert queues.oldest_ms() == 35
