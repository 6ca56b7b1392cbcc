"""What a worker service says is cut into messages that an orchestrator takes, in its order."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog

from flowmesh.api.worker.v1.dispatch_service_pb2 import (
    AttachHello,
    AttachRequest,
    AttachResponse,
    HeldTask,
    HeldTasks,
    LostTask,
)
from flowmesh.api.worker.v1.task_pb2 import Heartbeat, TaskResult
from flowmesh.rpc.limits import MESSAGE_BYTES_MAX
from flowmesh.worker import limits
from flowmesh.worker.leases import Lease
from flowmesh.worker.streams.orchestrator_stream import OrchestratorStream
from flowmesh.worker.streams.outgoing_frames import OutgoingFrames

TASKS = 150_000


def tasks(count: int) -> list[HeldTask]:
    execution = "e" * 60
    return [HeldTask(token=f"{execution}|n{n}|1", worker_id="w" * 20) for n in range(count)]


def taken(said: OutgoingFrames) -> list[AttachRequest]:
    messages = []
    while said:
        messages.append(said.take()[0])
    return messages


def test_a_hello_of_many_tasks_comes_in_parts() -> None:
    """More of them than one message may hold, each once, the last part without `more`."""
    said, held = OutgoingFrames(lambda: None), tasks(TASKS)
    hello = AttachHello(worker_service_id="ws", held=held)
    assert hello.ByteSize() > MESSAGE_BYTES_MAX
    said.hello(hello)
    parts = taken(said)
    assert max(part.ByteSize() for part in parts) < MESSAGE_BYTES_MAX / 2
    assert [task for part in parts for task in part.hello.held] == held
    assert {part.hello.worker_service_id for part in parts} == {"ws"}
    assert [part.hello.more for part in parts] == [True] * (len(parts) - 1) + [False]


def test_an_answer_about_a_partition_comes_in_parts() -> None:
    """One that holds nothing is said as well, and the next partition has its own."""
    said, held = OutgoingFrames(lambda: None), tasks(TASKS)
    said.report_held(HeldTasks(partition=3))
    said.report_held(HeldTasks(partition=4, tasks=held))
    said.report_held(HeldTasks(partition=5))
    answers = [answer for message in taken(said) for answer in message.held]
    assert [task for answer in answers for task in answer.tasks] == held
    assert [answer.partition for answer in answers if not answer.more] == [3, 4, 5]
    assert {answer.partition for answer in answers if answer.more} == {4}


class _Nobody:
    """Holds one task and wants to know nothing."""

    def hello(self) -> AttachHello:
        return AttachHello(worker_service_id="ws", held=tasks(1))

    def connected(self, link: OrchestratorStream) -> None:
        """Says everything at once, and one result."""
        link.frames.heartbeat(Heartbeat(token="t" * 100) for _ in range(TASKS))
        link.frames.report_lost(LostTask(token="lost"))
        link.frames.return_task("back")
        link.send_result(_ended())

    def disconnected(self, link: OrchestratorStream, results: list[Lease]) -> None: ...
    def received(self, link: OrchestratorStream, response: AttachResponse) -> None: ...


def _ended() -> Lease:
    lease = Lease("t", "w", None, None)
    lease.result, lease.result_bytes = TaskResult(token="t"), 10
    return lease


@pytest.mark.long
@pytest.mark.parametrize("frame_bytes", [64, limits.FRAME_BYTES_MAX])
async def test_results_follow_all_earlier_frames(
    frame_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its order, the hello first, and in no message that is too large."""
    monkeypatch.setattr(limits, "FRAME_BYTES_MAX", frame_bytes)
    sent: list[AttachRequest] = []
    done = asyncio.Event()

    async def attach(requests: AsyncIterator[AttachRequest]) -> AsyncIterator[AttachResponse]:
        async for request in requests:
            sent.append(request)
            if request.results:
                done.set()
        yield AttachResponse()

    class Call:
        def __init__(self, requests: AsyncIterator[AttachRequest]) -> None:
            self.responses = attach(requests)

        def __aiter__(self) -> AsyncIterator[AttachResponse]:
            return self.responses

        def cancel(self) -> None: ...

    log = structlog.get_logger()
    link = OrchestratorStream(
        stream_id="o", attach=Call, listener=_Nobody(), monotonic_ms=lambda: 0.0, log=log
    )
    running = asyncio.create_task(link.run())
    await done.wait()
    link.finish()
    await running
    assert sent[0].HasField("hello")
    assert sum(len(request.heartbeats) for request in sent) == TASKS
    assert max(request.ByteSize() for request in sent) < MESSAGE_BYTES_MAX / 2
    assert [list(request.returned) for request in sent if request.returned] == [["back"]]
    (ended,) = [number for number, request in enumerate(sent) if request.results]
    assert all(request == AttachRequest() for request in sent[ended + 1 :])
