"""Handlers in processes: their context and heartbeats, cancellation, and limits."""

import os
from typing import Any

import orjson
import psutil
import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.api.worker.v1 import worker_service_pb2 as pb
from flowmesh.errors import Invalid
from flowmesh.sdk import Client, Worker, task
from tests.unit.sdk.stand_ins import StandIn
from tests.unit.sdk.worker import crunching
from tests.unit.sdk.worker.test_worker import error_class, output


def children() -> set[int]:
    """Processes of workers; the tracker of shared resources stays."""
    found = psutil.Process().children(recursive=True)
    return {each.pid for each in found if "spawn_main" in " ".join(each.cmdline())}


async def test_handlers_run_in_other_processes_one_after_the_other(
    client: Client, server: StandIn
) -> None:
    """Async or not; the process is kept for the next call and gone with the worker."""
    worker = Worker(client, {"square": crunching.square}, processes=1)
    worker.register("later", crunching.square_later, pool="process")
    async with worker:
        server.workers.task("t1", "square", 3)
        server.workers.task("t2", "later", 4)
        first, second = [output(await server.workers.result(token)) for token in ("t1", "t2")]
    assert (first["square"], second["square"]) == (9, 16)
    assert first["pid"] == second["pid"] != os.getpid()
    assert not psutil.pid_exists(first["pid"])


@pytest.mark.parametrize("name", ["GeneratorExit", "KeyboardInterrupt"])
async def test_an_exception_that_is_no_error_keeps_its_name(
    client: Client, server: StandIn, name: str
) -> None:
    """The attempt fails with it, and its process continues."""
    worker = Worker(client, processes=1)
    worker.register("raises", crunching.raises, pool="process")
    async with worker:
        server.workers.task("t1", "raises", name)
        result = await server.workers.result("t1")
    assert error_class(result) == name


async def test_a_result_that_is_no_json_fails_as_in_the_worker(
    client: Client, server: StandIn
) -> None:
    """It is no exception of the handler, so it is not tried again by default."""
    worker = Worker(client, processes=1)
    worker.register("half", crunching.half_a_character, pool="process")
    async with worker:
        server.workers.task("t1", "half", 3)
        result = await server.workers.result("t1")
    assert error_class(result) == "ValidationError"
    assert "value[1] is not Unicode" in result.failure.message


async def test_the_context_crosses_over(client: Client, server: StandIn) -> None:
    """Attempt, ids, config and deadline are those of the task; its heartbeat arrives."""
    worker = Worker(client, processes=1)
    worker.register("look", crunching.look, pool="process")
    async with worker:
        asked = task_pb2.Task(
            token="t1",
            task_type="look",
            attempt=3,
            execution_id="exec-1",
            spec_digest="d",
            timeout_ms=60_000,
        )
        spec = plan_pb2.TaskSpec(digest="d", config=b'{"unit":"EUR"}')
        server.workers.send(pb.WorkResponse(specs=[spec], tasks=[asked]))
        result = await server.workers.result("t1")
    assert output(result) == [3, "exec-1", {"unit": "EUR"}, True]
    beats = [beat for frame in server.workers.frames for beat in frame.heartbeats]
    assert [orjson.loads(beat.details) for beat in beats] == [{"at": "half"}]


@pytest.mark.parametrize("how", ["canceled", "out of time"])
async def test_a_loop_without_end_is_killed(client: Client, server: StandIn, how: str) -> None:
    """Its process ends with it, another one serves the next task."""
    worker = Worker(client, {"square": crunching.square}, processes=1)
    worker.register("endless", crunching.endless, pool="process")
    async with worker:
        server.workers.task("t1", "endless", 1, timeout_ms=300 if how == "out of time" else 0)
        if how == "canceled":
            server.workers.send(pb.WorkResponse(cancels=["t1"]))
        result = await server.workers.result("t1")
        assert error_class(result) == ("Timeout" if how == "out of time" else "Cancelled")
        server.workers.task("t2", "square", 3)
        assert output(await server.workers.result("t2"))["square"] == 9
        assert len(children()) == 1
    assert children() == set()


async def test_failures_are_as_everywhere(client: Client, server: StandIn) -> None:
    """The class that the handler chose, its delay; a value too large for a message is stored."""
    worker = Worker(client, processes=1)
    worker.register("limited", crunching.limited, pool="process")
    worker.register("large", crunching.large, pool="process")
    async with worker:
        server.workers.task("t1", "limited")
        failed = await server.workers.result("t1")
        server.workers.task("t2", "large", 1_000_000)
        stored = await server.workers.result("t2")
    assert (error_class(failed), failed.failure.retry_after_ms) == ("RateLimitError", 1500)
    assert stored.output.reference.size_bytes == 1_000_002


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("kill", ("ProcessDied", "killed by signal 9")),
        ("leave", ("ProcessDied", "exit 3")),
        ("exit", ("SystemExit", "4")),
    ],
)
async def test_a_process_that_dies_fails_one_task(
    client: Client, server: StandIn, how: str, told: tuple[str, str]
) -> None:
    """The failure says how it ended; the next task has another process."""
    worker = Worker(client, {"square": crunching.square}, processes=1)
    worker.register("dies", crunching.dies, pool="process")
    async with worker:
        server.workers.task("t1", "dies", how)
        result = await server.workers.result("t1")
        assert error_class(result) == told[0]
        assert result.failure.message.endswith(told[1])
        server.workers.task("t2", "square", 3)
        assert output(await server.workers.result("t2"))["square"] == 9


def test_what_no_other_process_can_find_is_refused() -> None:
    """A function in a function, a lambda: said when it is registered, with what would be right."""

    @task("local", pool="process")
    def local(value: Any) -> Any:
        return value

    for handler in (local, lambda value: value):
        with pytest.raises(Invalid, match="top level of a module"):
            Worker("").register("local", handler, pool="process")
    with pytest.raises(Invalid, match="must be 'process' or empty"):
        Worker("").register("square", crunching.square, pool="fibre")  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="processes must be 1 to 256"):
        Worker("", processes=257)


async def test_an_input_that_the_other_process_cannot_load_fails_its_task(
    client: Client, server: StandIn
) -> None:
    """The failure is of the task whose handler it is, which is not left without an answer."""
    worker = Worker(client, processes=1)
    worker.register("lost", crunching.lost, pool="process")
    async with worker:
        server.workers.task("t1", "lost")
        assert error_class(await server.workers.result("t1")) == "AttributeError"
