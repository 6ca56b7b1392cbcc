"""Starts with one key at their owner, on a real database: what holds within a batch and after."""

import asyncio
from typing import Any

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import Cancel, Start, State, TaskEnded
from flowmesh.engine.state import state as s
from flowmesh.errors import Conflict, FlowmeshError, WrongState
from flowmesh.orchestrator.model.commands import (
    Answer,
    PendingCommand,
    PendingStart,
    Reply,
    Started,
)
from flowmesh.orchestrator.model.errors import Moved, StatementRefused
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.plan import Plan
from flowmesh.testing.polling import until as eventually
from tests.integration.orchestrator.core import WAIT_S, Core, running, until
from tests.integration.orchestrator.factories import digested
from tests.unit.engine.factories import node, plan

DONE = payload_pb2.Payload(data=b"1")
JOIN, REJECT, REPLACE = (
    plan_pb2.START_CONFLICT_JOIN,
    plan_pb2.START_CONFLICT_REJECT,
    plan_pb2.START_CONFLICT_REPLACE,
)


def of(**policy: Any) -> Plan:
    return digested(plan(node("a"), start=plan_pb2.StartPolicy(**policy)))


def start(plan: Plan, request_id: str = "", key: str = "", data: bytes = b"{}") -> Any:
    def made(reply: Reply) -> PendingStart:
        command = Start(payload_pb2.Payload(data=data), request_id, key=key)
        return PendingStart(1, command, reply, plan=plan, start_digest=data)

    return made


async def begun(core: Core, plan: Plan, request_id: str = "", **how: Any) -> Started:
    """As a caller's start at its owner: what was answered before is answered again."""
    made = start(plan, request_id, **how)
    known = await core.memory.starts.known(made(lambda _: None))
    answer = known or await core.ask(made)
    if isinstance(answer, FlowmeshError):
        raise answer
    assert isinstance(answer, Started)
    return answer


async def end(core: Core, execution_id: str) -> None:
    await core.ask(
        lambda reply: PendingCommand(execution_id, 1, TaskEnded("a", 1, output=DONE), reply)
    )


async def state(core: Core, execution_id: str) -> State:
    await core.memory.lock.settled(execution_id)
    found = await core.memory.states.fetch([execution_id])
    return found[execution_id].state


async def runs(core: Core, execution_id: str) -> None:
    """Returns once it has begun."""

    async def begun() -> bool:
        return (await state(core, execution_id)).hold is None

    await eventually(f"{execution_id} runs", begun, within_s=WAIT_S)


async def test_starts_of_one_batch_wait_behind_the_first(store: OrchestratorStore) -> None:
    """And begin one after the other, in the order in which they came."""
    async with running(store) as core:
        one = of(concurrency=1)
        asked = [core.submit(start(one, key="k")) for _ in range(4)]
        first, *others = [(await each).execution_id for each in asked]  # type: ignore[union-attr]
        elsewhere = await begun(core, one, key="other")

        assert (await state(core, first)).status == s.EXECUTION_RUNNING
        assert (await state(core, elsewhere.execution_id)).status == s.EXECUTION_RUNNING
        waiting = [(await state(core, each)).status for each in others]
        assert waiting == [s.EXECUTION_PENDING] * 3
        for before, after in zip([first, *others], others, strict=False):
            await end(core, before)
            await runs(core, after)


async def test_those_that_wait_begin_under_the_next_owner(store: OrchestratorStore) -> None:
    """Everything follows from the rows: no slot is lost, and no execution begins twice."""
    one = of(concurrency=1)
    async with running(store) as core:
        ids = [(await begun(core, one, key="k")).execution_id for _ in range(3)]
    async with running(store) as core:
        assert (await state(core, ids[1])).hold is not None
        await end(core, ids[0])
        await runs(core, ids[1])
        assert (await state(core, ids[2])).hold is not None
        await core.ask(lambda reply: PendingCommand(ids[1], 1, Cancel(), reply))
        await runs(core, ids[2])
    async with running(store) as core:
        await end(core, ids[2])
        assert not await store.starts.entries([1], now_us=0)
        assert not core.memory.starts.groups.entries


async def test_an_unprocessed_end_lets_the_next_start_begin(store: OrchestratorStore) -> None:
    """The owner died between the two commits."""
    one = of(concurrency=1)
    async with running(store) as core:
        ids = [(await begun(core, one)).execution_id for _ in range(2)]
        core.memory.starts._send_next_steps = lambda group: None  # type: ignore[method-assign]
        await end(core, ids[0])
    async with running(store) as core:
        await runs(core, ids[1])


async def test_what_was_looked_up_under_another_owner_is_looked_up_again(
    store: OrchestratorStore,
) -> None:
    """He may have answered it with an execution that another one has followed since."""
    one = of(concurrency=1, on_conflict=JOIN)
    async with running(store) as core:
        epoch = core.memory.ownership.epochs[1]

        def looked_up(at: int) -> Any:
            def made(reply: Reply) -> PendingStart:
                work: PendingStart = start(one)(reply)
                work.epoch = at
                return work

            return made

        assert isinstance(await core.ask(looked_up(epoch)), Started)
        assert isinstance(await core.ask(looked_up(epoch + 1)), Moved)


async def test_a_start_joins_the_one_that_runs(store: OrchestratorStore) -> None:
    """Its repeat is answered alike, also when that one has ended."""
    one = of(concurrency=1, on_conflict=JOIN)
    async with running(store) as core:
        asked = [core.submit(start(one, f"r{n}")) for n in range(3)]
        answers: list[Any] = [await each for each in asked]
        first = answers[0].execution_id
        assert [(each.execution_id, each.created) for each in answers] == [
            (first, True),
            (first, False),
            (first, False),
        ]
        await end(core, first)
    async with running(store) as core:
        assert await begun(core, one, "r1") == Started(first, created=False)
        assert (await begun(core, one, "r9")).created


async def test_a_start_is_refused_beside_the_one_that_runs(store: OrchestratorStore) -> None:
    """The error names the execution; a repeat of the first start is not rejected."""
    one = of(concurrency=1, on_conflict=REJECT)
    async with running(store) as core:
        asked = [core.submit(start(one, f"r{n}")) for n in range(2)]
        first: Any = await asked[0]
        refusal = await asked[1]
        assert isinstance(refusal, WrongState)
        assert refusal.reason == "START_REJECTED"
        assert first.execution_id in refusal.message
        assert await begun(core, one, "r0") == Started(first.execution_id, created=False)
        await end(core, first.execution_id)
        assert (await begun(core, one, "r1")).created


async def test_the_newest_takes_the_place_of_the_oldest(store: OrchestratorStore) -> None:
    """All those before it are canceled."""
    one = of(concurrency=1, on_conflict=REPLACE)
    async with running(store) as core:
        asked = [core.submit(start(one)) for _ in range(3)]
        ids = [(await each).execution_id for each in asked]  # type: ignore[union-attr]
        await runs(core, ids[2])

        async def canceled() -> bool:
            states = [await state(core, gone) for gone in ids[:2]]
            return all(each.status == s.EXECUTION_CANCELED for each in states)

        await eventually("those before it are canceled", canceled, within_s=WAIT_S)


async def test_a_debounced_start_gives_its_input_to_the_one_that_waits(
    store: OrchestratorStore,
) -> None:
    """In the batch of the first, and later."""
    one = of(debounce_ms=60_000)
    async with running(store) as core:
        asked = [core.submit(start(one, f"r{n}", data=b"%d" % n)) for n in range(3)]
        answers: list[Any] = [await each for each in asked]
        first = answers[0].execution_id
        assert {each.execution_id for each in answers} == {first}
        assert [each.created for each in answers] == [True, False, False]
        later = await begun(core, one, "r3", data=b"3")
        assert later == Started(first, created=False)
        assert (await state(core, first)).input.data == b"3"
    async with running(store) as core:
        assert await begun(core, one, "r3", data=b"3") == later
        assert await begun(core, one, "r4", data=b"4") == later


async def test_starts_of_a_line_are_placed_in_the_order_in_which_they_came(
    store: OrchestratorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long each is looked up, the last one's input stays."""
    one = of(debounce_ms=60_000)
    async with running(store) as core:
        rows, last = core.queries.rows, asyncio.Event()

        async def first_is_slow(name: str, **given: Any) -> Any:
            if given.get("request_ids") == ["r0"]:
                await last.wait()
            found = await rows(name, **given)
            if given.get("request_ids") == ["r2"]:
                last.set()
            return found

        monkeypatch.setattr(core.queries, "rows", first_is_slow)
        asked = (begun(core, one, f"r{n}", data=b"%d" % n) for n in range(3))
        answers = await asyncio.gather(*asked)
        assert [each.created for each in answers] == [True, False, False]
        assert (await state(core, answers[0].execution_id)).input.data == b"2"


async def test_a_start_soon_after_another_is_answered_with_its_execution(
    store: OrchestratorStore,
) -> None:
    """Also when that one has ended, and under another owner."""
    one = of(dedup_window_ms=60_000)
    async with running(store) as core:
        first = await begun(core, one, key="k")
        await end(core, first.execution_id)
        assert await begun(core, one, key="k") == Started(first.execution_id, created=False)
        assert (await begun(core, one, key="other")).created
    async with running(store) as core:
        again = await begun(core, one, key="k")
        assert again == Started(first.execution_id, created=False)
        core.clock.ahead_ms = 70_000
        assert (await begun(core, one, key="k")).created


async def test_a_start_that_comes_twice_in_a_batch_is_answered_once(
    store: OrchestratorStore,
) -> None:
    """Although what would answer it is another execution by the second time."""
    one = of(dedup_window_ms=60_000)
    async with running(store) as core:
        first = await begun(core, one)
        await end(core, first.execution_id)

        def rerun(reply: Reply) -> PendingStart:
            work: PendingStart = start(one, "rerun")(reply)
            work.start.origin = execution_pb2.Origin(execution_id=first.execution_id)
            return work

        made = (start(one, "r"), rerun, start(one, "r"), start(one, "r", data=b"other"))
        asked = [core.submit(each) for each in made]
        once, again, twice, reused = [await each for each in asked]
        assert isinstance(again, Started)
        assert again.created
        assert once == twice == Started(first.execution_id, created=False)
        assert isinstance(reused, Conflict)
        assert await begun(core, one, "r") == once
    async with running(store) as core:
        assert await begun(core, one, "r") == once


async def test_a_batch_that_the_database_refuses_leaves_no_start_queued(
    store: OrchestratorStore,
) -> None:
    """Its starts are placed anew, each by itself."""
    one = of(concurrency=1)
    async with running(store) as core:
        line = core.memory.line
        commit, refused = line.commit, []

        async def refusing(batch: Any, epochs: Any) -> Any:
            if len(batch.starts) > 1:
                refused.append(batch)
                raise StatementRefused("test", by_content=True)
            return await commit(batch, epochs)

        line.commit = refusing  # type: ignore[method-assign]
        asked = [core.submit(start(one)) for _ in range(3)]
        ids: list[str] = [(await each).execution_id for each in asked]  # type: ignore[union-attr]
        assert refused
        groups = core.memory.starts.groups
        await until(lambda: len(groups.entries) == 3)
        (only,) = groups.by_key.values()
        assert sorted(only.running) + [each.execution_id for each in only.queue] == sorted(ids)


async def test_a_request_id_that_is_taken_takes_no_place(store: OrchestratorStore) -> None:
    """Neither does the start that would have been answered by it wait for ever."""
    one, free = of(concurrency=1), digested(plan(node("a")))
    async with running(store) as core:
        answer: Answer | Exception = await core.ask(start(free, "r"))
        assert isinstance(answer, Started)
        again, other = core.submit(start(one, "r")), core.submit(start(one, "s"))
        assert await again == Started(answer.execution_id, created=False)
        behind: Any = await other
        await runs(core, behind.execution_id)
