"""Commands that wait until their execution is read."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from flowmesh.engine import Command, Pause, TaskEnded
from flowmesh.errors import FlowmeshError
from flowmesh.orchestrator.commit import pending_loads
from flowmesh.orchestrator.commit.inbox import Inbox
from flowmesh.orchestrator.commit.pending_loads import PendingLoads
from flowmesh.orchestrator.model.commands import Answer, PendingCommand
from flowmesh.orchestrator.model.errors import Moved
from flowmesh.orchestrator.storage.states import Found
from flowmesh.testing.polling import done

RESULT = TaskEnded("a", 1)


class World:
    """Commands of executions, of which the rows of some are read."""

    def __init__(self) -> None:
        self.inbox = Inbox(lambda: 1)
        self.rows, self.broken = {"e", "f"}, {"broken"}
        self.reads: list[list[str]] = []
        self.away = 0
        self.answers: dict[str, Answer | Exception] = {}
        states: Any = SimpleNamespace(fetch=self._fetch)
        self.loads = PendingLoads(
            states=states, epochs={1: 1}, log=structlog.get_logger(), inbox=self.inbox
        )

    def park(self, execution_id: str, command: Command = RESULT, partition: int = 1) -> None:
        def reply(answer: Answer | Exception) -> None:
            self.answers[execution_id] = answer

        self.loads.park(PendingCommand(execution_id, partition, command, reply))

    async def read(self) -> None:
        await done("all are read", lambda: not len(self.loads), within_s=5)

    async def _fetch(self, ids: list[str]) -> Found:
        self.reads.append(ids)
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise ConnectionRefusedError
        found, entry = Found(), SimpleNamespace()
        found.update({each: entry for each in ids if each in self.rows})  # type: ignore[misc]
        found.broken |= self.broken & set(ids)
        return found


async def test_commands_go_before_later_ones_once_their_execution_is_read() -> None:
    """In their order; several executions share one read."""
    world = World()
    world.inbox.submit(PendingCommand("later", 1, RESULT))
    for name in ("e", "f", "e"):
        world.park(name)
    await world.read()
    assert world.reads == [["e", "f"]]
    assert [each.execution_id for each in world.inbox.take()] == ["f", "e", "e", "later"]


async def test_commands_of_executions_that_cannot_be_read_are_answered() -> None:
    """By the reason: they have moved, are broken, or are not there."""
    world = World()
    world.park("moved", partition=2)
    for name in ("broken", "missing"):
        world.park(name)
    await world.read()
    assert isinstance(world.answers.pop("moved"), Moved)
    reasons = {
        name: answer.reason
        for name, answer in world.answers.items()
        if isinstance(answer, FlowmeshError)
    }
    assert reasons == {"broken": "EXECUTION_UNREADABLE", "missing": "EXECUTION_NOT_FOUND"}
    assert len(world.inbox) == 0


async def test_only_callers_are_refused_while_the_database_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What nobody repeats waits until it answers."""
    monkeypatch.setattr(pending_loads, "RETRY_S", 0)
    world = World()
    world.away = 2
    world.park("e")
    world.park("f", Pause())
    await world.read()
    refused = world.answers["f"]
    assert isinstance(refused, FlowmeshError)
    assert refused.reason == "STORAGE_UNAVAILABLE"
    assert world.reads == [["e", "f"], ["e"], ["e"]]
    assert [each.execution_id for each in world.inbox.take()] == ["e"]
