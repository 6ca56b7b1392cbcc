"""When executions begin, by what else was started with the same key."""

import asyncio
import time
from typing import Any

import pytest

from flowmesh.errors import WrongState
from flowmesh.sdk import Client, Handle, Worker
from flowmesh.sdk.testing import LocalEnvironment
from flowmesh.sdk.workflows.flow import Workflow
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.natives import applied, apply, execute, refusal, resource, text, workflow
from tests.features.programs.test_sdk_engine import example
from tests.features.tenants.test_limits import PATIENCE_S, Floor, own, run_by

KEY = "{{input.customer}}"


async def status(handle: Handle, wanted: str) -> None:
    async def seen() -> bool:
        return (await handle.describe()).status == wanted

    await until(f"{handle.id} {wanted}", seen, within_s=PATIENCE_S)


async def of(client: Client, kind: str, count: int, **more: Any) -> list[Handle]:
    return [await client.start(kind, {"customer": "a", "n": n, **more}) for n in range(count)]


async def replays(client: Client, kind: str, execution_id: str, start: Any) -> None:
    """Its history is what would be decided again."""
    node = {"id": "only", "taskRef": f"{kind}-task", "input": "{{input}}"}
    task = resource("WorkflowTask", f"{kind}-task", type=kind)
    definition = text(task, workflow(kind, node, start=start))
    await LocalEnvironment().replay(await client.download_history(execution_id), definition)


async def test_at_most_so_many_of_a_key_run_and_the_others_wait_in_order(suite: Suite) -> None:
    """Each is listed, explained and awaited; one with another key does not wait."""
    floor = Floor()
    policy = {"key": KEY, "concurrency": 2}
    kind = await run_by(suite, own("queued"), start=policy)
    async with Client(suite.grpc_address) as client, Worker(client, {kind: floor}, slots=20):
        handles = await of(client, kind, 5)
        other = await client.start(kind, {"customer": "b", "n": 9})
        await floor.until(3)
        listed = await suite.get(f"/api/v1/executions?status=pending&workflowId={kind}")
        waiting = [each["executionId"] for each in listed.json["executions"]]
        assert sorted(waiting) == sorted(handle.id for handle in handles[2:])
        last = handles[-1]
        shown = (await suite.get(f"/api/v1/executions/{last.id}")).json
        assert (shown["status"], shown["hold"]) == ("pending", {"reason": "turn", "key": "a"})
        why = (await suite.get(f"/api/v1/executions/{last.id}/explain")).json
        (found,) = why["findings"]
        assert found["cause"] == "START_TURN"
        assert found["becauseOf"] == sorted(handle.id for handle in handles[:2])
        assert found["details"]["before"] == 2
        await floor.let_all_go([*handles, other])
        events = [event.type async for event in last.events()]
        assert events[:3] == ["WorkflowStarted", "WorkflowHeld", "WorkflowBegun"]
        await replays(client, kind, last.id, policy)
    mine = [each["n"] for each in floor.order if each["customer"] == "a"]
    assert mine == [0, 1, 2, 3, 4]


async def test_a_waiting_start_is_canceled_paused_and_signaled(suite: Suite) -> None:
    """It has begun nothing; the next one's turn comes all the same."""
    floor = Floor()
    kind = await run_by(suite, own("steered"), start={"concurrency": 1})
    async with Client(suite.grpc_address) as client, Worker(client, {kind: floor}, slots=20):
        first, second, third, fourth = await of(client, kind, 4)
        await floor.until(1)
        await second.cancel("not needed")
        await third.pause("look")
        with pytest.raises(WrongState, match="is pending"):
            await fourth.skip_node("only")
        floor.let_go()
        await first.result(PATIENCE_S)

        async def begun() -> bool:
            return (await third.describe()).hold is None

        await until("its turn has come", begun, within_s=PATIENCE_S)
        assert (await third.describe()).status == "paused"
        assert (await fourth.describe()).status == "pending"
        await third.resume()
        await floor.let_all_go([third, fourth])
        assert (await second.describe()).status == "canceled"
        assert not any(node.attempts for node in (await second.describe()).nodes)


async def test_a_start_beside_one_that_runs_is_refused(suite: Suite) -> None:
    """By REST, with the execution that runs; the same request id is answered as before."""
    floor = Floor()
    start = {"key": KEY, "concurrency": 1, "onConflict": "REJECT"}
    kind = await run_by(suite, own("refused"), start=start)
    async with Client(suite.grpc_address) as client, Worker(client, {kind: floor}, slots=20):
        handle = await client.start(kind, {"customer": "a"}, request_id=f"{kind}-1")
        answer = await execute(suite, kind, {"customer": "a"})
        assert refusal(answer) == (409, "START_REJECTED"), answer.text
        assert handle.id in answer.text
        again = await client.start(kind, {"customer": "a"}, request_id=f"{kind}-1")
        assert (again.id, again.created) == (handle.id, False)
        await floor.let_all_go([handle])
        after = await client.start(kind, {"customer": "a"})
        await floor.let_all_go([after])


async def test_a_start_is_answered_with_the_one_that_runs(suite: Suite) -> None:
    """A singleton: many callers, also over one session, and all have its result."""
    floor = Floor()
    kind = await run_by(suite, own("single"), start={"concurrency": 1, "onConflict": "JOIN"})
    async with (
        Client(suite.grpc_address) as client,
        Worker(client, {kind: floor}, slots=20),
        client.session() as session,
    ):
        results = [asyncio.create_task(session.run(kind, {"n": 1})) for _ in range(5)]
        await floor.until(1)
        handle = await client.start(kind, {"n": 2})
        assert not handle.created
        said = await command(suite, "start", kind)
        assert said.out.strip() == handle.id
        assert "no new execution" in said.err
        floor.let_go()
        assert [await each for each in results] == [{"n": 1}] * 5
    assert floor.most == 1
    assert len(floor.order) == 1


async def test_the_newest_start_takes_the_place_of_the_one_that_runs(suite: Suite) -> None:
    """Which is canceled, and says by whom it was replaced."""
    floor = Floor()
    start = {"key": KEY, "concurrency": 1, "onConflict": "REPLACE"}
    kind = await run_by(suite, own("replaced"), start=start)
    async with Client(suite.grpc_address) as client, Worker(client, {kind: floor}, slots=20):
        first, second, third = await of(client, kind, 3)
        await status(first, "canceled")
        await status(second, "canceled")
        canceled = [e async for e in first.events() if e.type == "WorkflowCanceled"]
        assert "replaced by" in canceled[0].data["reason"]
        await status(third, "running")
        await floor.let_all_go([third])


async def test_a_start_begins_later(suite: Suite) -> None:
    """The command says when; it is canceled, awaited and explained like any other."""
    floor = Floor()
    policy = {"delay": "1s"}
    kind = await run_by(suite, own("later"), start=policy)
    async with Client(suite.grpc_address) as client, Worker(client, {kind: floor}, slots=20):
        began = time.monotonic()
        said = await command(suite, "start", kind)
        assert "waits to begin" in said.err
        handle = client.handle(said.out.strip())
        why = (await suite.get(f"/api/v1/executions/{handle.id}/explain")).json
        assert [each["cause"] for each in why["findings"]] == ["START_DELAY"]
        assert why["findings"][0]["until"] == why["nextAt"]
        await floor.let_all_go([handle])
        assert time.monotonic() - began >= 1.0
        trace = (await suite.get(f"/api/v1/executions/{handle.id}/trace")).json
        assert trace["bottleneck"]["reason"] == "start"
        at = (await suite.get(f"/api/v1/executions/{handle.id}/state?at=2")).json
        assert (at["status"], at["hold"]) == ("pending", "delay")
        await replays(client, kind, handle.id, policy)


async def test_many_starts_become_one_when_it_is_quiet(suite: Suite) -> None:
    """It runs with the last input; each of the others is told its id."""
    floor = Floor()
    policy = {"key": KEY, "debounce": "700ms"}
    kind = await run_by(suite, own("quiet"), start=policy)
    async with Client(suite.grpc_address) as client, Worker(client, {kind: floor}, slots=20):
        handles = await of(client, kind, 4)
        assert [handle.created for handle in handles] == [True, False, False, False]
        (only,) = {handle.id for handle in handles}
        await floor.let_all_go([client.handle(only)])
        assert floor.order == [{"customer": "a", "n": 3}]
        await replays(client, kind, only, policy)
        another = await client.start(kind, {"customer": "a", "n": 9})
        assert another.id != only
        await floor.let_all_go([another])


async def test_the_last_of_starts_that_come_at_once_is_the_input(suite: Suite) -> None:
    """None waits for the answer of the one before; of many keys each keeps its last input."""
    seen: dict[str, list[int]] = {}

    async def take(value: Any, _context: Any = None) -> None:
        seen.setdefault(value["customer"], []).append(value["n"])

    kind = await run_by(suite, own("burst"), start={"key": KEY, "debounce": "700ms"})
    inputs = [{"customer": f"c{c}", "n": n} for n in range(6) for c in range(15)]
    async with (
        Client(suite.grpc_address) as client,
        Worker(client, {kind: take}, slots=20),
        client.session() as session,
    ):
        calls = [session.submit(kind, each) for each in inputs]
        await asyncio.gather(*(call.result() for call in calls))
    assert seen == {f"c{c}": [5] for c in range(15)}


async def test_a_start_soon_after_another_is_the_same(suite: Suite) -> None:
    """Also after that one has ended."""
    floor = Floor()
    kind = await run_by(suite, own("window"), start={"key": KEY, "dedupWindow": "2s"})
    async with Client(suite.grpc_address) as client, Worker(client, {kind: floor}, slots=20):
        (handle,) = await of(client, kind, 1)
        await floor.let_all_go([handle])
        again = await client.start(kind, {"customer": "a", "n": 1})
        assert (again.id, again.created) == (handle.id, False)

        async def created() -> bool:
            later = await client.start(kind, {"customer": "a", "n": 2})
            if later.created:
                await floor.let_all_go([later])
            return later.created

        await until("the window is over", created, within_s=PATIENCE_S)


async def test_children_and_reruns_have_a_turn_too(suite: Suite) -> None:
    """A parent waits with its child; a repeat is an execution of its own."""
    floor = Floor()
    kind = await run_by(suite, own("below"), start={"concurrency": 1})
    call = {"workflow": kind, "input": {"n": "{{input.n}}"}}
    above = own("above")
    await applied(suite, workflow(above, {"id": "child", "subworkflow": call}))
    async with Client(suite.grpc_address) as client, Worker(client, {kind: floor}, slots=20):
        parents = [await client.start(above, {"n": n}) for n in range(3)]
        await floor.until(1)
        await floor.let_all_go(parents)
        assert floor.most == 1
        (last,) = await of(client, kind, 1)
        await floor.let_all_go([last])
        first = await client.start(kind, {"n": 5})
        again = await last.rerun()
        assert (await again.describe()).hold is not None
        await floor.let_all_go([first, again])
    assert floor.most == 1


async def calling(suite: Suite, kind: str, **call: Any) -> str:
    """A workflow whose one task is another workflow."""
    above = own("above")
    task = {"id": "child", "subworkflow": {"workflow": kind, "input": "{{input}}", **call}}
    await applied(suite, workflow(above, task, output="{{tasks.child.output}}"))
    return above


async def waits_for(suite: Suite, handle: Handle, child: Handle) -> None:
    """Returns once its task waits for this execution, which knows it."""

    async def asked() -> bool:
        shown = (await suite.get(f"/api/v1/executions/{child.id}/history")).json["events"]
        joins = [event["data"] for event in shown if event["type"] == "ExecutionJoined"]
        return handle.id in [each["by"] for each in joins]

    await until(f"{handle.id} waits for {child.id}", asked, within_s=PATIENCE_S)
    (node,) = (await handle.describe()).nodes
    assert node.child_execution_id == child.id


async def test_a_child_that_another_execution_answers_is_waited_for(suite: Suite) -> None:
    """Its output is that of the task; a cancel of one that waits does not reach it."""
    floor = Floor()
    kind = await run_by(suite, own("taken"), start={"concurrency": 1, "onConflict": "JOIN"})
    above = await calling(suite, kind)
    async with Client(suite.grpc_address) as client, Worker(client, {kind: floor}, slots=20):
        (single,) = await of(client, kind, 1)
        await floor.until(1)
        first, second, third = [await client.start(above, {"n": n}) for n in range(3)]
        for handle in (first, second, third):
            await waits_for(suite, handle, single)
        why = (await suite.get(f"/api/v1/executions/{second.id}/explain")).json
        assert single.id in str(why["findings"])
        await first.cancel("not needed")
        await status(first, "canceled")
        assert (await single.describe()).status == "running"
        floor.let_go()
        expected = {"customer": "a", "n": 0}
        assert await second.result(PATIENCE_S) == await third.result(PATIENCE_S) == expected
        assert (await second.describe()).parent_id == ""
        assert (await single.describe()).parent_id == ""
        await replays(client, kind, single.id, {"concurrency": 1, "onConflict": "JOIN"})
    assert len(floor.order) == 1


async def test_a_detached_child_joins_the_existing_execution(suite: Suite) -> None:
    """The task completes with its id; nothing begins."""
    floor = Floor()
    kind = await run_by(suite, own("taken"), start={"concurrency": 1, "onConflict": "JOIN"})
    above = await calling(suite, kind, wait=False)
    async with Client(suite.grpc_address) as client, Worker(client, {kind: floor}, slots=20):
        (single,) = await of(client, kind, 1)
        await floor.until(1)
        output = await (await client.start(above)).result(PATIENCE_S)
        assert output == {"executionId": single.id, "version": 1}
        await floor.let_all_go([single])
    assert len(floor.order) == 1


async def test_a_child_is_answered_with_one_that_has_ended(suite: Suite) -> None:
    """Within the window, with its output or its failure; and again when it is asked for twice."""
    floor = Floor()
    kind = await run_by(suite, own("window"), start={"key": KEY, "dedupWindow": "1h"})
    above = await calling(suite, kind)
    async with Client(suite.grpc_address) as client, Worker(client, {kind: floor}, slots=20):
        (ended,) = await of(client, kind, 1)
        await floor.let_all_go([ended])
        parent = await client.start(above, {"customer": "a", "n": 9})
        assert await parent.result(PATIENCE_S) == {"customer": "a", "n": 0}
        other = await client.start(kind, {"customer": "b"})
        await other.cancel("not needed")
        failed = await (await client.start(above, {"customer": "b"})).wait(PATIENCE_S)
        assert failed.failure is not None
        assert failed.failure.details["executionId"] == other.id


async def test_a_caller_waiting_for_a_chain_gets_its_last_run(suite: Suite) -> None:
    """Though it has joined the first."""
    floor, kind = Floor(), own("chain")
    task = resource("WorkflowTask", f"{kind}-task", type=kind)
    again = {
        "id": "again",
        "condition": "input.left > 0",
        "continueAsNew": {"input": {"left": "{{sub(input.left, 1)}}"}},
        "dependsOn": ["only"],
    }
    start = {"concurrency": 1, "onConflict": "JOIN"}
    only = {"id": "only", "taskRef": f"{kind}-task", "input": "{{input}}"}
    await applied(suite, task, workflow(kind, only, again, start=start, output="{{input}}"))
    above = await calling(suite, kind)
    async with Client(suite.grpc_address) as client, Worker(client, {kind: floor}, slots=20):
        first = await client.start(kind, {"left": 2})
        await floor.until(1)
        parent = await client.start(above, {"left": 0})
        await waits_for(suite, parent, first)
        await floor.let_all_go([parent])
        assert await parent.result() == {"left": 0}
    assert floor.order == [{"left": 2}, {"left": 1}, {"left": 0}]


async def test_executions_that_would_wait_for_each_other_do_not(suite: Suite) -> None:
    """What waits for a task is refused as its child, whether it is its parent or has joined it."""
    floor, single, other = Floor(), own("circle"), own("circle")
    task = resource("WorkflowTask", f"{single}-task", type=single)
    first = {"id": "first", "taskRef": f"{single}-task"}
    then = {"id": "child", "subworkflow": {"workflow": other}, "dependsOn": ["first"]}
    start = {"concurrency": 1, "onConflict": "JOIN"}
    await applied(suite, task, workflow(single, first, then, start=start))
    back = {"id": "child", "subworkflow": {"workflow": single}}
    await applied(suite, workflow(other, back, start=start))
    async with Client(suite.grpc_address) as client, Worker(client, {single: floor}, slots=20):
        for joins in (False, True):
            one = await client.start(single)
            await floor.until(1)
            waiting = [await client.start(other)] if joins else []
            for each in waiting:
                await waits_for(suite, each, one)
            floor.let_go()
            failed = await one.wait(PATIENCE_S)
            assert failed.failure is not None
            assert "which waits for this task" in failed.failure.message
            for each in waiting:
                assert (await each.wait(PATIENCE_S)).status == "failed"


async def test_a_workflow_in_code_says_when_it_begins(suite: Suite) -> None:
    """The same member, with times in seconds."""
    flow = Workflow(own("coded"), start={"concurrency": 1, "delay": 0.2})
    flow.transform("a", [])
    async with Client(suite.grpc_address) as client:
        await client.register(flow)
        handle = await client.start(flow.id)
        assert (await handle.describe()).status == "pending"
        await handle.result(PATIENCE_S)


async def test_what_contradicts_itself_is_refused_with_its_place(suite: Suite) -> None:
    """At registration, and nothing of it is stored."""
    start = {"delay": "1s", "onConflict": "JOIN"}
    wrong = workflow(own("wrong"), {"id": "a", "taskRef": "noop"}, start=start)
    answer = await apply(suite, wrong)
    assert refusal(answer) == (400, "START_POLICY_INVALID")
    assert "onConflict" in answer.text


async def test_the_example_runs(suite: Suite) -> None:
    """One execution of a customer at a time, in order."""
    answered = await example("sdk_start_policy")(suite.grpc_address)
    assert answered == [{"id": f"c{number % 2}", "change": number} for number in range(6)]
