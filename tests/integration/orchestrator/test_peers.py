"""Streams between orchestrators: starts, ends, and watches that are canceled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine import TaskEnded
from flowmesh.errors import Unavailable
from flowmesh.orchestrator.api.session import Session
from flowmesh.orchestrator.api.session_stream import answers
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.ownership.peers import Peer
from flowmesh.orchestrator.services import sessions_of
from flowmesh.orchestrator.storage.store import OrchestratorStore
from tests.integration.orchestrator.core import Core, running, until
from tests.integration.orchestrator.factories import digested
from tests.unit.engine.factories import node, plan

ONE_STEP = digested(plan(node("a")))
COMPLETED = execution_pb2.EXECUTION_STATUS_COMPLETED


@asynccontextmanager
async def peer_of(core: Core) -> AsyncIterator[tuple[Peer, Session]]:
    """The other end of a stream to an orchestrator, and how that one serves it."""
    session = sessions_of(core.composed).open(forwarded=True)

    class Stub:
        def Session(self, requests: Any, metadata: Any) -> Any:
            return answers(session, requests)

    stub: Any = Stub()
    peer = Peer(stub)
    task = asyncio.create_task(peer.run())
    try:
        yield peer, session
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def watch_of(execution_id: str, **wanted: bool) -> pb.SessionWatch:
    return pb.SessionWatch(namespace="default", execution_id=execution_id, **wanted)


async def end(core: Core, execution_id: str) -> None:
    command = TaskEnded("a", 1, output=payload_pb2.Payload(data=b"1"))
    partition = partition_of(execution_id)
    assert partition is not None
    await core.ask(lambda reply: PendingCommand(execution_id, partition, command, reply))


async def test_a_start_and_its_end(store: OrchestratorStore) -> None:
    """As if the execution were one's own."""
    async with running(store) as core, peer_of(core) as (peer, _):
        core.definitions.plans["w"] = ONE_STEP
        started = await peer.start(pb.StartExecutionRequest(workflow_id="w", request_id="r"))
        again = await peer.start(pb.StartExecutionRequest(workflow_id="w", request_id="r"))
        assert (started.created, again.created) == (True, False)
        waiting = asyncio.create_task(peer.outcome(watch_of(started.execution_id)))
        await end(core, started.execution_id)
        assert (await waiting).status == COMPLETED


async def test_an_end_with_the_whole_execution(store: OrchestratorStore) -> None:
    """A forwarding orchestrator reads nothing from the rows."""
    async with running(store) as core, peer_of(core) as (peer, _):
        execution_id = await core.start(ONE_STEP)
        wanted: tuple[dict[str, Any], ...] = (
            {},
            {"want_execution": True},
            {"want_execution": True, "without_nodes": True},
        )
        waiting = [
            asyncio.create_task(peer.outcome(watch_of(execution_id, **each))) for each in wanted
        ]
        await end(core, execution_id)
        bare, whole, short = await asyncio.gather(*waiting)
        assert not bare.HasField("execution")
        assert [node.id for node in whole.execution.nodes] == ["a"]
        assert not short.execution.nodes
        assert short.execution.execution_id == execution_id
        assert whole.execution.output == whole.output != payload_pb2.Payload()


async def test_a_caller_that_stops_waiting_leaves_nothing_behind(store: OrchestratorStore) -> None:
    """Neither here nor there: polls of an execution that sleeps for days would fill the stream."""
    async with running(store) as core, peer_of(core) as (peer, session):
        execution_id = await core.start(ONE_STEP)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(peer.outcome(watch_of(execution_id)), 0.05)
            await until(lambda: not session.pending and not len(core.memory.waiters))

        one = asyncio.create_task(peer.outcome(watch_of(execution_id)))
        two = asyncio.create_task(peer.outcome(watch_of(execution_id)))
        await until(lambda: session.pending == 1)
        one.cancel()
        await asyncio.gather(one, return_exceptions=True)
        await end(core, execution_id)

        assert (await two).status == COMPLETED
        await until(lambda: not session.pending)


async def test_a_broken_stream_fails_waiting_calls(store: OrchestratorStore) -> None:
    """They repeat the call at the next owner."""
    async with running(store) as core:
        execution_id = await core.start(ONE_STEP)
        async with peer_of(core) as (peer, session):
            waiting = asyncio.create_task(peer.outcome(watch_of(execution_id)))
            await until(lambda: session.pending == 1)
        with pytest.raises(Unavailable):
            await waiting
        assert peer.closed
