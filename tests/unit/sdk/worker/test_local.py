"""The local environment: workflows and durable handlers without a server."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from flowmesh.sdk import DurableContext, Retry, TaskContext, TaskFailure, Worker, Workflow, step_key
from flowmesh.sdk.durable import CallFailed, StepFailed
from flowmesh.sdk.testing import (
    Faults,
    History,
    LocalEnvironment,
    ReplayMismatch,
    Signal,
    SimulationFailed,
)


def named(value: str) -> str:
    return f"<{value}>"


async def order(ctx: DurableContext, given: dict[str, Any]) -> Any:
    """Everything a handler can ask for."""
    reserved = await ctx.step("reserve", named, given["item"])
    both = await asyncio.gather(ctx.step("left", named, "l"), ctx.step("right", named, "r"))
    await ctx.sleep("24h")
    approved = await ctx.wait_signal("approved", timeout="48h")
    shipped = await ctx.call("ship", {"item": given["item"]})
    try:
        await ctx.wait_signal("returned", timeout="30h")
    except TimeoutError:
        kept = True
    return [reserved, both, approved, shipped, kept, str(ctx.uuid())]


async def ship(given: dict[str, str]) -> str:
    return f"shipped {given['item']}"


SIGNALS = [Signal("approved", {"by": "ada"}, after="25h")]


@pytest.fixture
def env() -> LocalEnvironment:
    worker = Worker("localhost:1")
    worker.durable("order")(order)
    worker.task("ship")(ship)
    return LocalEnvironment(worker)


async def test_a_handler_runs_on_the_virtual_clock(env: LocalEnvironment) -> None:
    """Days take no time; steps, signals, calls and timeouts come in their order."""
    run = await env.run("order", {"item": "book"}, signals=SIGNALS)
    assert run.status == "completed"
    assert run.output[:5] == ["<book>", ["<l>", "<r>"], {"by": "ada"}, "shipped book", True]
    assert run.duration_s == 55 * 3600
    assert set(run.steps) == {"reserve", "left", "right"}


def test_plain_tests_need_no_event_loop(env: LocalEnvironment) -> None:
    """`run_sync` is `run`."""
    assert env.run_sync("order", {"item": "a"}, signals=SIGNALS).status == "completed"


async def test_mocks_stand_in_for_calls(env: LocalEnvironment) -> None:
    """By the type; the handler behind it is not asked."""
    mocks = {"ship": {"output": "mocked"}}
    run = await env.run("order", {"item": "a"}, signals=SIGNALS, mocks=mocks)
    assert run.output[3] == "mocked"


async def test_a_handler_waits_for_what_never_comes(env: LocalEnvironment) -> None:
    """The run says that it is not over."""

    async def waits(ctx: DurableContext, given: Any) -> Any:
        return await ctx.wait_signal("never")

    assert (await LocalEnvironment(durable={"w": waits}).run("w")).status == "running"


async def test_faults_change_nothing_of_what_it_comes_to(env: LocalEnvironment) -> None:
    """Workers and owners die at any commit; every operation is journaled once."""
    faults = Faults(crashes=0.2, repeats=0.3)
    await env.simulate("order", {"item": "a"}, runs=60, faults=faults, signals=SIGNALS)


async def test_a_failed_simulation_names_its_seed() -> None:
    """The same seed fails again, alone."""
    runs: list[str] = []

    async def unsafe(ctx: DurableContext, given: Any) -> int:
        runs.append("begun")
        await ctx.step("one", named, "1")
        return len(runs)

    env = LocalEnvironment(durable={"unsafe": unsafe})
    with pytest.raises(SimulationFailed, match="seed ") as failed:
        await env.simulate("unsafe", faults=Faults(crashes=0.4), runs=50)
    seed = failed.value.seed
    with pytest.raises(SimulationFailed, match=f"seed {seed}: "):
        await env.simulate("unsafe", faults=Faults(crashes=0.4), runs=1, seed=seed)


async def test_a_history_replays_with_what_it_was_recorded_with(env: LocalEnvironment) -> None:
    """From a file, too."""
    run = await env.run("order", {"item": "a"}, signals=SIGNALS)
    await env.replay(run.history)
    await env.replay(History.from_json(run.history.to_json()))


async def test_a_changed_handler_is_refused_with_the_place(env: LocalEnvironment) -> None:
    """The record, what it is, and what the handler asks instead."""

    async def changed(ctx: DurableContext, given: Any) -> Any:
        await ctx.step("reserve", named, "a")
        await ctx.sleep(1)

    run = await env.run("order", {"item": "a"}, signals=SIGNALS)
    other = LocalEnvironment(durable={"order": changed}, tasks={"ship": ship})
    with pytest.raises(
        ReplayMismatch, match="is step 'left', but the handler requested sleep"
    ) as found:
        await other.replay(run.history)
    assert found.value.node == "order"


async def test_another_output_is_refused() -> None:
    """It asks for the same and returns something else."""

    async def first(ctx: DurableContext, given: Any) -> int:
        await ctx.step("s", named, "x")
        return 1

    async def second(ctx: DurableContext, given: Any) -> int:
        await ctx.step("s", named, "x")
        return 2

    run = await LocalEnvironment(durable={"h": first}).run("h")
    with pytest.raises(ReplayMismatch, match="its output was 1, and now it is 2"):
        await LocalEnvironment(durable={"h": second}).replay(run.history)


def flow(*names: str, condition: str = "") -> Workflow:
    """Tasks in a row, and a map at the end."""
    made = Workflow("flow")
    before = None
    for name in names:
        before = made.task(name, work, input={"n": name}, depends_on=[before] if before else [])
    each = made.map("each", [1, 2, 3], depends_on=[before] if before else [])
    each.task("inner", work, input=each.item)
    return made


async def work(given: Any) -> Any:
    return given


async def test_workflows_built_in_code_run_with_their_handlers() -> None:
    """And replay; another definition is refused with the event where it differs."""
    env = LocalEnvironment(definitions=[flow("a", "b")])
    run = await env.run("flow")
    assert run.status == "completed"
    await env.replay(run.history)
    with pytest.raises(
        ReplayMismatch, match="TaskScheduled b; the current code produces TaskScheduled c"
    ) as found:
        await env.replay(run.history, flow("a", "c"))
    assert found.value.sequence > 0
    await env.simulate("flow", runs=30, faults=Faults(crashes=0.2, repeats=0.2))


async def test_a_document_runs_with_mocks() -> None:
    """As text, with nothing but mocks."""
    document = """
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: charge}
spec: {type: charge}
---
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: paid}
spec:
  tasks:
    - {id: charge, taskRef: charge, retry: {maxAttempts: 3, initialDelay: 20s}}
"""
    failure = {"failure": {"class": "ServerError"}}
    mocks = {"charge": [failure, {"output": {"paid": True}}]}
    run = await LocalEnvironment().run(document, mocks=mocks)
    assert (run.output, run.duration_s) == ({"paid": True}, 20)


async def test_steps_are_tried_again_by_themselves() -> None:
    """With their key, which stays; a failure that is caught is journaled and stays caught."""
    keys: list[str] = []

    def flaky() -> str:
        keys.append(step_key())
        if len(keys) < 3:
            raise TaskFailure("ServerError", "not yet")
        return "done"

    def broken() -> None:
        raise TaskFailure("Declined", "no money")

    async def handler(ctx: DurableContext, given: Any) -> Any:
        tried = await ctx.step("flaky", flaky, retry=Retry(attempts=5, initial="1ms"))
        try:
            await ctx.step("broken", broken)
        except StepFailed as error:
            declined = error.failure.error_class
        await ctx.sleep("1h")
        return [tried, declined]

    run = await LocalEnvironment(durable={"h": handler}).run("h")
    assert run.output == ["done", "Declined"]
    assert keys == ["dry-run/h/0"] * 3


async def test_a_handler_that_fails_is_tried_again_as_a_whole() -> None:
    """Steps that succeeded are not; the one that failed is."""
    counts = {"good": 0, "bad": 0}

    def good() -> None:
        counts["good"] += 1

    def bad() -> None:
        counts["bad"] += 1
        if counts["bad"] < 3:
            raise TaskFailure("ServerError", "not yet")

    worker = Worker("localhost:1")

    @worker.durable("h", retry=Retry(attempts=3))
    async def handler(ctx: DurableContext, given: Any) -> str:
        await ctx.step("good", good)
        await ctx.step("bad", bad)
        return "done"

    assert (await LocalEnvironment(worker).run("h")).output == "done"
    assert counts == {"good": 1, "bad": 3}


async def test_a_failed_call_is_raised_in_the_handler() -> None:
    """With the failure of the task."""

    async def handler(ctx: DurableContext, given: Any) -> str:
        try:
            await ctx.call("broken")
        except CallFailed as error:
            return f"{error.name} {error.failure.error_class}"
        return ""

    mocks = {"broken": {"failure": {"class": "ClientError"}}}
    run = await LocalEnvironment(durable={"h": handler}, mocks=mocks).run("h")
    assert run.output == "broken ClientError"


async def test_what_asyncio_offers_is_durable_too() -> None:
    """Timeouts and sleeps are sleeps of the journal, and the first of two is always the same."""

    async def handler(ctx: DurableContext, given: Any) -> Any:
        with suppress(TimeoutError):
            await asyncio.wait_for(ctx.wait_signal("never"), 3600)
        try:
            async with asyncio.timeout(60):
                await ctx.wait_signal("never")
        except TimeoutError:
            timed_out = True
        fast = asyncio.ensure_future(ctx.sleep("1m"))
        slow = asyncio.ensure_future(ctx.wait_signal("late"))
        done, _ = await asyncio.wait((fast, slow), return_when=asyncio.FIRST_COMPLETED)
        await ctx.sleep(1)
        return [timed_out, done == {fast}]

    env = LocalEnvironment(durable={"h": handler})
    run = await env.run("h")
    assert (run.output, run.duration_s) == ([True, True], 3600 + 60 + 60 + 1)
    await env.replay(run.history)
    await env.simulate("h", runs=20, faults=Faults(crashes=0.2))


async def test_what_reaches_out_of_a_handler_is_refused() -> None:
    """With the word where it belongs."""

    async def handler(ctx: DurableContext, given: Any) -> Any:
        return await asyncio.to_thread(named, "x")

    run = await LocalEnvironment(durable={"h": handler}).run("h")
    assert run.report.error
    assert "do it in a function given to ctx.step" in run.report.error.message


async def test_a_handler_gets_the_context_that_the_suite_gives() -> None:
    """Its config and the limit of its attempt too."""

    async def asks(ctx: DurableContext, given: Any) -> Any:
        return await ctx.call("told", config={"region": "eu"}, timeout="7s")

    async def told(given: Any, context: TaskContext) -> Any:
        assert context.remaining_s is not None
        return [context.config, context.timeout_ms, context.remaining_s <= 7]

    run = await LocalEnvironment(durable={"asks": asks}, tasks={"told": told}).run("asks")
    assert run.output == [{"region": "eu"}, 7_000, True]


async def test_timers_of_one_callback_at_one_time_all_fire() -> None:
    """They are equal, and still two."""

    async def handler(ctx: DurableContext, given: Any) -> Any:
        hits: list[str] = []
        loop = asyncio.get_running_loop()
        loop.call_later(5, hits.append, "hit")
        loop.call_later(5, hits.append, "hit")
        loop.call_later(5, hits.append, "hit").cancel()
        await ctx.sleep(10)
        return hits

    run = await LocalEnvironment(durable={"d": handler}).run("d")
    assert run.output == ["hit", "hit"]
