"""A start that would wait in a full queue is refused, and what is on its way counts."""

from types import SimpleNamespace
from typing import Any

import pytest

from flowmesh.errors import Overloaded
from flowmesh.orchestrator.limits.ready_queues import ReadyQueues, ReadyTask
from flowmesh.orchestrator.operations.start_admission import QueueSizes
from tests.unit.engine.factories import each, node, plan

KEY = ("default", "q", "t", "")
IN_A_MAP = plan(each("m", [1], node("a", queue="q")), node("b", queue="other"))


def sizes(size: int, *, owned: int = 64, held: int = 0) -> tuple[QueueSizes, ReadyQueues]:
    ready = ReadyQueues()
    limiter = SimpleNamespace(
        rules=SimpleNamespace(sizes={("default", "q"): size} if size else {}),
        held_in=lambda namespace, queue: held,
    )
    dispatcher: Any = SimpleNamespace(ready=ready, limiter=limiter)
    return QueueSizes(dispatcher=dispatcher, owned=range(owned)), ready


def test_starts_on_their_way_take_room_until_they_are_answered() -> None:
    """Whichever node of the workflow is in the queue."""
    made, _ = sizes(2)
    first = made.reserve(IN_A_MAP)
    made.reserve(IN_A_MAP)
    with pytest.raises(Overloaded, match=r"queue q is full: 0 tasks wait in it, of at most 2"):
        made.reserve(IN_A_MAP)
    made.release(first)
    made.reserve(IN_A_MAP)


@pytest.mark.parametrize(("held", "waiting"), [(3, 0), (1, 2), (0, 3)])
def test_what_waits_counts_whyever_it_does(held: int, waiting: int) -> None:
    """For a worker, or for a limit or a stop."""
    made, ready = sizes(3, held=held)
    for number in range(waiting):
        ready.push(ReadyTask("e", f"n{number}", 1, 1, KEY, 2))
    with pytest.raises(Overloaded):
        made.reserve(IN_A_MAP)


def test_other_queues_continue() -> None:
    """Those of workflows that have no task for it."""
    made, _ = sizes(3, held=3)
    assert made.reserve(plan(node("b", queue="other"))) == []


def test_a_process_has_the_share_of_its_partitions() -> None:
    """Rounded up, so that each has room for one."""
    made, _ = sizes(3, owned=32)
    made.reserve(IN_A_MAP)
    made.reserve(IN_A_MAP)
    with pytest.raises(Overloaded):
        made.reserve(IN_A_MAP)


def test_without_sizes_nothing_is_counted() -> None:
    """And nothing must be given back."""
    made, _ = sizes(0)
    assert made.reserve(IN_A_MAP) == []
