"""Reports to an attached worker service about tasks that wait for its credit."""

import asyncio

import pytest

from flowmesh.api.common.v1 import priority_pb2
from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.orchestrator.dispatch.attachment import ACKNOWLEDGED_WITHIN_S, WorkerStream
from flowmesh.orchestrator.limits.ready_queues import ReadyQueues, ReadyTask

KEY = ("default", "", "work", "")


def ready(count: int) -> ReadyQueues:
    """Queues with so many tasks."""
    queues = ReadyQueues()
    for number in range(count):
        queues.push(ReadyTask(f"exec-{number}", "a", 1, 1, KEY, priority_pb2.PRIORITY_NORMAL))
    return queues


def grant(stream: WorkerStream, queues: ReadyQueues, slots: int) -> None:
    given = pb.Grant(set_id="s", worker_id="w", slots=slots, task_types=["work"])
    stream.grant(given, queues.keys, 0)


def spend(stream: WorkerStream, queues: ReadyQueues) -> None:
    """Sends what the credit allows."""
    one = stream.sets["s"]
    while one.credit and queues.pop(one.keys):
        one.credit -= 1


def said(stream: WorkerStream, queues: ReadyQueues) -> list[int]:
    stream.report_backlog(queues)
    told = [backlog.tasks for backlog in stream.out.backlogs]
    del stream.out.backlogs[:]
    return told


def test_the_backlog_is_reported_again_when_credit_was_too_small() -> None:
    """Else slots stay with an orchestrator that has nothing to do, and tasks wait for ever."""
    stream, queues = WorkerStream(), ready(10)
    grant(stream, queues, 0)
    assert said(stream, queues) == [10]
    assert said(stream, queues) == []
    grant(stream, queues, 3)
    spend(stream, queues)
    assert said(stream, queues) == [7]
    assert said(stream, queues) == []
    grant(stream, queues, 8)
    spend(stream, queues)
    assert said(stream, queues) == [0]


def test_without_a_backlog_nothing_is_reported() -> None:
    """However often credit comes and goes."""
    stream, queues = WorkerStream(), ready(3)
    for _ in range(3):
        grant(stream, queues, 2)
        spend(stream, queues)
        grant(stream, queues, 1)
        assert said(stream, queues) == []


def test_workers_that_have_left_are_forgotten_with_their_credit() -> None:
    """They get no tasks and are not counted."""
    stream, queues = WorkerStream(), ready(1)
    grant(stream, queues, 3)
    stream.remove_sets(["s", "never-seen"])
    assert stream.sets == {}
    assert said(stream, queues) == []


async def test_an_acknowledgement_travels_with_the_next_tasks() -> None:
    """One frame for both, and none behind it."""
    stream = WorkerStream()
    stream.acknowledge(7)
    stream.out.tasks.add(set_id="s")
    stream.flush_soon()
    frame = await stream.next_frame()
    assert (frame.acknowledged_frame, len(frame.tasks)) == (7, 1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3 * ACKNOWLEDGED_WITHIN_S):
            await stream.next_frame()


async def test_an_acknowledgement_leaves_alone_where_no_task_comes() -> None:
    """Before long, and with it the later ones that were there by then."""
    stream = WorkerStream()
    stream.acknowledge(7)
    stream.acknowledge(8)
    async with asyncio.timeout(1):
        frame = await stream.next_frame()
    assert frame == pb.AttachResponse(acknowledged_frame=8)
    stream.acknowledge(9)
    async with asyncio.timeout(1):
        assert (await stream.next_frame()).acknowledged_frame == 9
