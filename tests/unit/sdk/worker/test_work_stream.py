"""The counters, held tasks and frames of a worker stream, without a server."""

from types import SimpleNamespace
from typing import Any

import pytest

from flowmesh.api.common.v1.journal_pb2 import JournalRecord
from flowmesh.api.common.v1.payload_pb2 import Payload
from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.api.worker.v1 import worker_service_pb2 as pb
from flowmesh.sdk.durable.host import _in_frames
from flowmesh.sdk.values import limits
from flowmesh.sdk.worker.work_stream import WorkStream
from flowmesh.worker.work import _checked


class Channel:
    """Creates stubs whose methods are not called."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class Runner:
    """Notes the tasks that it is given; `held` are those that run."""

    def __init__(self, held: list[str]) -> None:
        self.held = held
        self.accepted: list[tuple[str, bytes]] = []
        self.fails = False

    def holds(self, token: str) -> bool:
        return token in self.held

    def accept(self, task: task_pb2.Task, config: bytes) -> None:
        if self.fails:
            raise RuntimeError("a fault of ours")
        self.accepted.append((task.spec_digest, config))


def stream_of(runner: Runner, slots: int = 1) -> WorkStream:
    caller: Any = SimpleNamespace(channel=Channel(), address="x")
    made: Any = lambda *_: runner  # noqa: E731
    return WorkStream(
        caller=caller,
        worker_id="w",
        namespace="",
        queues=(),
        task_types=("t",),
        slots=slots,
        runner=made,
        labels={},
    )


def records(size: int) -> task_pb2.TaskRecords:
    return task_pb2.TaskRecords(
        token="a", records=[JournalRecord(output=Payload(data=b"x" * size))]
    )


async def test_records_that_ride_with_results_are_not_counted_as_results() -> None:
    """Acknowledged results are removed, and no others."""
    work = stream_of(Runner([]))
    for number in range(100):
        work._record(records(100_000))
        work._finished(task_pb2.TaskResult(token=f"b{number}"))
        while (frame := work._take_frame()) is not None:
            work._receive(pb.WorkResponse(acknowledged_frame=frame.results_frame))
    assert work._unacknowledged_bytes == 0
    for number in range(100):
        work._finished(task_pb2.TaskResult(token=f"c{number}"))
    frame = work._take_frame()
    assert frame is not None
    assert len(frame.results) == 100


async def test_heartbeats_leave_in_messages_of_bounded_size() -> None:
    """However many tasks say much at once; none is left out."""
    tokens = [f"t{n}" for n in range(1_000)]
    work = stream_of(Runner(tokens))
    for token in tokens:
        work._heartbeat(token, b"x" * limits.HEARTBEAT_BYTES_MAX)
    said: list[str] = []
    while (frame := work._take_frame()) is not None:
        assert frame.ByteSize() < 2 * limits.FRAME_BYTES_MAX
        said += [beat.token for beat in frame.heartbeats]
    assert sorted(said) == sorted(tokens)


async def test_the_hello_of_a_full_worker_is_taken() -> None:
    """All slots run, and as many results as may be are not acknowledged yet."""
    work = stream_of(Runner([f"t{n}" for n in range(limits.WORKER_SLOTS_MAX)]))
    for number in range(limits.UNACKNOWLEDGED_RESULTS_MAX):
        work._finished(task_pb2.TaskResult(token=f"ended-{number}"))
    while work._take_frame() is not None:
        pass
    work._hello.slots = limits.WORKER_SLOTS_MAX
    work._hello.held[:] = work._held()
    assert len(work._hello.held) == limits.WORKER_SLOTS_MAX + limits.UNACKNOWLEDGED_RESULTS_MAX
    _checked(pb.WorkRequest(hello=work._hello))


async def test_a_spec_is_forgotten_after_the_tasks_that_came_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also one that the same message pushes out."""
    monkeypatch.setattr(limits, "WORKER_SPECS_MAX", 2)
    runner = Runner([])
    work = stream_of(runner)
    for new, numbers in (([1], [1]), ([2], [2]), ([3], [1, 3])):
        work._receive(
            pb.WorkResponse(
                specs=[TaskSpec(digest=f"d{n}", config=b"%d" % n) for n in new],
                tasks=[task_pb2.Task(token=f"{n}", spec_digest=f"d{n}") for n in numbers],
            )
        )
    assert runner.accepted == [("d1", b"1"), ("d2", b"2"), ("d1", b"1"), ("d3", b"3")]


async def test_a_task_that_cannot_be_begun_fails_alone() -> None:
    """The worker continues and logs it."""
    runner = Runner([])
    runner.fails = True
    work = stream_of(runner)
    work._receive(pb.WorkResponse(tasks=[task_pb2.Task(token="T", node="n", execution_id="e")]))
    frame = work._take_frame()
    assert frame is not None
    (result,) = frame.results
    assert (result.token, result.failure.message) == ("T", "a fault of ours")


async def test_a_task_whose_result_waits_is_not_run_again() -> None:
    """A redelivered task gets the result, which is written once there is capacity or a stream."""
    runner = Runner([])
    work = stream_of(runner)
    again = pb.WorkResponse(tasks=[task_pb2.Task(token="T")])
    work._finished(task_pb2.TaskResult(token="T"))
    work._receive(again)
    assert work._held() == ["T"]
    frame = work._take_frame()
    assert frame is not None
    assert [result.token for result in frame.results] == ["T"]
    work._start_over()
    work._receive(again)
    assert runner.accepted == []
    work._take_frame()
    work._receive(pb.WorkResponse(acknowledged_frame=1))
    work._receive(again)
    assert len(runner.accepted) == 1


@pytest.mark.parametrize("size", [10, limits.FRAME_BYTES_MAX // 3, limits.FRAME_BYTES_MAX + 1])
def test_records_leave_in_messages_of_bounded_size(size: int) -> None:
    """In their order; one that is larger than that goes alone."""
    asked = [JournalRecord(output=Payload(data=b"%d" % n + b"x" * size)) for n in range(10)]
    frames = list(_in_frames(asked))
    assert [record for frame in frames for record in frame] == asked
    for frame in frames:
        total = sum(record.ByteSize() for record in frame)
        assert total <= limits.FRAME_BYTES_MAX or len(frame) == 1
