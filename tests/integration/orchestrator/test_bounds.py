"""Limits of an execution, through the committer and the rows."""

import asyncio
from typing import Any

import orjson
from structlog.testing import capture_logs

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.worker.v1 import dispatch_service_pb2 as dispatch_pb
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.engine import (
    HISTORY_EVENTS_MAX,
    HISTORY_EVENTS_WARN,
    SIGNALS_BYTES_MAX,
    Signal,
    TaskEnded,
)
from flowmesh.engine.state import state as s
from flowmesh.errors import WrongState
from flowmesh.orchestrator.dispatch.attachment import WorkerStream
from flowmesh.orchestrator.model.commands import Answer, PendingCommand
from flowmesh.orchestrator.storage.payloads import STORED_BYTES_MAX
from flowmesh.orchestrator.storage.states import Entry
from flowmesh.orchestrator.storage.store import OrchestratorStore
from tests.integration.orchestrator.core import Core, running, until
from tests.integration.orchestrator.factories import TWO_STEPS, digested
from tests.unit.engine.factories import node, plan


def signal(execution_id: str, data: bytes = b"1") -> Any:
    command = Signal("s", payload_pb2.Payload(data=data))
    return lambda reply: PendingCommand(execution_id, 1, command, reply)


async def aged(core: Core, events: int) -> Entry:
    """An execution with a history of this length, in its rows too, which begin with a snapshot."""
    entry = core.memory.states.get(await core.start(TWO_STEPS))
    assert entry is not None
    entry.state.sequence = events - 1
    assert await core.ask(signal(entry.state.execution_id)) == events
    return entry


async def test_a_history_at_its_limit_ends_its_execution(store: OrchestratorStore) -> None:
    """Waiting callers get the failure, the log names the execution, and the rows agree."""
    async with running(store) as core:
        entry = await aged(core, HISTORY_EVENTS_MAX - 1)
        execution_id = entry.state.execution_id
        watch = pb.SessionWatch(namespace="default", execution_id=execution_id)
        waiting = asyncio.create_task(core.calls.outcomes.outcome(watch, 10_000, forwarded=False))
        with capture_logs() as lines:
            told, late = await asyncio.gather(
                core.ask(signal(execution_id)), core.ask(signal(execution_id))
            )
        assert isinstance(told, int)
        assert isinstance(late, WrongState)
        assert late.reason == "EXECUTION_ENDED"
        assert await waiting is entry.state
        (line,) = (each for each in lines if each["event"] == "execution_failed")
        assert line["failure"] == "ResourceLimit"
        loaded = (await core.memory.states.load([execution_id]))[execution_id].state
        assert (loaded.status, loaded.sequence) == (s.EXECUTION_FAILED, entry.state.sequence)
        assert loaded.failure == entry.state.failure


async def test_a_long_history_is_reported_once(store: OrchestratorStore) -> None:
    """A line of log with its name, and one more in the metric, when it passes the length."""
    async with running(store) as core:
        with capture_logs() as lines:
            entry = await aged(core, HISTORY_EVENTS_WARN - 1)
            assert lines == []
            for _ in range(3):
                await core.ask(signal(entry.state.execution_id))
        assert lines == [
            {
                "event": "history_long",
                "log_level": "warning",
                "execution_id": entry.state.execution_id,
                "workflow_id": "w",
                "namespace": "default",
                "events": HISTORY_EVENTS_WARN,
                "events_max": HISTORY_EVENTS_MAX,
            }
        ]
        counted = [
            each.value for one in core.metrics.long_histories.collect() for each in one.samples
        ]
        assert counted[0] == 1


async def test_a_signal_for_which_there_is_no_room_is_refused(store: OrchestratorStore) -> None:
    """Only its sender gets the error and nothing is stored, even if it shares a commit."""
    async with running(store) as core:
        execution_id = await core.start(TWO_STEPS)
        whole = SIGNALS_BYTES_MAX // INLINE_BYTES_MAX
        large = b"x" * INLINE_BYTES_MAX
        answers: list[Answer | Exception] = await asyncio.gather(
            *(core.ask(signal(execution_id, large)) for _ in range(whole)),
            core.ask(signal(execution_id, b"x")),
            core.ask(signal(execution_id, b"")),
        )
        refused = answers.pop(whole)
        assert all(isinstance(answer, int) for answer in answers)
        assert isinstance(refused, WrongState)
        assert refused.reason == "SIGNALS_FULL"
        assert refused.message == f"execution {execution_id} has signals of 16 MiB, the limit"
        core.memory.states.evict(execution_id)
        again = await core.ask(signal(execution_id, b"x"))
        assert isinstance(again, WrongState)
        loaded = (await core.memory.states.load([execution_id]))[execution_id].state
        assert (len(loaded.signals), loaded.signals_bytes) == (whole + 1, SIGNALS_BYTES_MAX)


async def test_an_input_that_is_too_large_to_be_stored_fails_its_task(
    store: OrchestratorStore,
) -> None:
    """Made of parts that each may be stored; it is not tried again for ever, nor forgotten."""
    twice = orjson.dumps({"x": "{{tasks.a.output}}", "y": "{{tasks.a.output}}"})
    mode = plan_pb2.INPUT_MODE_TEMPLATE
    of = digested(plan(node("a"), node("b", "a", input_mode=mode, input_template=twice)))
    async with running(store) as core:
        half = b'"' + b"x" * (STORED_BYTES_MAX // 2) + b'"'
        stored = await core.memory.payloads.put(of.message.namespace, "", half)
        execution_id = await core.start(of)
        dispatcher, stream = core.dispatch.dispatcher, WorkerStream()
        dispatcher.services.attach(stream, dispatch_pb.AttachHello(worker_service_id="s"))
        grant = dispatch_pb.Grant(set_id="x", slots=10, task_types=["work"])
        dispatcher.services.grant(stream, [grant])
        done = TaskEnded("a", 1, output=stored)
        await core.ask(lambda reply: PendingCommand(execution_id, 1, done, reply))
        entry = core.memory.states.get(execution_id)
        assert entry is not None
        await until(lambda: entry.state.ended)
        assert entry.state.failure is not None
        assert "the limit is 67108864 bytes" in entry.state.failure.message
