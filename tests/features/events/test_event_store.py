"""Streams of events: versions, snapshots, subscriptions, groups, projections, virtual streams."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.errors import Invalid, NotFound, TooLarge, WrongState
from flowmesh.sdk import (
    Client,
    NewEvent,
    Park,
    Projector,
    Repository,
    StoredEvent,
    aggregate,
    consume_events,
    projection,
)
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite

PATIENCE_S = 20
DEFINITION = {
    "id": "one-step",
    "name": "One step",
    "steps": [{"id": "wait", "name": "Wait", "action": "delay", "params": {"duration": 1}}],
}


def named(category: str) -> str:
    return f"{category}-{uuid.uuid4().hex[:8]}"


def fresh(word: str) -> str:
    """A name without a hyphen, which can be a category."""
    return f"{word}{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    async with Client(suite.grpc_address) as opened:
        yield opened


async def contents(client: Client, stream: str, **options: Any) -> list[Any]:
    return [each.data async for each in client.event_store.read(stream, **options)]


async def raises(reason: str, call: Any) -> str:
    """The message of a refused call."""
    with pytest.raises((Invalid, NotFound, TooLarge, WrongState)) as caught:
        await call
    assert caught.value.reason == reason, caught.value
    return caught.value.message


@pytest.mark.feature("S4-28")
async def test_an_append_with_a_stale_version_is_refused(client: Client) -> None:
    """All of its events or none are stored, and the message names the version of the stream."""
    store, stream = client.event_store, named("order")
    placed, paid = NewEvent("OrderPlaced", {"amount": 10}), NewEvent("OrderPaid")
    appended = await store.append(stream, placed, paid, expected="none")
    assert (appended.first_version, appended.last_version) == (1, 2)
    text = await raises("VERSION_CONFLICT", store.append(stream, placed, expected=1))
    assert "version 2" in text
    for expected in ("none", 0, 3):
        await raises("VERSION_CONFLICT", store.append(stream, placed, expected=expected))
    other = named("order")
    await raises("VERSION_CONFLICT", store.append(other, placed, expected="exists"))
    await store.append(stream, NewEvent("OrderShipped"), expected=2)
    await store.append(stream, NewEvent("OrderClosed"), expected="exists")
    types = [each.type async for each in store.read(stream)]
    assert types == ["OrderPlaced", "OrderPaid", "OrderShipped", "OrderClosed"]


@pytest.mark.feature("S4-28")
async def test_of_concurrent_appends_at_one_version_one_succeeds(client: Client) -> None:
    """The others conflict; versions and positions have no gaps."""
    store, stream = client.event_store, named("race")
    outcomes = await asyncio.gather(
        *(store.append(stream, NewEvent("Tried", n), expected=0) for n in range(20)),
        return_exceptions=True,
    )
    kept = [each for each in outcomes if not isinstance(each, BaseException)]
    assert len(kept) == 1
    assert all(isinstance(each, WrongState) for each in outcomes if each not in kept)
    await asyncio.gather(*(store.append(stream, NewEvent("Tried", n)) for n in range(50)))
    versions = [each.version async for each in store.read(stream)]
    assert versions == list(range(1, 52))


async def test_the_same_event_is_stored_once(client: Client) -> None:
    """A repeated append has the former answer; a mixture of old and new events is refused."""
    store, stream = client.event_store, named("order")
    events = [NewEvent("A", id="one"), NewEvent("B", id="two")]
    first = await store.append(stream, *events, expected=0)
    again = await store.append(stream, *events, expected=0)
    assert (again.duplicate, again.last_version) == (True, first.last_version)
    assert again.position == first.position
    mixed = (events[1], NewEvent("C", id="three"))
    await raises("EVENT_EXISTS", store.append(stream, *mixed))
    twice = (NewEvent("D", id="four"), NewEvent("D", id="four"))
    await raises("EVENT_STORE_INVALID", store.append(stream, *twice))
    assert (await store.stream(stream)).version == 2


async def test_streams_are_read_from_both_ends_by_pages(client: Client) -> None:
    """Of all streams by position too, by category and type."""
    store, category = client.event_store, fresh("page")
    first, second = f"{category}-1", f"{category}-2"
    await store.append(first, *(NewEvent("Counted", n) for n in range(250)))
    await store.append(second, NewEvent("Other", "x"))
    assert await contents(client, first) == list(range(250))
    assert await contents(client, first, version=240, count=3) == [239, 240, 241]
    assert await contents(client, first, backwards=True, count=2) == [249, 248]
    assert await contents(client, first, backwards=True, version=2) == [1, 0]
    assert [each.stream async for each in store.streams(category=category)] == [first, second]
    page = await store.read_all(category=category, types=["Other"])
    assert [each.data for each in page.events] == ["x"]
    found: list[StoredEvent] = []
    after = 0
    while True:
        page = await store.read_all(category=category, after=after, count=100)
        found += page.events
        after = page.next_after
        if page.end:
            break
    assert len(found) == 251
    assert [each.position for each in found] == sorted({each.position for each in found})


@aggregate("account")
class Account:
    """An account that is never overdrawn."""

    def __init__(self) -> None:
        self.balance = 0
        self.moves = 0

    def apply_money_deposited(self, data: Any) -> None:
        self.balance += data["amount"]
        self.moves += 1

    def apply_money_withdrawn(self, data: Any) -> None:
        self.balance -= data["amount"]
        self.moves += 1

    def withdraw(self, amount: int) -> NewEvent | None:
        if amount > self.balance:
            return None
        return NewEvent("MoneyWithdrawn", {"amount": amount})


def deposit(amount: int) -> NewEvent:
    return NewEvent("MoneyDeposited", {"amount": amount})


@pytest.mark.feature("S4-29", "S4-30", "S4-61")
async def test_a_replayed_aggregate_equals_the_live_one(client: Client) -> None:
    """Loading reads the snapshot and the events after it only."""
    accounts = Repository(client, Account, snapshot_every=50)
    id = uuid.uuid4().hex
    live = await accounts.load(id)
    assert live.version == 0
    for number in range(120):
        live = await accounts.save(live, deposit(number))
    loaded, replayed = await accounts.load(id), await accounts.replay(id)
    assert vars(loaded.state) == vars(replayed.state) == vars(live.state)
    assert loaded.state.balance == sum(range(120))
    assert (loaded.version, replayed.version) == (120, 120)
    assert (loaded.snapshot_version, loaded.events_read) == (100, 20)
    assert replayed.events_read == 120
    await raises("VERSION_CONFLICT", accounts.save(await _older(accounts, id), deposit(1)))
    store, stream = client.event_store, accounts.stream(id)
    await raises("SNAPSHOT_AHEAD", store.put_snapshot(stream, 122, {}))
    assert not await store.put_snapshot(stream, 99, {})


async def _older(accounts: Repository[Account], id: str) -> Any:
    loaded = await accounts.load(id)
    await accounts.update(id, lambda _: deposit(0))
    return loaded


@pytest.mark.feature("S4-28")
async def test_concurrent_decisions_never_overdraw(client: Client) -> None:
    """A decision that meets another one is made again for the new state."""
    accounts = Repository(client, Account, conflicts_max=50)
    id = uuid.uuid4().hex
    await accounts.update(id, lambda _: deposit(10))
    await asyncio.gather(
        *(accounts.update(id, lambda account: account.withdraw(1)) for _ in range(15))
    )
    assert (await accounts.replay(id)).state.balance == 0


@pytest.mark.feature("S4-26", "S3-48")
async def test_a_subscriber_gets_stored_events_then_live_ones(client: Client) -> None:
    """Without gap or repeat, and those of its selection only."""
    store, category = client.event_store, fresh("live")
    stream = f"{category}-1"
    for first in (0, 350):
        await store.append(stream, *(NewEvent("Counted", first + n) for n in range(350)))
    got: list[StoredEvent] = []

    async def follow() -> None:
        async for event in store.subscribe(category=category, types=["Counted"]):
            got.append(event)

    follower = asyncio.create_task(follow())
    for number in range(700, 720):
        await store.append(stream, NewEvent("Skipped"), NewEvent("Counted", number))
        await store.append(named("else"), NewEvent("Counted", -1))

    async def complete() -> bool:
        return len(got) >= 720

    await until("all events", complete, within_s=PATIENCE_S)
    assert [each.data for each in got] == list(range(720))
    follower.cancel()
    live = store.subscribe(stream=stream, live=True)
    pending = asyncio.ensure_future(anext(live))

    async def appended() -> bool:
        await store.append(stream, NewEvent("Late"))
        return pending.done()

    await until("a live event", appended, within_s=PATIENCE_S)
    assert (await pending).type == "Late"


@pytest.mark.feature("S3-45")
async def test_a_group_delivers_each_event_to_one_member_until_it_succeeds(
    client: Client,
) -> None:
    """A failing event is tried again, then parked; parked events are replayed by hand."""
    store, groups, category = client.event_store, client.event_groups, fresh("job")
    group = named("workers")
    assert await groups.put(group, category=category, max_attempts=2, retry_delay=0.05)
    assert not await groups.put(group, category=category, max_attempts=3, retry_delay=0.05)
    await raises("GROUP_DIFFERS", groups.put(group, category="other"))
    done: list[int] = []
    tries: list[int] = []
    broken = True

    async def handle(event: StoredEvent) -> None:
        if event.data == 7 and broken:
            tries.append(event.data)
            raise ValueError("seven")
        if event.data == 8 and broken:
            raise Park("eight")
        done.append(event.data)

    members = [asyncio.create_task(consume_events(client, group, handle)) for _ in range(3)]
    for number in range(30):
        await store.append(f"{category}-1", NewEvent("Asked", number))

    async def parked() -> bool:
        (found,) = [each for each in await groups.list() if each.name == group]
        return found.parked == 2 and found.in_flight == 0 and len(done) == 28

    await until("the parked events", parked, within_s=PATIENCE_S)
    assert tries == [7, 7, 7]
    errors = {each.event.data: (each.attempts, each.error) for each in await groups.parked(group)}
    assert errors == {7: (3, "ValueError: seven"), 8: (1, "Park: eight")}
    broken = False
    assert await groups.replay_parked(group) == 2

    async def finished() -> bool:
        return sorted(done) == list(range(30))

    await until("the replayed events", finished, within_s=PATIENCE_S)
    for member in members:
        member.cancel()
    assert await groups.parked(group) == ()


async def test_a_delivery_is_settled_once(client: Client) -> None:
    """After its lease another member has the event, and the first one's answer is stale."""
    groups, category = client.event_groups, fresh("lease")
    group = named("leased")
    await groups.put(group, category=category, lease=0.1)
    await client.event_store.append(f"{category}-1", NewEvent("Asked"))
    (first,) = await groups.receive(group, wait=5)
    assert first.attempt == 1
    (second,) = await groups.receive(group, 10, wait=5)
    assert (second.event.position, second.attempt) == (first.event.position, 2)
    assert await groups.ack(first) == (first.event.position,)
    assert await groups.ack(second) == ()
    assert await groups.ack(second) == (first.event.position,)
    assert await groups.receive(group, wait=0.2) == ()
    await groups.delete(group)
    await raises("EVENT_GROUP_NOT_FOUND", groups.receive(group))


@pytest.mark.feature("S4-29")
async def test_a_projection_is_rebuilt_in_a_shadow(client: Client) -> None:
    """States follow the events; deleted and computed again, they are the same."""
    store, category = client.event_store, fresh("stock")
    name = named("stock")

    @projection(name, category=category, key=lambda event: event.data["item"])
    def stock(state: Any, event: StoredEvent) -> Any:
        count = (state or {"count": 0})["count"] + event.data["count"]
        return {"count": count} if count else None

    projector = Projector(client, stock)
    for number in range(30):
        item = f"item {number % 3}"
        await store.append(f"{category}-{number}", NewEvent("Moved", {"item": item, "count": 1}))
    assert await projector.catch_up() == 30
    expected = {f"item {n}": {"count": 10} for n in range(3)}
    assert await client.projections.states(name) == expected
    sold = NewEvent("Moved", {"item": "item 0", "count": -10})
    await store.append(f"{category}-1", sold)
    await asyncio.gather(projector.catch_up(), Projector(client, stock).catch_up())
    del expected["item 0"]
    assert await client.projections.states(name) == expected
    info = await client.projections.get(name)
    assert await projector.rebuild() == 31
    rebuilt = await client.projections.get(name)
    assert rebuilt.generation == info.generation + 1
    assert await client.projections.states(name) == expected
    assert await client.projections.state(name, "item 1") == {"count": 10}


async def test_a_running_projector_follows_new_events(client: Client) -> None:
    """Until it is canceled; one that was overtaken reads again."""
    category, name = fresh("seen"), named("seen")

    @projection(name, category=category)
    def seen(state: Any, event: StoredEvent) -> Any:
        return (state or 0) + 1

    runners = [asyncio.create_task(Projector(client, seen).run()) for _ in range(2)]
    for _ in range(20):
        await client.event_store.append(f"{category}-1", NewEvent("Seen"))

    async def counted() -> bool:
        try:
            return bool(await client.projections.state(name, f"{category}-1") == 20)
        except NotFound:
            return False

    await until("the last event", counted, within_s=PATIENCE_S)
    for runner in runners:
        runner.cancel()


@pytest.mark.feature("S1-173", "S4-61")
async def test_the_history_of_an_execution_is_a_stream(suite: Suite, client: Client) -> None:
    """Read and followed as any other, and never changed; so is the log of a definition."""
    store = client.event_store
    name = f"seen-{uuid.uuid4().hex[:8]}"
    await client.register(DEFINITION | {"id": name})
    handle = await client.start(name, {}, wait=5)
    await handle.wait()
    stream = f"execution/{handle.id}"
    events = [each async for each in store.read(stream)]
    assert events[0].type == "WorkflowStarted"
    assert events[-1].type == "WorkflowCompleted"
    assert [each.version for each in events] == list(range(1, len(events) + 1))
    assert (await anext(store.read(stream, version=3))).version == 3
    followed = [each.version async for each in store.subscribe(stream=stream, after=2)]
    assert followed == list(range(3, len(events) + 1))
    await raises("STREAM_VIRTUAL", store.append(stream, NewEvent("Forged")))
    await raises("STREAM_VIRTUAL", store.delete(stream))
    await raises("EXECUTION_NOT_FOUND", anext(store.read("execution/nothing")))
    changes = [each async for each in store.read(f"definition/{name}")]
    assert [each.type for each in changes] == ["DefinitionCreated"]
    answer = await suite.get(f"/api/v1/streams/execution%2F{handle.id}/events?count=1")
    assert [each["type"] for each in answer.json["events"]] == ["WorkflowStarted"]


async def test_retention_and_deletion_remove_events_for_good(client: Client) -> None:
    """The name of a deleted stream is not used again; groups pass over its events."""
    store, category = client.event_store, fresh("old")
    stream, group = f"{category}-1", named("late")
    await client.event_groups.put(group, category=category)
    await store.append(stream, *(NewEvent("Counted", n) for n in range(20)))
    await store.set_retention(stream, max_events=5)
    info = await store.stream(stream)
    assert (info.first_version, info.version, info.max_events) == (16, 20, 5)
    assert await contents(client, stream) == list(range(15, 20))
    await raises("VERSION_CONFLICT", store.delete(stream, version=19))
    assert await store.delete(stream, version=20) == 5
    await raises("STREAM_NOT_FOUND", store.stream(stream))
    await raises("STREAM_NOT_FOUND", contents(client, stream))
    await raises("STREAM_DELETED", store.append(stream, NewEvent("Again")))
    assert await client.event_groups.receive(group, 10) == ()
