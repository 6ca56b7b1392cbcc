"""The execution core while the database has no room left."""

import asyncio
from typing import Any

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.engine import Signal, Start, TaskEnded
from flowmesh.errors import Overloaded
from flowmesh.orchestrator.dispatch.attachment import WorkerStream
from flowmesh.orchestrator.model.commands import PendingCommand, PendingStart, Started
from flowmesh.orchestrator.model.ids import token_of
from flowmesh.orchestrator.storage.store import OrchestratorStore
from tests.integration.orchestrator.core import Core, running, until
from tests.integration.orchestrator.factories import digested
from tests.unit.engine.factories import node
from tests.unit.engine.factories import plan as undigested

ONE_STEP = digested(undigested(node("a")))
TWO_AT_ONCE = digested(undigested(node("a"), node("b")))
DONE = payload_pb2.Payload(data=b"1")
_FULL = """
create function no_room() returns trigger language plpgsql as $$ begin
    raise exception 'could not extend file' using errcode = 'disk_full';
end $$;
create trigger no_room before insert on orchestrator.outbox execute function no_room();
"""
_ROOM = "drop trigger no_room on orchestrator.outbox"


def start(core: Core) -> "asyncio.Future[Any]":
    return core.submit(
        lambda reply: PendingStart(1, Start(DONE), reply, plan=ONE_STEP, start_digest=b"digest")
    )


async def test_callers_get_an_error_and_results_wait(store: OrchestratorStore) -> None:
    """A start and a signal are refused as STORAGE_FULL; the result is taken once there is room."""
    async with running(store) as core:
        execution_id, other = await core.start(ONE_STEP), await core.start(ONE_STEP)
        await store.pool.execute(_FULL)
        waiting = core.submit(
            lambda reply: PendingCommand(execution_id, 1, TaskEnded("a", 1, output=DONE), reply)
        )

        refused = await asyncio.wait_for(start(core), 10)
        signal = await core.ask(lambda reply: PendingCommand(other, 1, Signal("go", DONE), reply))

        for answer in (refused, signal):
            assert isinstance(answer, Overloaded)
            assert answer.reason == "STORAGE_FULL"
        assert not waiting.done()
        # An answer before the commit would report an end that was never stored.
        late = await core.ask(
            lambda reply: PendingCommand(execution_id, 1, Signal("go", DONE), reply)
        )
        assert isinstance(late, Overloaded)

        await store.pool.execute(_ROOM)

        assert isinstance(await asyncio.wait_for(waiting, 10), int)
        assert isinstance(await asyncio.wait_for(start(core), 10), Started)


async def test_a_task_that_comes_back_while_there_is_no_room_goes_out_again(
    store: OrchestratorStore,
) -> None:
    """A discarded decision about its execution does not discard the task."""
    async with running(store) as core:
        execution_id = await core.start(TWO_AT_ONCE)
        dispatcher, stream = core.dispatch.dispatcher, WorkerStream()
        dispatcher.services.attach(stream, pb.AttachHello(worker_service_id="s"))
        dispatcher.services.grant(stream, [pb.Grant(set_id="x", slots=3, task_types=["work"])])
        dispatcher.pump()
        assert len(stream.out.tasks) == 2
        await store.pool.execute(_FULL)
        ended = core.submit(
            lambda reply: PendingCommand(execution_id, 1, TaskEnded("a", 1, output=DONE), reply)
        )
        await until(lambda: core.memory.uncommitted._executions)

        dispatcher.results.returned(stream, [token_of(execution_id, "b", 1)])
        await until(lambda: core.memory.states.get(execution_id) is None)
        await store.pool.execute(_ROOM)

        assert isinstance(await asyncio.wait_for(ended, 10), int)
        await until(lambda: len(stream.out.tasks) == 3)
        assert stream.out.tasks[-1].task.node == "b"
