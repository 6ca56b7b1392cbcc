"""Client, session and worker against the running suite."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh import errors
from flowmesh.sdk import (
    Client,
    ExecutionFailed,
    Retry,
    Status,
    StoredValue,
    TaskContext,
    TaskFailure,
    Worker,
    Workflow,
)
from flowmesh.testing.suite import Suite


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    async with await Client.connect(suite.grpc_address) as connected:
        yield connected


async def echo(value: Any) -> Any:
    return value


async def registered(client: Client, name: str, handler: Any, **options: Any) -> Workflow:
    flow = Workflow(name)
    flow.task("only", handler, **options)
    await client.register(flow)
    return flow


async def test_a_session_runs_many_workflows_at_once(client: Client) -> None:
    """Five hundred on one stream, each with its own result."""
    flow = await registered(client, "session-echo", echo)
    async with Worker(client, flow.handlers), client.session() as session:
        results = await asyncio.gather(*(session.run("session-echo", {"n": n}) for n in range(500)))
    assert results == [{"n": n} for n in range(500)]


async def test_the_same_request_id_runs_once(client: Client) -> None:
    """By unary call and by session: one execution, and the second answer says so."""
    flow = await registered(client, "once", echo)
    async with Worker(client, flow.handlers), client.session() as session:
        first = await client.start("once", 1, request_id="sdk-once")
        again = await session.start("once", 1, request_id="sdk-once")
        assert (first.created, again.execution_id) == (True, first.id)
        with pytest.raises(errors.Conflict) as caught:
            await client.start("once", 2, request_id="sdk-once")
    assert caught.value.reason == "REQUEST_ID_REUSED"


async def test_refusals_on_the_session_have_their_reason(client: Client) -> None:
    """An unknown workflow is NotFound for its caller; the stream goes on."""
    flow = await registered(client, "after-refusal", echo)
    async with Worker(client, flow.handlers), client.session() as session:
        with pytest.raises(errors.NotFound) as caught:
            await session.run("there-is-none")
        assert caught.value.reason == "WORKFLOW_NOT_FOUND"
        assert await session.run("after-refusal", 1) == 1


async def test_events_tell_the_whole_story(client: Client) -> None:
    """From WorkflowStarted to WorkflowCompleted without a gap, live and afterwards the same."""
    flow = await registered(client, "story", echo)
    async with Worker(client, flow.handlers):
        handle = await client.start("story", {"n": 1})
        live = [event async for event in handle.events()]
    later = [event async for event in client.history(handle.id)]
    assert [event.sequence for event in live] == list(range(1, len(live) + 1))
    assert [event.type for event in live] == [
        "WorkflowStarted",
        "TaskScheduled",
        "TaskStarted",
        "TaskCompleted",
        "WorkflowCompleted",
    ]
    assert [event.as_json() for event in later] == [event.as_json() for event in live]
    behind = [event.sequence async for event in handle.events(after=3)]
    assert behind == [4, 5]


async def test_values_above_the_inline_limit_go_through(client: Client) -> None:
    """Input and output of half a megabyte, by reference on every path."""
    flow = await registered(client, "large", echo)
    text = "x" * 500_000
    async with Worker(client, flow.handlers), client.session() as session:
        assert await client.run("large", {"text": text}) == {"text": text}
        assert await session.run("large", {"text": text}) == {"text": text}
        handle = await client.start("large", {"text": text}, wait=10)
    described = await handle.describe()
    assert isinstance(described.input, StoredValue)
    assert await client.fetch(described.input) == {"text": text}
    assert await handle.outputs() == {"only": {"text": text}}


async def test_cancelling_stops_the_handler(client: Client) -> None:
    """The task hears of it, the execution ends as canceled, a second cancel is refused."""
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def forever(value: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    flow = await registered(client, "cancel-me", forever)
    async with Worker(client, flow.handlers):
        handle = await client.start("cancel-me")
        await begun.wait()
        await handle.cancel("changed my mind")
        assert (await handle.wait(10)).status is Status.CANCELED
        await asyncio.wait_for(stopped.wait(), 10)
        with pytest.raises(errors.WrongState) as caught:
            await handle.cancel()
    assert caught.value.reason == "EXECUTION_ENDED"
    with pytest.raises(ExecutionFailed, match="canceled"):
        await handle.result()


async def test_signals_are_kept(client: Client) -> None:
    """A signal is in the history and in the state, with its payload."""
    finish = asyncio.Event()

    async def wait(value: Any) -> None:
        await finish.wait()

    flow = await registered(client, "signal-me", wait)
    async with Worker(client, flow.handlers):
        handle = await client.start("signal-me")
        sequence = await handle.signal("paid", {"by": "card"})
        finish.set()
        await handle.result(10)
    described = await handle.describe()
    assert [(s.name, s.payload) for s in described.signals] == [("paid", {"by": "card"})]
    events = {event.sequence: event async for event in client.history(handle.id)}
    assert events[sequence].type == "SignalReceived"


async def test_a_failure_keeps_its_class_and_place(client: Client) -> None:
    """The choice of the handler arrives at its caller; a policy of one attempt does not retry."""
    tries: list[int] = []

    def refuse(value: Any, context: TaskContext) -> None:
        tries.append(context.attempt)
        raise TaskFailure("CardDeclined", "no funds", details={"code": 51})

    flow = await registered(client, "declined", refuse, retry=Retry(attempts=1))
    async with Worker(client, flow.handlers):
        with pytest.raises(ExecutionFailed) as caught:
            await client.run("declined")
    failure = caught.value.failure
    assert failure is not None
    assert (failure.error_class, failure.node) == ("CardDeclined", "only")
    assert tries == [1]


async def test_a_worker_that_vanishes_is_replaced(client: Client, suite: Suite) -> None:
    """A task whose worker is gone runs on another one, as the same attempt."""
    begun = asyncio.Event()

    async def hang(value: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    attempts: list[int] = []

    async def answer(value: Any, context: TaskContext) -> str:
        attempts.append(context.attempt)
        return "done"

    flow = Workflow("vanish")
    flow.task("only", "vanish-step")
    await client.register(flow)
    async with Client(suite.grpc_address) as other:
        first = Worker(other, {"vanish-step": hang}, drain_s=0.01)
        await first.start()
        handle = await client.start("vanish")
        await begun.wait()
        async with Worker(client, {"vanish-step": answer}):
            await first.stop()
            assert await handle.result(20) == "done"
    assert attempts == [1]


async def test_definitions_are_found_again(client: Client) -> None:
    """Registered, unchanged, changed; listed by prefix; validated without a trace; deleted."""
    first = await registered_version(client, "first")
    same = await registered_version(client, "first")
    changed = await registered_version(client, "second")
    assert (first.version, first.created) == (1, True)
    assert (same.version, same.created) == (1, False)
    assert (changed.version, changed.created) == (2, True)
    found = [stored.id async for stored in client.list_workflows(where="id:sdk-found*")]
    assert found == ["sdk-found"]
    versions = [stored.version async for stored in client.list_versions("sdk-found")]
    assert versions == [2, 1]
    broken = {"id": "sdk-loop", "steps": [{"id": "a", "dependencies": ["a"]}]}
    validation = await client.validate(broken)
    assert not validation.valid
    with pytest.raises(errors.NotFound):
        await client.get_workflow("sdk-loop")
    await client.delete_workflow("sdk-found")
    with pytest.raises(errors.NotFound):
        await client.get_workflow("sdk-found")


async def registered_version(client: Client, step: str) -> Any:
    return await client.register(
        {"id": "sdk-found", "name": "Found", "steps": [{"id": step, "name": step}]}
    )


async def test_executions_are_listed_by_workflow_and_status(client: Client) -> None:
    """Newest first, page by page."""
    flow = await registered(client, "listed", echo)
    async with Worker(client, flow.handlers):
        started = [(await client.start("listed", n, wait=10)).id for n in range(5)]
    found = [
        execution.id
        async for execution in client.list_executions(
            workflow_id="listed", statuses=[Status.COMPLETED], page_size=2
        )
    ]
    assert found == list(reversed(started))


@pytest.mark.feature("S0-137")
async def test_tasks_without_dependencies_run_in_parallel(client: Client) -> None:
    """Three of them meet at a barrier, which none could pass alone; the join comes after."""
    met = asyncio.Barrier(4)
    passed: list[str] = []

    async def meet(name: str) -> None:
        await met.wait()
        passed.append(name)

    async def join(_value: Any) -> list[str]:
        return sorted(passed)

    flow = Workflow("meet")
    independent = [flow.task(name, meet, input=name) for name in ("left", "middle", "right")]
    flow.task("join", join, depends_on=independent)
    await client.register(flow)
    async with Worker(client, flow.handlers):
        handle = await client.start("meet")
        async with asyncio.timeout(10):
            await met.wait()
        assert await handle.result(10) == ["left", "middle", "right"]
