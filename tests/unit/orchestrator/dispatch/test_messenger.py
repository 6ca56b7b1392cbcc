"""Messages in memory are bounded for each sender, and those of others do not wait for them."""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any

import pytest
import structlog

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.orchestrator.commit import messenger as messengers
from flowmesh.orchestrator.commit.messenger import Messenger, Messengers, of_sender
from flowmesh.orchestrator.storage.batch import OUTWARD, Message
from flowmesh.orchestrator.storage.stores.message_store import PendingMessage

SHARE_MAX, PAGE = 2, 4


class Outside:
    """The stored messages, and the receivers, which answer when a test lets them."""

    def __init__(self) -> None:
        self.rows: dict[str, PendingMessage] = {}
        self.answers: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.answers_all = False
        self.asked: list[str] = []
        self.tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.add(asyncio.get_running_loop().create_task(work))

    async def load(self, partitions: list[int]) -> list[PendingMessage]:
        """Return the first messages of each namespace."""
        found: dict[str, list[PendingMessage]] = {}
        for row in self.rows.values():
            namespace = pb.ExecutionMessage.FromString(row.command).namespace
            found.setdefault(namespace, []).append(row)
        return [row for rows in found.values() for row in rows[:PAGE]]

    async def deliver(self, message: pb.ExecutionMessage) -> None:
        self.asked.append(message.execution_id)
        if not self.answers_all:
            await self.answers[message.execution_id].wait()

    async def let(self, execution_id: str) -> None:
        """Answer one message, and wait until what follows from it is sent."""
        self.answers[execution_id].set()
        for _ in range(20):
            await asyncio.sleep(0)

    async def finish(self) -> None:
        """Answer all messages, also those that are sent from now on."""
        self.answers_all = True
        for each in self.answers.values():
            each.set()
        async with asyncio.timeout(10):
            while self.rows:
                await asyncio.gather(*self.tasks)

    def answered(self, message: Message) -> None:
        del self.rows[message.id]

    def message(self, namespace: str, number: int) -> Message:
        """Store a message, and return it."""
        execution_id = f"{namespace}-{number}"
        command = pb.ExecutionMessage(namespace=namespace, execution_id=execution_id)
        made = Message(0, f"{execution_id}{OUTWARD}", execution_id, command.SerializeToString())
        self.rows[made.id] = PendingMessage(0, made.id, made.target, made.command)
        return made


def messenger(outside: Outside, share_max: int = SHARE_MAX) -> Messenger:
    return Messenger(
        load=outside.load,
        epochs={0: 1},
        spawn=outside.spawn,
        deliver=outside.deliver,
        answered=outside.answered,
        log=structlog.get_logger("test"),
        share_of=of_sender,
        share_max=share_max,
        timeout_s=None,
    )


async def test_a_sender_with_many_messages_keeps_no_other_waiting() -> None:
    """What is over its share waits in its rows, and is sent when there is room; none is lost."""
    outside = Outside()
    made = messenger(outside)
    made.send([outside.message("a", number) for number in range(5)])
    made.send([outside.message("b", 0)])
    await asyncio.sleep(0)
    assert outside.asked == ["a-0", "a-1", "b-0"]
    await outside.finish()
    assert sorted(outside.asked) == ["a-0", "a-1", "a-2", "a-3", "a-4", "b-0"]
    assert len(made) == 0


async def test_half_of_a_share_is_delivered_before_more_of_it_is_read() -> None:
    """Otherwise each delivery would read the rows."""
    outside = Outside()
    made = messenger(outside, share_max=4)
    made.send([outside.message("a", number) for number in range(6)])
    await outside.let("a-0")
    assert outside.asked == ["a-0", "a-1", "a-2", "a-3"]
    await outside.let("a-1")
    assert outside.asked[4:] == ["a-4", "a-5"]
    await outside.let("a-2")
    assert len(made) == 3
    await outside.finish()
    assert (len(made), outside.rows) == (0, {})


async def test_more_is_read_when_half_of_all_is_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of all counts the messages of every sender."""
    monkeypatch.setattr(messengers, "PENDING_MAX", 8)
    outside = Outside()
    made = messenger(outside, share_max=4)
    made.send([outside.message("a", number) for number in range(5)])
    made.send([outside.message("b", number) for number in range(3)])
    await outside.let("a-0")
    await outside.let("a-1")
    assert "a-4" not in outside.asked
    await outside.let("b-0")
    assert "a-4" in outside.asked
    await outside.finish()


async def test_a_sender_without_a_message_in_memory_gets_the_first_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It does not wait for half of the messages of others."""
    monkeypatch.setattr(messengers, "PENDING_MAX", 4)
    outside = Outside()
    made = messenger(outside, share_max=4)
    made.send([outside.message("a", number) for number in range(4)])
    made.send([outside.message("b", 0)])
    await asyncio.sleep(0)
    assert "b-0" not in outside.asked
    await outside.let("a-0")
    assert "b-0" in outside.asked
    await outside.finish()


async def test_messages_to_other_projects_wait_apart() -> None:
    """They wait for long, and those of the own project do not."""
    inside, outward = Outside(), Outside()
    both = Messengers(inside=messenger(inside), outward=messenger(outward))
    far = outward.message("a", 1)
    near = Message(0, "a-2:1:0", "a-2", pb.ExecutionMessage(execution_id="a-2").SerializeToString())
    both.send([far, near])
    await asyncio.sleep(0)
    assert (inside.asked, outward.asked) == (["a-2"], ["a-1"])
    assert len(both) == 2
    for task in (*inside.tasks, *outward.tasks):
        task.cancel()
