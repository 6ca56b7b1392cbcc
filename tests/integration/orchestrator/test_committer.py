"""The committer after errors: all senders get an answer, and it continues."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from flowmesh.api.common.v1 import payload_pb2, search_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine import Asked, SetAttributes, Signal, Start, TaskEnded, TimersDue
from flowmesh.engine.state import state as s
from flowmesh.errors import FlowmeshError, Invalid, Overloaded, Unavailable, WrongState
from flowmesh.orchestrator.model.commands import PendingCommand, PendingStart, Reply, Started
from flowmesh.orchestrator.model.errors import IncarnationOver, Moved, StatementRefused
from flowmesh.orchestrator.storage.batch import CommitBatch
from flowmesh.orchestrator.storage.commit_connection import CommitConnection
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.plan import Plan
from tests.integration.orchestrator.conftest import NewNode
from tests.integration.orchestrator.core import Core, FailingQueries, MemoryBus, running, until
from tests.integration.orchestrator.factories import TWO_STEPS, digested, started
from tests.unit.engine.factories import node, plan

SIDE_BY_SIDE = digested(plan(node("a"), node("b")))
DONE = payload_pb2.Payload(data=b"1")
UNFORESEEN = "\ud800"
"""A text that no event can hold: the engine fails on it as it would on a fault of its own."""


def start(
    reply: Reply, request_id: str = "", of: Plan = TWO_STEPS, partition: int = 1
) -> PendingCommand:
    command = Start(payload_pb2.Payload(data=b"{}"), request_id)
    return PendingStart(partition, command, reply, plan=of, start_digest=b"digest")


def result(execution_id: str, node: str = "a", worker_id: str = "w") -> Any:
    command = TaskEnded(node, 1, output=DONE, worker_id=worker_id)
    return lambda reply: PendingCommand(execution_id, 1, command, reply)


async def test_a_result_the_engine_fails_on_fails_its_node_and_nothing_else(
    store: OrchestratorStore,
) -> None:
    """Not the process: the worker would send it again to the next one."""
    async with running(store) as core:
        poisoned, sound = await core.start(SIDE_BY_SIDE), await core.start(TWO_STEPS)
        incarnation = core.memory.ownership.incarnation

        answers = await asyncio.gather(
            core.ask(lambda reply: PendingCommand(poisoned, 1, Signal("before", DONE), reply)),
            core.ask(result(poisoned, worker_id=UNFORESEEN)),
            core.ask(result(sound)),
            core.ask(lambda reply: PendingCommand(poisoned, 1, Signal("after", DONE), reply)),
        )

        assert all(isinstance(answer, int) for answer in answers)
        assert core.memory.ownership.incarnation == incarnation
        entry = core.memory.states.get(poisoned)
        assert entry is not None
        failed = entry.state.scope.nodes[0].failure
        assert failed is not None
        assert getattr(failed, "class") == "POISON"
        assert [signal.name for signal in entry.state.signals] == ["before", "after"]


async def test_a_start_the_engine_fails_on_is_refused(store: OrchestratorStore) -> None:
    """And equal ones beside it, each for itself."""
    async with running(store) as core:

        def poison(reply: Reply) -> PendingCommand:
            command = Start(DONE, "key", actor=UNFORESEEN)
            return PendingStart(1, command, reply, plan=TWO_STEPS, start_digest=b"digest")

        answers = await asyncio.gather(core.ask(poison), core.ask(poison))

        assert [type(answer) for answer in answers] == [FlowmeshError, FlowmeshError]
        assert await core.start(TWO_STEPS)


async def test_every_caller_is_answered_when_a_commit_fails_unexpectedly(
    store: OrchestratorStore,
) -> None:
    """Frames of results are acknowledged in order: one without an answer would stop them all."""
    async with running(store) as core:
        execution_id = await core.start(TWO_STEPS)
        incarnation = core.memory.ownership.incarnation
        commit = core.memory.line.commit

        async def broken(*_: object) -> Any:
            core.memory.line.commit = commit  # type: ignore[method-assign]
            raise RuntimeError

        core.memory.line.commit = broken  # type: ignore[method-assign, assignment]
        answer = await core.ask(result(execution_id))

        assert isinstance(answer, Unavailable)
        await until(lambda: core.memory.ownership.incarnation > incarnation)
        await until(lambda: 1 in core.memory.ownership.epochs)
        assert isinstance(await core.ask(result(execution_id)), int)


async def test_a_value_that_no_column_takes_is_refused_and_not_sent_for_ever(
    store: OrchestratorStore,
) -> None:
    """The committer serves all callers: it must not wait for a commit that cannot succeed."""
    for_ever = Plan(TWO_STEPS.message, TWO_STEPS.nodes, None)
    for_ever.timeout_us = 1 << 63
    async with running(store) as core:
        refused, created = await asyncio.gather(
            core.ask(lambda reply: start(reply, of=for_ever)), core.ask(start)
        )
        assert isinstance(refused, FlowmeshError)
        assert refused.reason == "INTERNAL"
        assert isinstance(created, Started)


@asynccontextmanager
async def rejecting(store: OrchestratorStore) -> AsyncIterator[None]:
    """Let the database reject each history with `poison` in it, unless its execution fails."""
    await store.pool.execute(
        """
        create function orchestrator.reject_poison() returns trigger language plpgsql as $$
        begin
            if position('poison'::bytea in new.events) > 0
               and position('POISON'::bytea in new.events) = 0 then
                raise exception using errcode = '22000';
            end if;
            return new;
        end $$;
        create trigger reject_poison before insert on orchestrator.history
            for each row execute function orchestrator.reject_poison();
        """
    )
    try:
        yield
    finally:
        await store.pool.execute("drop function orchestrator.reject_poison cascade")


async def test_a_result_the_database_rejects_fails_its_node_and_holds_up_no_other(
    store: OrchestratorStore,
) -> None:
    """In one batch with 40 results of other executions, which are all stored."""
    async with running(store) as core, rejecting(store):
        ids = [await core.start(TWO_STEPS) for _ in range(41)]
        output = payload_pb2.Payload(data=b'"poison"')

        def bad(reply: Reply) -> PendingCommand:
            return PendingCommand(ids[20], 1, TaskEnded("a", 1, output=output), reply)

        asked = [result(each) for each in ids]
        asked[20] = bad
        answers = await asyncio.gather(*(core.ask(each) for each in asked))

        assert all(isinstance(answer, int) for answer in answers)
        rows = await store.pool.fetch(
            "select id from orchestrator.executions where status = $1", s.EXECUTION_FAILED
        )
        assert [row["id"] for row in rows if row["id"] in ids] == [ids[20]]


async def test_an_execution_whose_timer_cannot_be_stored_fails(store: OrchestratorStore) -> None:
    """After bounded tries, with the reason; it does not wait for ever."""
    waits = node("poison", kind=plan_pb2.NODE_KIND_TIMER, delay_ms=1)
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(running(store))
        execution_id = await core.start(digested(plan(waits)))
        other = await core.start(TWO_STEPS)
        await stack.enter_async_context(rejecting(store))

        answers = await asyncio.gather(
            core.ask(lambda reply: PendingCommand(execution_id, 1, TimersDue(), reply)),
            core.ask(result(other)),
        )

        assert all(isinstance(answer, int) for answer in answers)
        status = await store.pool.fetchval(
            "select status from orchestrator.executions where id = $1", execution_id
        )
        assert status == s.EXECUTION_FAILED


async def test_a_database_that_breaks_while_a_taken_request_id_is_looked_up(
    store: OrchestratorStore,
) -> None:
    """The caller may ask again; the process stays what it is."""
    async with running(store) as core:
        first = await core.ask(lambda reply: start(reply, "key"))
        incarnation = core.memory.ownership.incarnation
        core.queries.failures["started_under"] = 1

        assert isinstance(await core.ask(lambda reply: start(reply, "key")), Unavailable)
        again = await core.ask(lambda reply: start(reply, "key"))

        assert isinstance(first, Started)
        assert again == Started(first.execution_id, created=False)
        assert core.memory.ownership.incarnation == incarnation


async def test_outbox_rows_of_a_live_incarnation_are_its_own_to_delete(
    store: OrchestratorStore,
) -> None:
    """It may need the last row to learn a commit's outcome; rows of a dead incarnation are free."""

    async def rows_of(incarnation: int) -> int:
        count: int = await store.pool.fetchval(
            "select count(*) from orchestrator.outbox where incarnation = $1", incarnation
        )
        return count

    async with running(store) as other:
        await other.start(TWO_STEPS)
        incarnation = other.memory.ownership.incarnation
        core = Core(FailingQueries(store.pool), MemoryBus())
        await core.life.incarnation.begin()
        core.run()
        await other.life.keeper.renew()
        await core.life.keeper.renew()
        partition = next(iter(core.memory.ownership.epochs))
        core.memory.piggyback.mark_served(incarnation, 1)
        await core.start(TWO_STEPS, partition)
        assert await rows_of(incarnation) == 1

        await store.partitions.end_lease(incarnation)
        await core.life.keeper.renew()
        await core.start(TWO_STEPS, partition)
        assert await rows_of(incarnation) == 0
        await core.close()


async def test_a_commit_of_unknown_outcome_whose_outbox_row_is_gone_ends_the_incarnation(
    new_node: NewNode, store: OrchestratorStore
) -> None:
    """The outcome is unknown: continue as a new incarnation, from the rows."""
    owner = await new_node()
    await owner.claim()
    batch = CommitBatch()
    started(batch, 1)
    await owner.commit(batch)
    await store.pool.execute("delete from orchestrator.outbox")
    again = CommitConnection(store.pool, store.outbox)
    await again.begin(owner.line.incarnation)
    with pytest.raises(IncarnationOver):
        await again.commit(batch, owner.epochs)
    await again.close()


async def test_a_commit_that_comes_too_late_does_not_touch_what_was_regained(
    store: OrchestratorStore,
) -> None:
    """Another process owned the partition meanwhile; this one owns it again at a new epoch."""
    async with running(store) as core:
        execution_id = await core.start(TWO_STEPS)
        commit = core.memory.line.commit
        gate, at_commit = asyncio.Event(), asyncio.Event()

        async def slow(*arguments: Any) -> Any:
            at_commit.set()
            await gate.wait()
            return await commit(*arguments)

        core.memory.line.commit = slow  # type: ignore[method-assign, assignment]
        late = core.submit(result(execution_id))
        await at_commit.wait()
        await store.pool.execute("update orchestrator.partitions set epoch = epoch + 2")
        await core.life.keeper.renew()
        gate.set()

        assert isinstance(await late, Moved)
        assert 1 in core.memory.ownership.epochs
        assert isinstance(await core.ask(result(execution_id)), int)


async def test_callers_are_refused_when_too_much_waits(store: OrchestratorStore) -> None:
    """Memory stays bounded while the database is away, also with large payloads."""
    async with running(store) as core:
        # So many that none gets more bytes of signals than it may.
        ids = [await core.start(TWO_STEPS) for _ in range(10)]
        gate, at_commit = asyncio.Event(), asyncio.Event()
        commit = core.memory.line.commit

        async def away(*arguments: Any) -> Any:
            at_commit.set()
            await gate.wait()
            return await commit(*arguments)

        core.memory.line.commit = away  # type: ignore[method-assign, assignment]
        large = payload_pb2.Payload(data=b"x" * (256 << 10))

        def signal(execution_id: str) -> Any:
            return lambda reply: PendingCommand(execution_id, 1, Signal("go", large), reply)

        first = core.submit(signal(ids[0]))
        await at_commit.wait()
        waiting = [core.submit(signal(execution_id)) for execution_id in ids * 30]
        last = core.submit(result(ids[0]))

        refused = [one for one in waiting if one.done()]
        assert 0 < len(refused) < 300
        assert all(isinstance(one.result(), Overloaded) for one in refused)
        gate.set()
        answers = await asyncio.gather(first, last, *waiting)
        assert sum(isinstance(answer, int) for answer in answers) == 302 - len(refused)


async def test_a_signal_is_answered_with_its_own_event_also_when_it_is_repeated(
    store: OrchestratorStore,
) -> None:
    """Independent of other content of the commit and of later commits."""
    async with running(store) as core:
        execution_id = await core.start(TWO_STEPS)

        def signal(name: str) -> Any:
            command = Signal(name, DONE, request_id=name)
            return lambda reply: PendingCommand(execution_id, 1, command, reply)

        one, two, done = await asyncio.gather(
            core.ask(signal("one")), core.ask(signal("two")), core.ask(result(execution_id))
        )
        assert isinstance(one, int)
        assert isinstance(done, int)
        assert two == one + 1
        assert done > two
        assert await core.ask(signal("one")) == one


async def test_a_signal_whose_payload_is_not_stored_is_refused(store: OrchestratorStore) -> None:
    """If it were accepted, every later read would fail."""
    async with running(store) as core:
        execution_id = await core.start(TWO_STEPS)
        request = pb.SignalExecutionRequest(execution_id=execution_id, name="go")
        request.payload.reference.digest = "0" * 64
        with pytest.raises(WrongState) as refused:
            await core.calls.changes.signal(request, forwarded=False)
        assert refused.value.reason == "PAYLOAD_MISSING"
        endless = pb.SignalExecutionRequest(execution_id=execution_id, name="go", actor="x" * 5_000)
        with pytest.raises(Invalid, match="actor"):
            await core.calls.changes.signal(endless, forwarded=False)
        stored = await core.memory.payloads.put("default", "", b"1")
        request.payload.CopyFrom(stored)
        assert (await core.calls.changes.signal(request, forwarded=False)).sequence


async def test_a_payload_that_is_about_to_be_referred_to_is_not_collected(
    store: OrchestratorStore,
) -> None:
    """However long it was unused; a collected one is missing even if its digest is cached."""
    async with running(store) as core:
        core.definitions.plans["w"] = TWO_STEPS
        used, unused = [
            await core.memory.payloads.put("default", "", data) for data in (b"1", b"2")
        ]
        for payload in (used, unused):
            await core.memory.payloads.read("default", payload.reference.digest)
        await store.pool.execute("update payloads set used_at = now() - interval '25 hours'")
        start = pb.StartExecutionRequest(workflow_id="w", input=used)
        planned = await core.calls.starts.prepare(start)
        assert await store.payloads.collect() == 1
        await core.ask(lambda reply: planned._replace(partition=1).command((), reply))

        start.input.CopyFrom(unused)
        with pytest.raises(WrongState) as refused:
            await core.calls.starts.prepare(start)
        assert refused.value.reason == "PAYLOAD_MISSING"


async def test_a_command_that_cannot_be_written_fails_alone(store: OrchestratorStore) -> None:
    """Its sender gets an error; the rest of the batch is committed by the same incarnation."""
    async with running(store) as core:
        ids = [await core.start(TWO_STEPS), await core.start(TWO_STEPS)]
        incarnation = core.memory.ownership.incarnation
        unfit = SetAttributes((search_pb2.SearchValue(name="attr.due", time_us=2**62),))
        go = Signal("go", payload_pb2.Payload(data=b"1"))
        asked: list[tuple[str, Asked]] = [
            (ids[0], go),
            (ids[0], unfit),
            (ids[1], go),
            (ids[0], go),
            (ids[1], unfit),
        ]

        def sent(execution_id: str, command: Asked) -> Any:
            return core.ask(lambda reply: PendingCommand(execution_id, 1, command, reply))

        answers = await asyncio.gather(*(sent(*one) for one in asked))

        told = [isinstance(answer, int) for answer in answers]
        assert told == [True, False, True, True, False]
        assert {getattr(answers[at], "reason", "") for at in (1, 4)} == {"INTERNAL"}
        assert core.memory.ownership.incarnation == incarnation
        assert isinstance(await sent(ids[0], go), int)


async def test_a_timer_survives_refused_commits(
    store: OrchestratorStore,
) -> None:
    """A due timer fires as soon as the database accepts it; a caller gets an error at once."""
    napping = digested(plan(node("nap", kind=plan_pb2.NODE_KIND_TIMER, delay_ms=1)))
    async with running(store) as core:
        execution_id = await core.start(napping)
        line = core.memory.line
        refused: list[CommitBatch] = []
        commit = line.commit

        async def refusing(batch: CommitBatch, epochs: Any) -> Any:
            if len(refused) < 3:
                refused.append(batch)
                raise StatementRefused("test", by_content=False)
            return await commit(batch, epochs)

        line.commit = refusing  # type: ignore[method-assign]
        due = core.submit(lambda reply: PendingCommand(execution_id, 1, TimersDue(), reply))
        go = Signal("go", payload_pb2.Payload(data=b"1"))
        told = await core.ask(lambda reply: PendingCommand(execution_id, 1, go, reply))
        assert isinstance(told, Unavailable)
        assert isinstance(await asyncio.wait_for(due, 10), int)
        assert len(refused) == 3
        entry = core.memory.states.get(execution_id)
        assert entry is not None
        assert entry.state.ended
