"""Memory of executions: which of them are kept, and their counted size."""

import asyncio
from typing import Any

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import Cancel, Signal
from flowmesh.errors import NotFound
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.operations.execution_reader import ENDED_SHOWN_US
from flowmesh.orchestrator.storage.snapshots import EVENTS_BETWEEN_SNAPSHOTS
from flowmesh.orchestrator.storage.store import OrchestratorStore
from tests.integration.orchestrator.core import running
from tests.integration.orchestrator.factories import digested
from tests.unit.engine.factories import node, plan

SLEEPER = digested(plan(node("nap", kind=plan_pb2.NODE_KIND_TIMER, delay_ms=3_600_000)))
# Tolerance between the counted sizes of an execution that grew and one that was loaded.
SPREAD = 1.1


def signal(execution_id: str) -> Any:
    command = Signal("s", payload_pb2.Payload(data=b"1"))
    return lambda reply: PendingCommand(execution_id, 1, command, reply)


async def test_a_sleeping_execution_is_only_a_row_until_a_command_arrives(
    store: OrchestratorStore,
) -> None:
    """Signals to it do not read it again one by one."""
    async with running(store) as core:
        execution_id = await core.start(SLEEPER)
        assert core.memory.states.get(execution_id) is None
        await core.ask(signal(execution_id))
        entry = core.memory.states.get(execution_id)
        assert entry is not None
        await core.ask(signal(execution_id))
        assert core.memory.states.get(execution_id) is entry


async def test_an_execution_counts_as_what_it_is_not_as_what_it_was(
    store: OrchestratorStore,
) -> None:
    """Its events before the last snapshot are gone from memory."""
    async with running(store) as core:
        execution_id = await core.start(SLEEPER)
        sizes = []
        for _ in range(3):
            count = EVENTS_BETWEEN_SNAPSHOTS * 3 // 4
            await asyncio.gather(*(core.ask(signal(execution_id)) for _ in range(count)))
            grown = core.memory.states.size
            core.memory.states.evict(execution_id)
            assert core.memory.states.size == 0
            await core.memory.states.fetch([execution_id])
            sizes.append(grown / core.memory.states.size)
        assert all(1 / SPREAD < each < SPREAD for each in sizes)


async def test_an_ended_execution_is_shown_from_memory_briefly(store: OrchestratorStore) -> None:
    """After that any process may have deleted it."""
    async with running(store) as core:
        execution_id = await core.start(SLEEPER)
        await core.ask(lambda reply: PendingCommand(execution_id, 1, Cancel(), reply))
        await store.retention.delete_executions([execution_id])
        namespace = SLEEPER.message.namespace
        assert (await core.calls.reader.state(namespace, execution_id)).ended
        ownership = core.memory.ownership
        ownership.observe_time(ownership.now_us() + ENDED_SHOWN_US + 1)
        with pytest.raises(NotFound):
            await core.calls.reader.state(namespace, execution_id)
