"""The ready queues decide who leaves first."""

from flowmesh.api.common.v1 import priority_pb2 as p
from flowmesh.orchestrator.ready import READY_KEY_MIN, READY_MAX, Key, ReadyQueues, ReadyTask

HTTP: Key = ("default", "default", "http")
OTHER: Key = ("default", "default", "other")
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
    """Strictly, whatever came before; equals leave in the order they came."""
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
    for _ in range(READY_MAX + 5):
        queues.push(task("x"))
    assert queues.count == READY_MAX
    assert queues.take_drained() == set()
    assert len(names(queues, HTTP)) == READY_MAX
    assert queues.take_drained() == {(HTTP, NORMAL)}
    assert queues.take_drained() == set()


def test_a_kind_that_nobody_takes_leaves_room_for_the_others() -> None:
    """However many of it wait, which may be for ever."""
    queues = ReadyQueues()
    for _ in range(READY_MAX):
        queues.push(task("stuck", key=OTHER))
    for number in range(READY_KEY_MIN + 1):
        queues.push(task(str(number)))
    assert len(names(queues, HTTP)) == READY_KEY_MIN
    assert queues.take_drained() == {(HTTP, NORMAL)}


def test_a_full_house_of_one_priority_leaves_room_for_a_higher_one() -> None:
    """What is urgent does not wait until tens of thousands of others have left."""
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
    left = [queues.pop([HTTP, OTHER], turn) for turn in range(2)]
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
