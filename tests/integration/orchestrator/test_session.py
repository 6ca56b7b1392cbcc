"""A session answers every call, keeps nothing of a client that is gone, and bounds what waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine import TaskEnded
from flowmesh.errors import Overloaded
from flowmesh.orchestrator.api import session as sessions
from flowmesh.orchestrator.api.session_stream import answers
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.services import sessions_of
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.rpc.limits import MESSAGE_BYTES_MAX
from tests.integration.orchestrator.core import WAIT_S, Core, running, until
from tests.integration.orchestrator.factories import digested
from tests.unit.engine.factories import node, plan

ONE_STEP = digested(plan(node("a")))


class Client:
    """One end of a session."""

    def __init__(self, core: Core, responses: AsyncIterator[pb.SessionResponse]) -> None:
        self.core = core
        self.responses = responses
        self.requests: asyncio.Queue[pb.SessionRequest | None] = asyncio.Queue()

    def start(self, call_id: int, data: bytes = b"{}", **fields: Any) -> None:
        request = pb.StartExecutionRequest(
            workflow_id="w", input=payload_pb2.Payload(data=data), **fields
        )
        start = pb.SessionStart(call_id=call_id, start=request, want_result=True)
        self.requests.put_nowait(pb.SessionRequest(starts=[start]))

    def watch(self, call_id: int, execution_id: str) -> None:
        watch = pb.SessionWatch(call_id=call_id, execution_id=execution_id)
        self.requests.put_nowait(pb.SessionRequest(watches=[watch]))

    async def read(self) -> pb.SessionResponse:
        return await asyncio.wait_for(anext(self.responses), WAIT_S)

    async def read_all(self) -> None:
        async for _ in self.responses:
            continue

    async def finish(self, execution_id: str, output: bytes = b"1") -> None:
        command = TaskEnded("a", 1, output=payload_pb2.Payload(data=output))
        await self.core.ask(lambda reply: PendingCommand(execution_id, 1, command, reply))


@asynccontextmanager
async def connected(core: Core) -> AsyncIterator[Client]:
    core.definitions.plans["w"] = ONE_STEP
    await core.given.plans.resolve(("default", "w", 0))
    session = sessions_of(core.composed).open()
    client: Client

    async def requests() -> AsyncIterator[pb.SessionRequest]:
        while (request := await client.requests.get()) is not None:
            yield request

    async with aclosing(answers(session, requests())) as responses:  # type: ignore[type-var]
        client = Client(core, responses)
        yield client


async def test_a_watch_outlives_a_database_that_is_away(store: OrchestratorStore) -> None:
    """The call is answered, if later."""
    async with running(store) as core, connected(core) as client:
        execution_id = await core.start(ONE_STEP)
        core.memory.states.evict(execution_id)
        core.queries.failures["execution_rows"] = 2
        client.watch(7, execution_id)
        answer = asyncio.create_task(client.read())
        await until(lambda: not core.queries.failures["execution_rows"])
        await client.finish(execution_id)
        assert [result.call_id for result in (await answer).results] == [7]


async def test_a_client_that_is_gone_is_not_waited_for(store: OrchestratorStore) -> None:
    """Executions that run for days would keep it in memory."""
    async with running(store) as core:
        async with connected(core) as client:
            client.start(1)
            assert (await client.read()).started
            assert len(core.memory.waiters) == 1
        assert len(core.memory.waiters) == 0


async def test_a_full_session_names_its_limit(
    store: OrchestratorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what a caller can do; the end of an execution makes room."""
    monkeypatch.setattr(sessions, "PENDING_MAX", 1)
    async with running(store) as core, connected(core) as client:
        client.start(1)
        (started,) = (await client.read()).started
        client.start(2)
        (refused,) = (await client.read()).refused
        assert (refused.call_id, refused.reason) == (2, "SESSION_FULL")
        assert "1 calls of this session are open" in refused.message
        await client.finish(started.execution_id)
        assert [result.call_id for result in (await client.read()).results] == [1]
        client.start(3)
        assert [each.call_id for each in (await client.read()).started] == [3]


@pytest.mark.parametrize(
    "fields", [{"data": b'"' + b"x" * (256 << 10) + b'"'}, {"request_id": "\0"}]
)
async def test_what_a_call_refuses_a_session_refuses_too(
    store: OrchestratorStore, fields: dict[str, Any]
) -> None:
    """Also if the plan is cached and the start takes the short path."""
    async with running(store) as core, connected(core) as client:
        client.start(1, **fields)
        (refused,) = (await client.read()).refused
        assert refused.reason in ("PAYLOAD_TOO_LARGE", "STRING_HAS_NUL")


async def test_many_large_results_come_in_frames_that_a_client_takes(
    store: OrchestratorStore,
) -> None:
    """They end at once, and each is near the limit of a value."""
    output = b'"' + b"x" * (250 << 10) + b'"'
    async with running(store) as core, connected(core) as client:
        for call_id in range(60):
            client.start(call_id)
        ids: dict[int, str] = {}
        while len(ids) < 60:
            for started in (await client.read()).started:
                ids[started.call_id] = started.execution_id
        ends = [core.submit(ending(execution_id, output)) for execution_id in ids.values()]
        await asyncio.gather(*ends)
        found: set[int] = set()
        while len(found) < 60:
            frame = await client.read()
            assert frame.ByteSize() < MESSAGE_BYTES_MAX
            found |= {result.call_id for result in frame.results}


def ending(execution_id: str, output: bytes) -> Any:
    command = TaskEnded("a", 1, output=payload_pb2.Payload(data=output))
    partition = partition_of(execution_id)
    assert partition is not None
    return lambda reply: PendingCommand(execution_id, partition, command, reply)


async def test_a_client_that_does_not_read_is_cut_off(
    store: OrchestratorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can watch again; memory is shared by all sessions."""
    monkeypatch.setattr(sessions, "UNREAD_BYTES_MAX", 5_000)
    async with running(store) as core, connected(core) as client:
        client.start(0)
        assert (await client.read()).started
        for call_id in range(1, 200):
            client.start(call_id)
        await until(client.requests.empty)
        await until(lambda: len(core.memory.waiters) == 0)
        with pytest.raises(Overloaded):
            await client.read_all()
