"""`flowmesh cells move` takes queues with their messages, and the event store."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from flowmesh.cells import COPYING, ENDING, SWITCHING, Move
from flowmesh.errors import NotFound, Unavailable, WrongState
from flowmesh.sdk import Client, MessageBroker, NewEvent, Outgoing
from flowmesh.suite.cells import moving, queues
from flowmesh.suite.cells.directory import read_directory
from flowmesh.suite.cells.kinds import PARTS
from flowmesh.suite.cells.moving import move_project
from flowmesh.testing.polling import until
from tests.features.cells.test_moving import HELD_MS, define, execute, killed_at, of, workflow
from tests.features.cells.three import WITHIN_S, Cells, finished

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

MESSAGES = 60
MANY = 1_200
EVENTS = 1_000
DELAY_S = 45.0
LATE = """
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: tell}
spec:
  type: message.publish
  message: {exchange: post, key: mail.late, body: {from: source}}
---
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: late}
spec:
  tasks:
    - {id: first, taskRef: delay, input: {duration: 25s}}
    - {id: tell, taskRef: tell, dependsOn: [first]}
"""


def at(cells: Cells, number: int, project: str) -> Client:
    """Return a client of a project at the gateway of a cell."""
    return Client(cells.suites[number].grpc_address, namespace=project)


async def declare(client: Client) -> None:
    """Declare two queues, one with dead letters, and an exchange with a binding."""
    await client.broker.declare_queue(
        "work", max_priority=5, dead_letter_queue=True, visibility_timeout=3_600, max_attempts=3
    )
    await client.broker.declare_queue("letters")
    await client.broker.declare_exchange("post", "topic")
    await client.broker.bind("letters", "post", "mail.#")


async def received(client: Client, queue: str, count: int, group: str = "") -> list[Any]:
    """Receive and acknowledge messages."""
    found: list[Any] = []

    async def all_came() -> bool:
        try:
            messages = await client.messages.receive(queue, 500, group=group)
        except Unavailable:
            return False
        await client.messages.ack(*messages)
        found.extend(messages)
        return len(found) >= count

    await until(f"{count} messages came", all_came, within_s=WITHIN_S)
    return found


async def stored(client: Client) -> list[Any]:
    """Return all events of the project."""
    found: list[Any] = []
    while (page := await client.event_store.read_all(after=len(found), count=1_000)).events:
        found += page.events
    return found


async def test_queues_move_with_their_messages(cells: Cells) -> None:
    """Each message is delivered at the target once, though the command is killed in each step."""
    await cells.pin("mail", 0)
    letters: list[Any] = []
    async with at(cells, 0, "mail") as client:
        await declare(client)
        await client.apply(LATE)
        await define(cells, "mail", {**workflow(1, HELD_MS), "id": "held"})
        held = (await execute(cells, "mail", "held")).json["executionId"]
        await execute(cells, "mail", "late")
        for number in range(MESSAGES):
            name = f"work-{number}"
            await client.messages.publish({"n": number}, "work", priority=number % 3, id=name)
        (dead,) = await client.messages.receive("work")
        await client.messages.reject(dead, error="no good")
        (leased,) = await client.messages.receive("work")
        await client.messages.publish({"from": "later"}, "letters", delay=DELAY_S)
        broker = MessageBroker(client)
        await broker.subscribe("letters", letters.append).ready()
        words = ("move", "mail", "--to", "us1")
        await killed_at(cells, "mail", COPYING, *words)
        await killed_at(cells, "mail", SWITCHING, *words)
        await killed_at(cells, "mail", ENDING, *words)
        moved = asyncio.create_task(finished(cells, *words))
        await client.messages.publish({"from": "target"}, "mail.new", exchange="post")
        work = await received(client, "work", MESSAGES - 1)
        with pytest.raises(WrongState, match="not a receipt of this queue"):
            await client.messages.ack(leased)
        (again,) = [each for each in work if each.id == leased.id]
        assert again.attempt == leased.attempt + 1
        assert Counter(each.id for each in work) == Counter(
            f"work-{number}" for number in range(MESSAGES) if f"work-{number}" != dead.id
        )
        highest = [each.priority for each in work]
        assert highest == sorted(highest, reverse=True)
        (buried,) = await client.messages.browse("work.dlq")
        assert buried.death is not None
        assert (buried.id, buried.death.error) == (dead.id, "no good")

        async def came() -> bool:
            return len(letters) >= 3

        await until("the letters came", came, within_s=DELAY_S + WITHIN_S)
        assert sorted(each["from"] for each in letters) == ["later", "source", "target"]
        await cells.suites[1].post(f"/api/v1/executions/{held}:cancel", {}, headers=of("mail"))
        code, _, errors = await moved
        assert code == 0, errors
        await broker.close()
    await cells.pin("mail", 0)
    async with at(cells, 0, "mail") as client:
        assert [each async for each in client.broker.queues()] == []
        assert await client.broker.exchanges() == ()


async def test_a_canceled_move_leaves_the_messages(cells: Cells) -> None:
    """The source delivers them again, and the target has none."""
    await cells.pin("kept", 0)
    async with at(cells, 0, "kept") as client:
        await declare(client)
        for number in range(MESSAGES):
            await client.messages.publish({"n": number}, "work", id=f"work-{number}")
        await client.messages.publish({"from": "later"}, "letters", delay=10)
        await killed_at(cells, "kept", SWITCHING, "move", "kept", "--to", "us1")
        code, _, errors = await finished(cells, "move", "kept", "--cancel")
        assert code == 0, errors
        work = await received(client, "work", MESSAGES)
        assert sorted(each.body["n"] for each in work) == list(range(MESSAGES))
        assert [each.body for each in await received(client, "letters", 1)] == [{"from": "later"}]
    await cells.pin("kept", 1)
    async with at(cells, 1, "kept") as client:
        with pytest.raises(NotFound):
            await client.broker.queue("work")


async def test_streams_move_with_their_groups(cells: Cells) -> None:
    """Messages keep their positions, groups continue, and late messages come behind all others."""
    await cells.pin("streaming", 0)
    async with at(cells, 0, "streaming") as client:
        messages = client.messages
        await declare(client)
        for stream in ("log", "empty"):
            await client.broker.declare_queue(stream, stream=True)
        await client.broker.bind("log", "post", "mail.#")
        await client.apply(LATE)
        await messages.publish_many(Outgoing({"n": number}, "log") for number in range(MANY))
        await messages.publish_many(Outgoing({"n": number}, "empty") for number in range(3))
        await messages.purge("empty")
        await messages.ack(*await messages.receive("log", 10, group="readers"))
        (open_,) = await messages.receive("log", 1, group="readers")
        await messages.seek("log", "later", latest=True)
        await messages.seek("empty", "readers", latest=True)
        await messages.discard("log", [1, 700, 701])
        before = [(each.sequence, each.body) async for each in messages.browse_all("log")]
        await execute(cells, "streaming", "late")
        words = ("move", "streaming", "--to", "us1")
        await killed_at(cells, "streaming", COPYING, *words)
        await killed_at(cells, "streaming", SWITCHING, *words)
        code, _, errors = await finished(cells, *words)
        assert code == 0, errors
        after = [(each.sequence, each.body) async for each in messages.browse_all("log")]
        assert after == [*before, (MANY + 1, {"from": "source"})]
        with pytest.raises(WrongState, match="not a receipt of this queue"):
            await messages.ack(open_)
        rest = await received(client, "log", MANY - 11, group="readers")
        numbers = [number for number in range(10, MANY) if number not in (699, 700)]
        assert [each.body.get("n") for each in rest] == [*numbers, None]
        (late,) = await received(client, "log", 1, group="later")
        assert late.body == {"from": "source"}
        await messages.publish({"n": 3}, "empty")
        (new,) = await received(client, "empty", 1, group="readers")
        assert [each.sequence for each in await messages.browse("empty")] == [4]
        assert new.body == {"n": 3}


async def test_many_messages_follow_the_switch(
    cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The switch takes the oldest page; all are delivered at the target, each once."""
    monkeypatch.setenv("FLOWMESH_ALLOW_PLAINTEXT", "true")
    monkeypatch.setattr(queues, "SWITCHED_MAX", 1)
    switched: list[int] = []
    await cells.pin("many", 0)
    async with at(cells, 0, "many") as client, at(cells, 1, "many") as there:

        class Watched(queues.Queues):
            async def start(self, move: Move) -> None:
                switched.append((await there.broker.queue("work")).depth)
                await super().start(move)

        parts = [Watched if part is queues.Queues else part for part in PARTS]
        monkeypatch.setattr(moving, "PARTS", parts)
        await client.broker.declare_queue("work")
        await client.messages.publish_many(Outgoing(number, "work") for number in range(MANY))
        await move_project(await read_directory(cells.store), "many", "us1", "drain")
        assert switched == [500]
        work = await received(there, "work", MANY)
        assert [each.body for each in work] == list(range(MANY))


async def test_events_move_with_their_groups(cells: Cells) -> None:
    """Versions, positions and ids stay; a member settles at the target what it got before."""
    await cells.pin("ledger", 0)
    async with at(cells, 0, "ledger") as client:
        store, groups = client.event_store, client.event_groups
        for start in range(0, EVENTS, 100):
            batch = [
                NewEvent("Booked", {"n": number}, metadata={"by": "test"})
                for number in range(start, start + 100)
            ]
            await store.append(f"account-{start // 500}", *batch)
        await store.append("gone-1", NewEvent("Made"))
        await store.delete("gone-1")
        await store.put_snapshot("account-0", 500, {"sum": 1})
        await groups.put("readers", category="account", lease=3_600)
        await client.projections.put("sums", category="account")
        done = await groups.receive("readers", 10)
        await groups.ack(*done)
        parked, *open_ = await groups.receive("readers", 5)
        await groups.nack(parked, error="odd", park=True)
        before = await stored(client)
        words = ("move", "ledger", "--to", "us1")
        await killed_at(cells, "ledger", COPYING, *words)
        await killed_at(cells, "ledger", SWITCHING, *words)
        code, _, errors = await finished(cells, *words)
        assert code == 0, errors
        assert await stored(client) == before
        with pytest.raises(WrongState, match="version"):
            await store.append("account-1", NewEvent("Booked"), expected=499)
        with pytest.raises(WrongState, match="deleted"):
            await store.append("gone-1", NewEvent("Made"))
        snapshot, _ = await store.load("account-0")
        assert snapshot is not None
        assert (snapshot.version, snapshot.state) == (500, {"sum": 1})
        added = await store.append("account-1", NewEvent("Booked", {"n": EVENTS}), expected=500)
        assert added.position == EVENTS + 2
        assert await groups.ack(*open_) == ()
        (left,) = await groups.parked("readers")
        assert (left.event.position, left.error) == (parked.event.position, "odd")
        rest: list[int] = []
        while found := await groups.receive("readers", 500):
            await groups.ack(*found)
            rest += [each.event.data["n"] for each in found]
        assert rest == list(range(15, EVENTS + 1))
        assert [each.name for each in await client.projections.list()] == ["sums"]
