"""Messages in memory are bounded for each sender, and those of others do not wait for them."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.orchestrator.commit.messenger import Messenger, Messengers, of_sender
from flowmesh.orchestrator.storage.batch import OUTWARD, Message
from flowmesh.orchestrator.storage.stores.message_store import PendingMessage

SHARE_MAX = 2


class Outside:
    """The stored messages, and the receivers, which answer when a test lets them."""

    def __init__(self) -> None:
        self.rows: dict[str, PendingMessage] = {}
        self.answer = asyncio.Event()
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
        return [row for rows in found.values() for row in rows[:SHARE_MAX]]

    async def deliver(self, message: pb.ExecutionMessage) -> None:
        self.asked.append(message.execution_id)
        await self.answer.wait()

    def answered(self, message: Message) -> None:
        del self.rows[message.id]

    def message(self, namespace: str, number: int) -> Message:
        """Store a message, and return it."""
        execution_id = f"{namespace}-{number}"
        command = pb.ExecutionMessage(namespace=namespace, execution_id=execution_id)
        made = Message(0, f"{execution_id}{OUTWARD}", execution_id, command.SerializeToString())
        self.rows[made.id] = PendingMessage(0, made.id, made.target, made.command)
        return made


def messenger(outside: Outside) -> Messenger:
    return Messenger(
        load=outside.load,
        epochs={0: 1},
        spawn=outside.spawn,
        deliver=outside.deliver,
        answered=outside.answered,
        log=structlog.get_logger("test"),
        share_of=of_sender,
        share_max=SHARE_MAX,
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
    outside.answer.set()
    async with asyncio.timeout(10):
        while outside.rows:
            await asyncio.gather(*outside.tasks)
    assert sorted(outside.asked) == ["a-0", "a-1", "a-2", "a-3", "a-4", "b-0"]
    assert len(made) == 0


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
