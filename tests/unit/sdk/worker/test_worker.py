"""The worker: handlers of every kind, frames, and what a broken stream costs (nothing)."""

import asyncio
import logging
import threading
import time
from functools import partial
from typing import Any

import orjson
import pytest

from flowmesh import errors
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.api.worker.v1 import worker_service_pb2 as pb
from flowmesh.sdk import Client, TaskContext, TaskFailure, Worker
from tests.unit.sdk.stand_ins import StandIn


def output(result: task_pb2.TaskResult) -> Any:
    assert result.WhichOneof("outcome") == "output", result
    return orjson.loads(result.output.data)


def error_class(result: task_pb2.TaskResult) -> str:
    assert result.WhichOneof("outcome") == "failure", result
    return str(getattr(result.failure, "class"))


async def double(value: int) -> int:
    return value * 2


async def double_later(value: int) -> int:
    await asyncio.sleep(0)
    return value * 2


def double_in_thread(value: int) -> int:
    assert threading.current_thread() is not threading.main_thread()
    return value * 2


class Doubler:
    """A handler that is an object."""

    async def __call__(self, value: int) -> int:
        return value * 2


@pytest.mark.parametrize(
    "handler",
    [
        double,
        double_later,
        double_in_thread,
        Doubler(),
        partial(Doubler()),
    ],
)
async def test_handlers_of_every_kind_answer(client: Client, server: StandIn, handler: Any) -> None:
    """Async with and without await, plain functions and what is called like them."""
    async with Worker(client, {"double": handler}):
        server.workers.task("t1", "double", 21)
        assert output(await server.workers.result("t1")) == 42


async def test_a_worker_says_where_it_serves(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """The log shows that a started worker is connected, and its task types."""
    caplog.set_level("INFO", "flowmesh.sdk")
    async with Worker(client, {"double": double}, slots=3):
        assert caplog.messages == [f"serving double at {client.address}, 3 at once"]


async def test_a_failed_handler_is_in_the_log_of_its_worker(
    client: Client, server: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    """With its traceback, unless it chose the failure itself."""
    worker = Worker(client)

    def raises(value: Any) -> None:
        if value:
            raise TaskFailure("ClientError", "402")
        raise LookupError("no such order")

    worker.register("fails", raises)
    async with worker:
        server.workers.task("t1", "fails", False)
        await server.workers.result("t1")
        server.workers.task("t2", "fails", True)
        await server.workers.result("t2")
    first, second = (record for record in caplog.records if record.levelname == "WARNING")
    assert "failed with LookupError: no such order" in first.message
    assert "raise LookupError" in (first.exc_text or "")
    assert ("ClientError: 402" in second.message, second.exc_info) == (True, None)


class Told(logging.Handler):
    """Notes that something was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.told.set()


async def test_a_worker_that_finds_no_server_can_be_stopped(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends it while it still tries, and one warning has told what it waits for."""
    handler = Told()
    monkeypatch.setattr(logging.getLogger("flowmesh.sdk"), "handlers", [handler])
    worker = Worker("127.0.0.1:9", {"double": double})
    running = asyncio.create_task(worker.run_async())
    async with asyncio.timeout(5):
        await handler.told.wait()
        worker.request_stop()
        await running
    assert caplog.messages == ["127.0.0.1:9 does not respond; retrying"]


async def test_the_hello_says_what_the_worker_does(client: Client, server: StandIn) -> None:
    """Types, queues, slots and namespace are those of the worker."""
    async with Worker(client, {"a": double, "b": double}, queues=["fast"], slots=7):
        (hello,) = server.workers.hellos
    assert list(hello.task_types) == ["a", "b"]
    assert (list(hello.queues), hello.slots, hello.namespace) == (["fast"], 7, "default")


async def test_slots_are_changed_on_the_stream_that_is_open(
    client: Client, server: StandIn
) -> None:
    """The server receives the change once without a new hello; a later hello repeats it."""
    async with Worker(client, {"double": double}, slots=7) as worker:
        worker.set_slots(3)
        await server.workers.until(lambda: any(frame.slots for frame in server.workers.frames))
        assert len(server.workers.hellos) == 1
        server.workers.break_stream()
        await server.workers.until(lambda: len(server.workers.hellos) == 2)
        with pytest.raises(errors.Invalid, match="slots must be 1 to 10000"):
            worker.set_slots(0)
    assert [frame.slots for frame in server.workers.frames if frame.slots] == [3]
    assert [hello.slots for hello in server.workers.hellos] == [7, 3]


async def test_the_context_tells_of_the_task(client: Client, server: StandIn) -> None:
    """Attempt, keys, ids, config and time left are those of the task."""
    worker = Worker(client)

    @worker.task("look")
    async def look(value: Any, context: TaskContext) -> Any:
        assert context.remaining_s is not None
        return [
            context.attempt,
            context.idempotency_key,
            context.execution_id,
            context.node,
            context.config,
            0 < context.remaining_s <= 60,
        ]

    async with worker:
        task = task_pb2.Task(
            token="t1",
            task_type="look",
            attempt=3,
            idempotency_key="key",
            execution_id="exec-1",
            node="n",
            spec_digest="d",
            timeout_ms=60_000,
        )
        spec = plan_pb2.TaskSpec(digest="d", config=b'{"unit":"EUR"}')
        server.workers.send(pb.WorkResponse(specs=[spec], tasks=[task]))
        result = await server.workers.result("t1")
    assert output(result) == [3, "key", "exec-1", "n", {"unit": "EUR"}, True]


async def test_an_exception_is_a_failure_of_its_name(client: Client, server: StandIn) -> None:
    """The failure has class, message and traceback of the exception; the worker continues."""

    async def broken(value: Any) -> None:
        raise LookupError("no such order")

    async with Worker(client, {"broken": broken, "double": double}):
        server.workers.task("t1", "broken")
        result = await server.workers.result("t1")
        assert error_class(result) == "LookupError"
        assert result.failure.message == "no such order"
        assert "broken" in orjson.loads(result.failure.details)["traceback"]
        server.workers.task("t2", "double", 1)
        assert output(await server.workers.result("t2")) == 2


async def test_a_handler_can_choose_the_class(client: Client, server: StandIn) -> None:
    """TaskFailure sets class, message, delay and details."""

    def limited(value: Any) -> None:
        raise TaskFailure("RateLimitError", "slow down", 1500, {"limit": 3})

    async with Worker(client, {"limited": limited}):
        server.workers.task("t1", "limited")
        result = await server.workers.result("t1")
    assert error_class(result) == "RateLimitError"
    assert (result.failure.message, result.failure.retry_after_ms) == ("slow down", 1500)
    assert orjson.loads(result.failure.details) == {"limit": 3}


async def test_an_output_that_is_no_json_fails_the_task(client: Client, server: StandIn) -> None:
    """ValidationError says so, whether the handler runs on the spot or not."""

    async def odd(value: Any) -> object:
        return object()

    async with Worker(client, {"odd": odd, "odd-thread": lambda value: object()}):
        for token, task_type in (("t1", "odd"), ("t2", "odd-thread")):
            server.workers.task(token, task_type)
            assert error_class(await server.workers.result(token)) == "ValidationError"


async def test_large_values_go_by_reference(client: Client, server: StandIn) -> None:
    """An output above 256 KiB is stored and referred to; such an input is fetched."""

    async def grow(value: str) -> str:
        return value * 2

    async with Worker(client, {"grow": grow}):
        server.workers.task("t1", "grow", "x" * 200_000)
        result = await server.workers.result("t1")
        assert result.output.reference.size_bytes == 400_002
        task = task_pb2.Task(token="t2", task_type="grow", input=result.output)
        server.workers.send(pb.WorkResponse(tasks=[task]))
        again = await server.workers.result("t2")
        assert again.output.reference.size_bytes == 800_002


async def test_an_attempt_ends_at_its_time(client: Client, server: StandIn) -> None:
    """A handler that takes longer is canceled and the failure is Timeout."""

    async def forever(value: Any) -> None:
        await asyncio.Event().wait()

    async with Worker(client, {"forever": forever}):
        server.workers.task("t1", "forever", timeout_ms=20)
        assert error_class(await server.workers.result("t1")) == "Timeout"


async def test_a_canceled_task_is_stopped(client: Client, server: StandIn) -> None:
    """An async handler gets CancelledError, a thread sees the event."""
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def wait(value: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    def wait_in_thread(value: Any, context: TaskContext) -> None:
        loop.call_soon_threadsafe(begun.set)
        context.cancelled.wait(10)
        context.raise_if_cancelled()

    async with Worker(client, {"wait": wait, "wait-thread": wait_in_thread}):
        for token, task_type in (("t1", "wait"), ("t2", "wait-thread")):
            begun.clear()
            server.workers.task(token, task_type)
            await begun.wait()
            server.workers.send(pb.WorkResponse(cancels=[token]))
            assert error_class(await server.workers.result(token)) == "Cancelled"


async def test_heartbeats_arrive_with_their_details(client: Client, server: StandIn) -> None:
    """Heartbeats are sent while the handler runs; the last report wins."""
    done = threading.Event()

    def work(value: Any, context: TaskContext) -> None:
        context.heartbeat({"rows": 1})
        context.heartbeat({"rows": 2})
        done.wait(10)

    async with Worker(client, {"work": work}):
        server.workers.task("t1", "work")
        await server.workers.until(lambda: any(f.heartbeats for f in server.workers.frames))
        beats = [b for frame in server.workers.frames for b in frame.heartbeats]
        done.set()
        await server.workers.result("t1")
    assert beats[-1].token == "t1"
    assert orjson.loads(beats[-1].details) in ({"rows": 1}, {"rows": 2})


async def test_results_of_one_pass_share_a_frame(client: Client, server: StandIn) -> None:
    """Two hundred tasks of one frame come back in few."""
    async with Worker(client, {"double": double}, slots=200):
        tasks = [task_pb2.Task(token=f"t{n}", task_type="double") for n in range(200)]
        for task in tasks:
            task.input.data = b"1"
        server.workers.send(pb.WorkResponse(tasks=tasks))
        await server.workers.until(lambda: len(server.workers.results) == 200)
    assert len([frame for frame in server.workers.frames if frame.results]) <= 3


async def test_an_unacknowledged_result_is_sent_again(client: Client, server: StandIn) -> None:
    """After a break the hello names the token and the result goes out once more."""
    server.workers.acknowledge = False
    async with Worker(client, {"double": double}):
        server.workers.task("t1", "double", 2)
        await server.workers.result("t1")
        server.workers.acknowledge = True
        server.workers.break_stream()
        await server.workers.until(lambda: len(server.workers.hellos) == 2)
        await server.workers.until(lambda: len(server.workers.sent) == 2)
    assert server.workers.sent == ["t1", "t1"]
    assert list(server.workers.hellos[1].held) == ["t1"]
    assert server.workers.hellos[0].worker_id == server.workers.hellos[1].worker_id


async def test_a_running_task_survives_a_break(client: Client, server: StandIn) -> None:
    """It is named in the next hello, a second dispatch of it is dropped, it runs once."""
    runs = 0
    begun, finish = asyncio.Event(), asyncio.Event()

    async def slow(value: Any) -> str:
        nonlocal runs
        runs += 1
        begun.set()
        await finish.wait()
        return "done"

    async with Worker(client, {"slow": slow}):
        server.workers.task("t1", "slow")
        await begun.wait()
        server.workers.break_stream()
        await server.workers.until(lambda: len(server.workers.hellos) == 2)
        server.workers.task("t1", "slow")
        finish.set()
        assert output(await server.workers.result("t1")) == "done"
    assert list(server.workers.hellos[1].held) == ["t1"]
    assert runs == 1


async def test_a_result_whose_owner_moved_is_sent_again(client: Client, server: StandIn) -> None:
    """MOVED sends it once more, STALE drops it."""
    server.workers.acknowledge = False
    async with Worker(client, {"double": double}):
        server.workers.task("t1", "double", 1)
        server.workers.task("t2", "double", 1)
        await server.workers.result("t1")
        await server.workers.result("t2")
        server.workers.results.clear()
        server.workers.acknowledge = True
        last = max(frame.results_frame for frame in server.workers.frames)
        moved = task_pb2.ResultException(token="t1", kind=task_pb2.RESULT_EXCEPTION_KIND_MOVED)
        stale = task_pb2.ResultException(token="t2", kind=task_pb2.RESULT_EXCEPTION_KIND_STALE)
        server.workers.send(pb.WorkResponse(exceptions=[moved, stale], acknowledged_frame=last))
        await server.workers.result("t1")
    assert list(server.workers.results) == ["t1"]


async def test_stopping_lets_open_tasks_end(client: Client, server: StandIn) -> None:
    """The worker says drain, finishes what it has, and only then leaves."""
    begun, finish = asyncio.Event(), asyncio.Event()

    async def slow(value: Any) -> str:
        begun.set()
        await finish.wait()
        return "done"

    worker = Worker(client, {"slow": slow})
    await worker.start()
    server.workers.task("t1", "slow")
    await begun.wait()
    stopping = asyncio.create_task(worker.stop())
    await server.workers.until(lambda: any(frame.drain for frame in server.workers.frames))
    finish.set()
    await stopping
    assert output(server.workers.results["t1"]) == "done"


async def test_a_task_cut_off_by_the_stop_reports_nothing(client: Client, server: StandIn) -> None:
    """It is not a failure: the suite hands it to another worker."""
    begun = asyncio.Event()

    async def forever(value: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    worker = Worker(client, {"forever": forever}, drain_s=0.01)
    await worker.start()
    server.workers.task("t1", "forever")
    await begun.wait()
    await worker.stop()
    assert server.workers.results == {}


async def test_a_further_handler_is_announced(client: Client, server: StandIn) -> None:
    """A running worker says hello again with the new type and takes its tasks."""
    async with Worker(client, {"double": double}) as worker:
        await worker.add({"later": double_later})
        server.workers.task("t1", "later", 4)
        assert output(await server.workers.result("t1")) == 8
    assert list(server.workers.hellos[-1].task_types) == ["double", "later"]


async def test_handlers_added_at_once_are_all_announced(client: Client, server: StandIn) -> None:
    """Each `add` returns when a hello with its type was answered."""
    async with Worker(client, {"double": double}) as worker, asyncio.timeout(10):
        await asyncio.gather(*(worker.add({name: double}) for name in "abc"))
    assert list(server.workers.hellos[-1].task_types) == ["double", "a", "b", "c"]


async def test_a_task_without_handler_fails_with_its_type(client: Client, server: StandIn) -> None:
    """The failure names what is missing."""
    async with Worker(client, {"double": double}):
        server.workers.task("t1", "other")
        result = await server.workers.result("t1")
    assert error_class(result) == "HandlerMissing"
    assert "other" in result.failure.message


async def test_a_worker_without_handlers_is_refused(client: Client) -> None:
    """Before anything is sent."""
    with pytest.raises(errors.Invalid, match="at least one handler"):
        await Worker(client).start()


def test_a_handler_that_wants_more_arguments_is_refused() -> None:
    """At registration, with the two forms that are called."""
    with pytest.raises(errors.Invalid, match="input, context"):
        Worker(task_types={"three": lambda one, two, three: None})


async def test_a_blocking_handler_stops_no_other_task(client: Client, server: StandIn) -> None:
    """Plain functions run side by side, as many as there are slots."""
    gate = threading.Barrier(4, timeout=10)

    def meet(value: Any) -> float:
        gate.wait()
        return time.monotonic()

    async with Worker(client, {"meet": meet}, slots=4):
        for number in range(4):
            server.workers.task(f"t{number}", "meet")
        for number in range(4):
            assert output(await server.workers.result(f"t{number}")) > 0


async def test_a_line_of_a_task_is_kept_where_its_output_cannot_be_written(
    client: Client, server: StandIn
) -> None:
    """A handler that ends on the spot too."""

    async def odd(value: Any, context: TaskContext) -> Any:
        context.log("looked")
        return object()

    async with Worker(client, {"odd": odd}):
        server.workers.task("t1", "odd")
        result = await server.workers.result("t1")
    assert error_class(result) == "ValidationError"
    assert b"looked" in result.failure.details
