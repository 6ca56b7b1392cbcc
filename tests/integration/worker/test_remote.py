"""Remote workers: hello, slots, frames both ways, breaks and drains."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from flowmesh.api.common.v1.failure_pb2 import Failure
from flowmesh.api.worker.v1.dispatch_service_pb2 import AttachResponse
from flowmesh.api.worker.v1.task_pb2 import (
    RESULT_EXCEPTION_KIND_STALE,
    Heartbeat,
    ResultException,
    TaskResult,
)
from flowmesh.api.worker.v1.worker_service_pb2 import WorkHello
from flowmesh.rpc import error_of
from flowmesh.worker import limits
from tests.integration.worker.harness import RemoteClient, Worker
from tests.integration.worker.orchestrator import Orchestrator, spec_of, task_of

CUSTOM = spec_of("custom", {"region": "eu"})


@asynccontextmanager
async def busy(orchestrator: Orchestrator, worker: Worker) -> AsyncIterator[RemoteClient]:
    """A remote worker that has the task `t1`; its stream breaks at the end of the block."""
    async with RemoteClient(worker.address) as client:
        orchestrator.submit(task_of("t1", CUSTOM), CUSTOM)
        await client.task("t1")
        yield client


async def test_a_task_goes_to_a_remote_worker_and_its_result_back(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """The worker gets the task with its spec; its frame is acknowledged after the commit."""
    async with RemoteClient(worker.address) as client:
        await orchestrator.until(lambda: orchestrator.credit("custom") == 2)
        orchestrator.submit(task_of("t1", CUSTOM, {"a": 1}), CUSTOM)
        task = await client.task("t1")
        assert client.specs[task.spec_digest].config == CUSTOM.config
        frame = await client.complete("t1", data=b'{"done":true}')
        await client.acknowledged(frame)
        assert orchestrator.results["t1"].output.data == b'{"done":true}'


async def test_a_frame_is_acknowledged_only_as_a_whole(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """Results wait for the orchestrator: no acknowledgement before all of a frame are applied."""
    orchestrator.acknowledges = False
    async with RemoteClient(worker.address) as client:
        orchestrator.submit(task_of("t1", CUSTOM), CUSTOM)
        orchestrator.submit(task_of("t2", CUSTOM), CUSTOM)
        await client.task("t1")
        await client.task("t2")
        frame = await client.complete("t1", "t2")
        await orchestrator.result("t2")
        assert all(response.acknowledged_frame == 0 for response in client.responses)
        orchestrator.streams[0].send(AttachResponse(acknowledged_frame=100))
        await client.acknowledged(frame)


async def test_at_most_slots_tasks_are_out(orchestrator: Orchestrator, worker: Worker) -> None:
    """A worker of two slots gets the third task when a result has come."""
    async with RemoteClient(worker.address) as client:
        for token in ("t1", "t2", "t3"):
            orchestrator.submit(task_of(token, CUSTOM), CUSTOM)
        await client.task("t2")
        assert [task.token for task in client.tasks] == ["t1", "t2"]
        await client.complete("t1")
        await client.task("t3")


async def test_slots_change_while_tasks_run(orchestrator: Orchestrator, worker: Worker) -> None:
    """From two to one to three on the same stream: never more are out than there is room for."""
    async with RemoteClient(worker.address) as client:
        for token in ("t1", "t2", "t3", "t4", "t5"):
            orchestrator.submit(task_of(token, CUSTOM), CUSTOM)
        await client.task("t2")
        await client.send(slots=1)
        frame = await client.complete("t1")
        await client.acknowledged(frame)
        assert len(client.tasks) == 2
        await client.complete("t2")
        await client.task("t3")
        assert len(client.tasks) == 3
        await client.send(slots=3)
        await client.task("t5")
        await orchestrator.until(lambda: orchestrator.credit("custom") == 0)
        await client.send(slots=1)
        frame = await client.complete("t3", "t4", "t5")
        await client.acknowledged(frame)
        await orchestrator.until(lambda: orchestrator.credit("custom") == 1)


async def test_unused_slots_come_back(orchestrator: Orchestrator, worker: Worker) -> None:
    """Fewer slots while nothing runs: what was granted beyond them is called back."""
    async with RemoteClient(worker.address, slots=50) as client:
        await orchestrator.until(lambda: orchestrator.credit("custom") == 50)
        await client.send(slots=3)
        await orchestrator.until(lambda: orchestrator.credit("custom") == 3)


@pytest.mark.parametrize(
    "hello",
    [
        WorkHello(worker_id="w", slots=1),
        WorkHello(worker_id="w", task_types=["custom"]),
        WorkHello(worker_id="w", task_types=["custom"], slots=limits.WORKER_SLOTS_MAX + 1),
        WorkHello(worker_id="w", task_types=["http.request"], slots=1),
        WorkHello(worker_id="w", task_types=["delay"], slots=1),
        WorkHello(task_types=["custom"], slots=1),
        None,
    ],
)
async def test_a_hello_that_cannot_work_is_refused(worker: Worker, hello: WorkHello | None) -> None:
    """Nothing to do, no slots or a built-in type: HELLO_INVALID, and what would be right."""
    client = RemoteClient(worker.address)
    if hello is None:
        client.hello = WorkHello()
    else:
        client.hello = hello
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async with client:
            pass
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error_of(refused.value).reason == "HELLO_INVALID"


async def test_tasks_of_a_worker_that_dies_are_lost_after_the_grace(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """A broken stream hands its tasks out again, but not before half a second."""
    loop = asyncio.get_running_loop()
    async with busy(orchestrator, worker):
        broken_at = loop.time()
    await orchestrator.until(lambda: orchestrator.lost == ["t1"])
    assert loop.time() - broken_at >= limits.REATTACH_GRACE_MS / 1_000


async def test_an_orchestrator_that_learned_of_a_task_from_a_hello_gets_its_end(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """It may own the task by now, though the one that sent it is still there."""
    other = Orchestrator()
    await other.start()
    async with busy(orchestrator, worker):
        worker.follow(other)
        await other.attached()
    await other.until(lambda: other.lost == ["t1"])
    await orchestrator.until(lambda: orchestrator.lost == ["t1"])
    await other.stop()


async def test_an_orchestrator_learns_which_workers_have_left(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """It can say then that nobody takes a task, and not only that all are busy."""

    def known() -> bool:
        grants = [one for each in orchestrator.streams for one in each.grants.values()]
        return any("custom" in each.task_types for each in grants)

    async with RemoteClient(worker.address):
        await orchestrator.until(known)
    await orchestrator.until(lambda: not known())


async def test_a_worker_that_comes_back_keeps_its_tasks(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """The same worker id with the token held goes on; nothing is lost or sent again."""
    async with busy(orchestrator, worker):
        pass
    async with RemoteClient(worker.address, held=["t1"]) as again:
        await orchestrator.until(lambda: orchestrator.credit("custom") == 1)
        frame = await again.complete("t1")
        await again.acknowledged(frame)
    assert (orchestrator.lost, orchestrator.deliveries) == ([], ["t1"])


async def test_a_result_from_before_the_break_is_taken_after_it(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """A worker that ended its task while away sends the result on its next stream."""
    async with busy(orchestrator, worker):
        pass
    async with RemoteClient(worker.address) as again:
        await again.acknowledged(await again.complete("t1"))
        await orchestrator.until(lambda: orchestrator.credit("custom") == 2)
    assert orchestrator.lost == []


async def test_a_task_that_never_reached_its_worker_is_given_back(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """A worker that comes back without the token: no delivery counted, the task goes out anew."""
    async with busy(orchestrator, worker):
        pass
    async with RemoteClient(worker.address):
        await orchestrator.until(lambda: orchestrator.returned == ["t1"])
    assert orchestrator.lost == []


async def test_a_worker_may_come_back_through_another_worker_service(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """The second service claims the token and passes the result on."""
    async with busy(orchestrator, worker):
        pass
    async with Worker() as second:
        second.follow(orchestrator)
        await orchestrator.attached(2)
        async with RemoteClient(second.address, held=["t1"]) as again:
            await orchestrator.until(
                lambda: (
                    [(held.token, held.worker_id) for held in orchestrator.claimed]
                    == [("t1", "w1")]
                )
            )
            await again.acknowledged(await again.complete("t1"))
    assert "t1" in orchestrator.results


async def test_an_older_stream_of_the_same_worker_is_replaced(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """A half-open stream does not keep the slots of a worker that is back already."""
    async with (
        busy(orchestrator, worker),
        RemoteClient(worker.address, held=["t1"]) as again,
    ):
        await orchestrator.until(lambda: orchestrator.credit("custom") == 1)
        await again.acknowledged(await again.complete("t1"))
    assert orchestrator.lost == []


async def test_a_silent_worker_counts_as_gone(orchestrator: Orchestrator, worker: Worker) -> None:
    """Ten seconds without a frame or ping end the stream; a ping starts them anew."""
    async with busy(orchestrator, worker) as client:
        worker.pass_time(6_000)
        pongs = len(client.responses)
        await client.send(ping=True)
        await client.until(lambda: len(client.responses) > pongs)
        assert client.responses[-1].pong
        worker.pass_time(6_000)
        assert worker.relay.runs("t1")
        worker.pass_time(6_000)
        await orchestrator.until(lambda: orchestrator.lost == ["t1"])


async def test_heartbeats_and_cancels_are_relayed(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """What a handler reports reaches the orchestrator, and a cancel reaches the handler."""
    async with busy(orchestrator, worker) as client:
        await client.send(heartbeats=[Heartbeat(token="t1", details=b"50")])
        await orchestrator.until(lambda: orchestrator.heartbeats == ["t1"])
        orchestrator.streams[0].send(AttachResponse(cancels=["t1"]))
        await client.until(lambda: any("t1" in response.cancels for response in client.responses))


async def test_a_draining_worker_ends_its_tasks_and_gets_no_more(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """Drain takes the credit back; what runs is still taken."""
    async with busy(orchestrator, worker) as client:
        await client.send(drain=True)
        await orchestrator.until(lambda: orchestrator.credit("custom") == 0)
        orchestrator.submit(task_of("t2", CUSTOM), CUSTOM)
        await client.acknowledged(await client.complete("t1"))
        assert [task.token for task in client.tasks] == ["t1"]


async def test_a_stale_result_is_reported_to_the_worker(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """A worker hears that its result was not applied."""
    orchestrator.acknowledges = False
    async with busy(orchestrator, worker) as client:
        frame = await client.complete("t1")
        await orchestrator.result("t1")
        stale = ResultException(token="t1", kind=RESULT_EXCEPTION_KIND_STALE)
        orchestrator.streams[0].send(AttachResponse(exceptions=[stale]))
        await client.acknowledged(frame)
        assert any(response.exceptions for response in client.responses)


async def test_an_unknown_result_is_acknowledged(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """A result sent twice, the first acknowledged already, is passed on and settled."""
    async with RemoteClient(worker.address) as client:
        await client.acknowledged(await client.complete("t9"))
    assert "t9" in orchestrator.results


async def test_an_output_too_large_to_travel_fails_its_attempt(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """Above 256 KiB inline: the failure says what would be right; others of the frame count."""
    async with busy(orchestrator, worker) as client:
        await client.acknowledged(await client.complete("t1", data=b"1" * 300_000))
    failure = orchestrator.results["t1"].failure
    assert getattr(failure, "class") == "ValidationError"
    assert "PutPayload" in failure.message


async def test_what_is_around_an_output_is_bounded_too(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """An execution keeps the metadata and failures of its tasks for as long as it lives."""
    large = "x" * 300_000
    failed = TaskResult(token="t2", failure=Failure(message=large))
    async with busy(orchestrator, worker) as client:
        for result in (TaskResult(token="t1", metadata=large.encode()), failed):
            await client.acknowledged(await client.end(result))
            failure = orchestrator.results[result.token].failure
            assert getattr(failure, "class") == "ValidationError"
            assert "without its output" in failure.message


async def test_more_unacknowledged_results_than_allowed_end_the_stream(
    orchestrator: Orchestrator, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that floods is told so; its results up to then are kept."""
    monkeypatch.setattr(limits, "WORKER_RESULTS_MAX", 10)
    orchestrator.acknowledges = False
    async with RemoteClient(worker.address) as client:
        await client.complete(*[f"t{number}" for number in range(11)])
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.acknowledged(1)
    assert error_of(refused.value).reason == "OVERLOADED"


async def test_bytes_that_are_no_message_end_the_stream(worker: Worker) -> None:
    """MESSAGE_MALFORMED, and the service goes on."""
    async with grpc.aio.insecure_channel(worker.address) as channel:
        call: Any = channel.stream_stream("/flowmesh.api.worker.v1.WorkerService/Work")()
        await call.write(b"\xff\xff\xff")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
    assert error_of(refused.value).reason == "MESSAGE_MALFORMED"
