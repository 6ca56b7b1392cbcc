"""Durable handlers of the SDK on the running suite."""

import asyncio
import os
import runpy
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flowmesh import errors
from flowmesh.sdk import (
    Client,
    DurableContext,
    ExecutionFailed,
    Handle,
    Retry,
    TaskContext,
    Worker,
    Workflow,
)
from flowmesh.sdk.durable.ahead import RECEIVED_MAX
from flowmesh.sdk.testing import LocalEnvironment
from flowmesh.testing.polling import done, until
from flowmesh.testing.suite import Suite
from tests.features.programs.chaining import COUNT, EVERY

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
WITHIN_S = 30.0
CHARGING = Path(__file__).with_name("charging.py")
CHAINING = Path(__file__).with_name("chaining.py")


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    async with await Client.connect(suite.grpc_address) as connected:
        yield connected


@asynccontextmanager
async def charging(
    suite: Suite, effects: Path, *hanging: str, program: Path = CHARGING
) -> AsyncIterator[Any]:
    """The worker as a process; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), suite.grpc_address, str(effects), *hanging
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()


def done_in(effects: Path) -> list[str]:
    return effects.read_text().splitlines() if effects.exists() else []


async def begins(effects: Path, name: str) -> None:
    """Returns when a worker has begun the step."""

    def begun() -> bool:
        return any(line.startswith(f"{name} ") for line in done_in(effects))

    await done(f"{name} has begun", begun, within_s=WITHIN_S)


async def known(client: Client, workflow_id: str) -> bool:
    try:
        await client.get_workflow(workflow_id)
    except errors.NotFound:
        return False
    return True


async def journal(client: Client, handle: Handle) -> list[tuple[int, str]]:
    """Index and name of all that has ended, as often as it was journaled."""
    history = await client.download_history(handle.id)
    return [
        (record.index, record.name)
        for event in history.events
        for record in event.journal_appended.records
        if record.WhichOneof("outcome")
    ]


@pytest.mark.long
@pytest.mark.feature("S3-33", "S3-122")
async def test_a_killed_worker_repeats_nothing(
    suite: Suite, client: Client, tmp_path: Path
) -> None:
    """kill -9 in the middle of a handler, twice: each step is journaled once, none runs again."""
    effects = tmp_path / "effects"
    async with charging(suite, effects, "mail"):
        await until(
            "the worker registers its workflow",
            lambda: known(client, "charge-and-ship"),
            within_s=WITHIN_S,
        )
        handle = await client.start("charge-and-ship", {"id": 7})
        await begins(effects, "mail")
        await until(
            "the step beside it is journaled",
            lambda: _has(client, handle, "charge"),
            within_s=WITHIN_S,
        )
    async with charging(suite, effects, "close"):
        await begins(effects, "ship")
        await handle.signal("approved", {"by": "ada"})
        await begins(effects, "close")
    async with charging(suite, effects):
        output = await handle.result(30)
    names = ["reserve", "charge", "mail", "ship", "close"]
    assert output == [7, [f"{name} done" for name in names], {"by": "ada"}]
    ran = Counter(line.split()[0] for line in done_in(effects))
    assert ran == {"reserve": 1, "charge": 1, "mail": 2, "ship": 1, "close": 2}
    keys = Counter(done_in(effects))
    assert len(keys) == len(names)
    recorded = await journal(client, handle)
    assert len(recorded) == len({index for index, _ in recorded})


@pytest.mark.long
async def test_a_killed_worker_repeats_only_repeatable_steps_that_ran_ahead(
    suite: Suite, client: Client, tmp_path: Path
) -> None:
    """kill -9 four times in a chain of both kinds: each kill repeats one ordinary step at most."""
    effects = tmp_path / "effects"
    kills = 4
    handle = None
    for kill in range(1, kills + 1):
        async with charging(suite, effects, program=CHAINING):
            if handle is None:
                await until("registered", lambda: known(client, "long-chain"), within_s=WITHIN_S)
                handle = await client.start("long-chain", 7)
            await _reached(effects, kill * COUNT // (kills + 2))
    assert handle is not None
    async with charging(suite, effects, program=CHAINING):
        assert await handle.result(30) == 7 + sum(range(COUNT))
    ran = Counter(map(int, done_in(effects)))
    again = Counter(number % EVERY == 0 for number, times in ran.items() for _ in range(times - 1))
    assert again[True] <= kills
    assert again[False] <= kills * RECEIVED_MAX
    recorded = await journal(client, handle)
    assert [index for index, _ in recorded] == list(range(COUNT))
    assert await _ahead(client, handle) > COUNT // 2


async def _reached(effects: Path, count: int) -> None:
    await done(f"step {count}", lambda: len(done_in(effects)) > count, within_s=WITHIN_S)


async def _ahead(client: Client, handle: Handle) -> int:
    history = await client.download_history(handle.id)
    return sum(
        record.ahead for event in history.events for record in event.journal_appended.records
    )


async def _has(client: Client, handle: Handle, name: str) -> bool:
    return any(each == name for _, each in await journal(client, handle))


async def test_a_handler_that_waits_holds_no_slot(client: Client) -> None:
    """Twenty of them wait at a worker with two slots, and all go on."""
    worker = Worker(client, slots=2)

    @worker.durable("waits-long")
    async def waits(ctx: DurableContext, given: int) -> Any:
        await ctx.sleep(2)
        return [given, await ctx.wait_signal("go")]

    async with worker:
        handles = await asyncio.gather(*(client.start("waits-long", n) for n in range(20)))
        await asyncio.gather(*(handle.signal("go", "now") for handle in handles))
        outputs = await asyncio.gather(*(handle.result(30) for handle in handles))
    assert outputs == [[n, "now"] for n in range(20)]


async def test_a_handler_calls_tasks_of_other_workers(client: Client) -> None:
    """With their own retries; the calls are tasks of the execution."""
    caller, callee = Worker(client), Worker(client)
    tried: list[int] = []

    @callee.task("durable-callee")
    async def called(given: Any) -> Any:
        tried.append(given)
        if len(tried) == 1:
            raise RuntimeError("not yet")
        return given * 2

    @caller.durable("durable-caller")
    async def calls(ctx: DurableContext, given: int) -> Any:
        return await ctx.call("durable-callee", given, retry=Retry(initial="10ms"))

    async with caller, callee:
        handle = await client.start("durable-caller", 21)
        assert await handle.result(30) == 42
    kinds = [event.type async for event in client.history(handle.id)]
    assert kinds.count("TaskRetrying") == 1


@pytest.mark.feature("S4-54")
async def test_a_call_has_a_limit_without_asking_for_one(client: Client) -> None:
    """Five minutes unless the handler says how long."""
    worker = Worker(client)

    @worker.task("durable-limited")
    async def limited(_given: Any, context: TaskContext) -> float | None:
        return context.remaining_s

    @worker.durable("durable-limits")
    async def limits(ctx: DurableContext, given: Any) -> Any:
        return [
            await ctx.call("durable-limited"),
            await ctx.call("durable-limited", timeout="7s"),
        ]

    async with worker:
        left = await (await client.start("durable-limits")).result(30)
    assert left == pytest.approx([300, 7], abs=3)


async def test_a_changed_handler_is_refused_with_the_place(client: Client) -> None:
    """The failure names the record, what it is and what the handler asks instead; no retry."""
    before, after = Worker(client), Worker(client)

    async def wait_for(ctx: DurableContext, given: Any, name: str) -> Any:
        await ctx.step(name, lambda: 1)
        return await ctx.wait_signal("go")

    @before.durable("changed", retry=Retry(attempts=5))
    async def first(ctx: DurableContext, given: Any) -> Any:
        return await wait_for(ctx, given, "reserve")

    @after.durable("changed", retry=Retry(attempts=5))
    async def second(ctx: DurableContext, given: Any) -> Any:
        return await wait_for(ctx, given, "check")

    async with before:
        handle = await client.start("changed")
        await until(
            "the handler leaves its worker", lambda: _suspended(client, handle), within_s=WITHIN_S
        )
    async with after:
        await handle.signal("go")
        with pytest.raises(ExecutionFailed) as failed:
            await handle.result(30)
    failure = failed.value.failure
    assert failure is not None
    assert failure.error_class == "NON_DETERMINISTIC"
    assert (
        "journal record 0 is step 'reserve', but the handler requested step 'check'"
        in failure.message
    )


async def _suspended(client: Client, handle: Handle) -> bool:
    return "TaskSuspended" in [event.type async for event in client.history(handle.id)]


async def test_a_history_of_the_suite_replays_in_a_test(client: Client) -> None:
    """Downloaded, it is what the local environment checks the handler against."""
    worker = Worker(client)

    @worker.durable("replayed")
    async def replayed(ctx: DurableContext, given: int) -> int:
        doubled: int = await ctx.step("double", lambda: given * 2)
        return doubled

    async with worker:
        handle = await client.start("replayed", 4)
        assert await handle.result(30) == 8
    await LocalEnvironment(worker).replay(await client.download_history(handle.id))


@pytest.mark.feature("S4-56")
async def test_logs_and_metrics_of_a_handler_are_in_the_trace(suite: Suite, client: Client) -> None:
    """Of plain tasks and of durable handlers, whose lines count once however often they run."""
    worker = Worker(client)

    @worker.durable("says")
    async def says(ctx: DurableContext, given: int) -> Any:
        ctx.log("begun", given=given)
        await ctx.sleep(1.2)
        ctx.metric("items", 2)
        ctx.metric("items", 3)
        return await ctx.call("says-too")

    @worker.task("says-too")
    async def says_too(given: Any, context: TaskContext) -> int:
        context.log("called")
        return 1

    async with worker:
        handle = await client.start("says", 7)
        await handle.result(30)
    trace = (await suite.get(f"/api/v1/executions/{handle.id}/trace")).json
    (task,) = [each for each in trace["tasks"] if each["id"] == "says"]
    line = {"level": "info", "message": "begun", "fields": {"given": 7}}
    assert task["metadata"] == {"log": [line], "metrics": {"items": 5}}
    attempts = [attempt["attempt"] for attempt in task["attempts"]]
    assert attempts == [1, 2]


async def test_the_example_runs(suite: Suite) -> None:
    """`examples/sdk_durable_handler.py`, as it stands in the documentation."""
    main = runpy.run_path(str(EXAMPLES / "sdk_durable_handler.py"))["main"]
    result = await main(suite.grpc_address)
    assert result["shipped"] == "book is on its way"


async def test_a_handler_does_not_replace_an_existing_workflow(client: Client) -> None:
    """A handler does not take the name of a workflow that is there."""
    flow = Workflow("taken")
    flow.task("only", "somewhere")
    await client.register(flow)
    worker = Worker(client)
    worker.durable("taken")(_nothing)
    with pytest.raises(errors.Invalid, match="is not of a durable handler"):
        await worker.start()


async def _nothing(ctx: DurableContext, given: Any) -> None:
    """A handler that asks for nothing."""
