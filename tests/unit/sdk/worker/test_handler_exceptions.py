"""Any exception of user code fails its task, and the worker continues."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from flowmesh.api.common.v1.journal_pb2 import JournalRecord
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.dryrun.report import Failure
from flowmesh.errors import Invalid
from flowmesh.sdk import DurableContext, Workflow
from flowmesh.sdk.durable import StepFailed
from flowmesh.sdk.durable.run import SIGNAL
from flowmesh.sdk.testing import LocalEnvironment
from flowmesh.sdk.testing.local import LocalPayloads
from flowmesh.sdk.values.payloads import encode
from flowmesh.sdk.worker.handlers import durable_handler_of
from flowmesh.sdk.worker.task_runner import TaskRunner
from tests.unit.sdk.stand_ins import payload

Ended = tuple[str, str]


async def gives_up() -> None:
    """Meets the end of a task of its own, as code with a canceled connection does."""
    waiting = asyncio.ensure_future(asyncio.Event().wait())
    waiting.cancel()
    await waiting


def finds_nothing() -> Any:
    return next(iter(()))


async def stops_the_test() -> None:
    await asyncio.sleep(0)
    pytest.fail("no")


async def is_canceled() -> None:
    raise asyncio.CancelledError


RAISING = [
    (gives_up, "Cancelled"),
    (is_canceled, "Cancelled"),
    (finds_nothing, "RuntimeError"),
    (stops_the_test, "Failed"),
]


async def ended(environment: LocalEnvironment, workflow: str | Workflow) -> Ended:
    async with asyncio.timeout(10):
        run = await environment.run(workflow)
    assert isinstance(run.report.error, Failure)
    return run.status, run.report.error.class_


def of(function: Callable[[], Any]) -> Callable[[Any], Any]:
    """The function as a handler of the same kind."""
    if function is is_canceled:

        async def at_once(given: Any) -> Any:
            raise asyncio.CancelledError

        return at_once
    if asyncio.iscoroutinefunction(function):

        async def later(given: Any) -> Any:
            return await function()

        return later
    return lambda given: function()


@pytest.mark.parametrize(("function", "error_class"), RAISING)
async def test_a_task_ends_with_what_its_handler_raises(
    function: Callable[[], Any], error_class: str
) -> None:
    """None is held for ever, and none ends the stream it came on."""
    flow = Workflow("flow")
    flow.task("only", of(function))
    assert await ended(LocalEnvironment(), flow) == ("failed", error_class)


@pytest.mark.parametrize(("function", "error_class"), RAISING)
async def test_a_step_ends_with_what_its_function_raises(
    function: Callable[[], Any], error_class: str
) -> None:
    """The handler receives any exception."""

    async def handler(ctx: DurableContext, given: Any) -> Any:
        with pytest.raises(StepFailed) as caught:
            await ctx.step("only", function)
        return caught.value.failure.error_class

    async with asyncio.timeout(10):
        run = await LocalEnvironment(durable={"d": handler}).run("d")
    assert (run.status, run.output) == ("completed", error_class)


async def test_a_durable_handler_that_exits_fails_its_task() -> None:
    """The program of the worker continues, as with any other handler."""

    async def handler(ctx: DurableContext, given: Any) -> Any:
        sys.exit(3)

    assert await ended(LocalEnvironment(durable={"d": handler}), "d") == ("failed", "SystemExit")


class Own(BaseException):
    """An exception of a user's library that is no Exception."""


class Unprintable(Exception):
    """One whose text cannot be had."""

    def __str__(self) -> str:
        raise Own


EXCEPTIONS: list[Callable[[], BaseException]] = [
    GeneratorExit,
    KeyboardInterrupt,
    SystemExit,
    Own,
    Unprintable,
    lambda: BaseExceptionGroup("several", [GeneratorExit(), KeyboardInterrupt()]),
]
NAMES = [type(make()).__name__ for make in EXCEPTIONS]


def raising(error: BaseException, kind: str) -> Callable[..., Any]:
    """A function of no or any arguments that raises the error."""

    async def at_once(*_: Any) -> Any:
        raise error

    async def later(*_: Any) -> Any:
        await asyncio.sleep(0)
        raise error

    def plain(*_: Any) -> Any:
        raise error

    async def awaited(*_: Any) -> Any:
        await asyncio.to_thread(plain)

    kinds = {"at once": at_once, "later": later, "plain": plain, "awaited": awaited}
    return kinds[kind]


KINDS = ["at once", "later", "plain", "awaited"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", EXCEPTIONS, ids=NAMES)
async def test_any_exception_ends_the_attempt_under_its_name(
    make: Callable[[], BaseException], kind: str
) -> None:
    """The worker continues, as the second run shows."""
    error = make()
    flow = Workflow("flow")
    flow.task("only", raising(error, kind))
    environment = LocalEnvironment()
    for _ in range(2):
        assert await ended(environment, flow) == ("failed", type(error).__name__)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", EXCEPTIONS, ids=NAMES)
async def test_any_exception_of_a_step_reaches_its_handler(
    make: Callable[[], BaseException], kind: str
) -> None:
    """As StepFailed under the name of the exception."""
    error = make()

    async def handler(ctx: DurableContext, given: Any) -> Any:
        with pytest.raises(StepFailed) as caught:
            await ctx.step("only", raising(error, kind))
        return caught.value.failure.error_class

    async with asyncio.timeout(10):
        run = await LocalEnvironment(durable={"d": handler}).run("d")
    assert (run.status, run.output) == ("completed", type(error).__name__)


@pytest.mark.parametrize("inside", [False, True], ids=["itself", "in a task of its own"])
@pytest.mark.parametrize("make", EXCEPTIONS, ids=NAMES)
async def test_any_exception_of_a_durable_handler_ends_its_attempt(
    make: Callable[[], BaseException], inside: bool
) -> None:
    """Also one that a task of the handler raised."""
    error = make()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise error

    async def handler(ctx: DurableContext, given: Any) -> Any:
        await (asyncio.gather(fails()) if inside else fails())

    expected = ("failed", type(error).__name__)
    assert await ended(LocalEnvironment(durable={"d": handler}), "d") == expected


@pytest.mark.parametrize("size", [10, 300_000], ids=["a small output", "a stored output"])
async def test_what_a_durable_handler_notes_is_kept_with_its_output(size: int) -> None:
    """However large that is."""

    async def handler(ctx: DurableContext, given: Any) -> Any:
        ctx.metric("rows", 3)
        return "x" * size

    run = await LocalEnvironment(durable={"d": handler}).run("d")
    (done,) = (e.task_completed for e in run.history.events if e.HasField("task_completed"))
    assert done.metadata == b'{"metrics":{"rows":3}}'


async def test_what_a_durable_handler_notes_is_kept_with_its_failure() -> None:
    """As that of any other handler is."""

    async def handler(ctx: DurableContext, given: Any) -> Any:
        ctx.metric("rows", 3)
        raise ValueError("no")

    run = await LocalEnvironment(durable={"d": handler}).run("d")
    (failed,) = (e.task_failed for e in run.history.events if e.HasField("task_failed"))
    assert b'"metrics":{"rows":3}' in failed.failure.details


async def test_a_handler_that_begins_again_has_its_input_as_it_came() -> None:
    """Its earlier reaction and task log belong to the discarded run."""
    finished: list[task_pb2.TaskResult] = []
    asked: list[task_pb2.TaskRecords] = []

    async def fails() -> None:
        raise ValueError("no")

    async def handler(ctx: DurableContext, given: list[int]) -> Any:
        given.pop()
        ctx.metric("runs")

        async def stepping() -> None:
            with pytest.raises(StepFailed):
                await ctx.step("a", fails)

        await asyncio.gather(ctx.wait_signal("s"), stepping())
        return given

    runner = TaskRunner(
        handlers={"d": durable_handler_of("d", handler)},
        payloads=LocalPayloads(),
        threads=1,
        processes=1,
        finished=finished.append,
        heartbeat=lambda *_: None,
        record=asked.append,
    )

    def recorded(start: int, *records: JournalRecord) -> None:
        runner.recorded(task_pb2.TaskRecorded(token="t", start=start, records=records))

    async def passes() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    runner.accept(task_pb2.Task(token="t", task_type="d", input=payload([1, 2])), b"")
    await passes()
    failure = asked[-1].records[-1]
    assert failure.HasField("failure")
    # The signal was committed before the failure that the handler knew first.
    waits = JournalRecord(index=0, kind=SIGNAL, name="s")
    signaled = JournalRecord(index=0, kind=SIGNAL, name="s", output=payload(None))
    recorded(0, waits, signaled)
    await passes()
    recorded(2, asked[-1].records[-1])
    await passes()
    (result,) = finished
    assert result.output.data == encode([1])
    assert result.metadata == b'{"metrics":{"runs":1}}'
    await runner.close()


UNKEPT = [{"n": [float("nan")]}, {"n": [2**64]}]


def returning(value: Any, kind: str) -> Callable[..., Any]:
    """A function of no or any arguments that returns the value."""

    async def at_once(*_: Any) -> Any:
        return value

    async def later(*_: Any) -> Any:
        await asyncio.sleep(0)
        return value

    kinds = {"at once": at_once, "later": later, "plain": lambda *_: value}
    return kinds[kind]


@pytest.mark.parametrize("kind", KINDS[:3])
@pytest.mark.parametrize("value", UNKEPT, ids=["not finite", "too large"])
async def test_an_output_that_cannot_be_kept_fails_its_task(value: Any, kind: str) -> None:
    """With the place in the value."""
    flow = Workflow("flow")
    flow.task("only", returning(value, kind))
    run = await LocalEnvironment().run(flow)
    assert isinstance(run.report.error, Failure)
    assert run.report.error.class_ == "ValidationError"
    assert "value.n[0] is " in run.report.error.message


@pytest.mark.parametrize("kind", KINDS[:3])
@pytest.mark.parametrize("value", UNKEPT, ids=["not finite", "too large"])
async def test_a_step_and_a_call_of_what_cannot_be_kept_fail(value: Any, kind: str) -> None:
    """The durable handler learns of both."""

    async def handler(ctx: DurableContext, given: Any) -> Any:
        with pytest.raises(StepFailed, match=r"value\.n\[0\] is ") as caught:
            await ctx.step("only", returning(value, kind))
        with pytest.raises(Invalid, match=r"value\.n\[0\] is "):
            await ctx.call("noop", value)
        return caught.value.failure.error_class

    run = await LocalEnvironment(durable={"d": handler}).run("d")
    assert (run.status, run.output) == ("completed", "ValidationError")


@pytest.mark.parametrize("value", UNKEPT, ids=["not finite", "too large"])
async def test_an_output_of_a_durable_handler_that_cannot_be_kept_fails_it(value: Any) -> None:
    """As that of any other handler."""

    async def handler(ctx: DurableContext, given: Any) -> Any:
        return value

    assert await ended(LocalEnvironment(durable={"d": handler}), "d") == (
        "failed",
        "ValidationError",
    )
