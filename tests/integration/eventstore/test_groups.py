"""Groups of the event store: attempts, leases, parked events, and positions."""

import pytest

from flowmesh.api.eventstore.v1 import event_group_service_pb2 as pb
from flowmesh.api.eventstore.v1 import stored_event_pb2
from flowmesh.errors import Invalid, NotFound, WrongState
from flowmesh.eventstore import limits
from tests.integration.eventstore.made import NAMESPACE, Parts

LEASE_MS, DELAY_MS, ATTEMPTS = 1_000, 500, 3


@pytest.fixture
async def groups(parts: Parts) -> Parts:
    """The group `g` of the events of `a`."""
    group = pb.EventGroup(
        event_group="g",
        filter=stored_event_pb2.EventFilter(category="a"),
        lease_ms=LEASE_MS,
        max_attempts=ATTEMPTS,
        retry_delay_ms=DELAY_MS,
    )
    assert (await parts.groups.put(NAMESPACE, group)).created
    return parts


async def received(parts: Parts, count: int = 10) -> list[tuple[int, int]]:
    """Return position and attempt of what is delivered now."""
    request = pb.ReceiveEventsRequest(event_group="g", max=count)
    found = await parts.groups.receive(NAMESPACE, request)
    return [(each.event.position, each.attempt) for each in found]


async def settled(parts: Parts, *settlements: pb.EventSettlement) -> list[int]:
    request = pb.SettleEventsRequest(event_group="g", settlements=settlements)
    return await parts.groups.settle(NAMESPACE, request)


def failed(position: int, attempt: int, *, park: bool = False) -> pb.EventSettlement:
    failure = pb.EventFailure(error="broken", park=park)
    return pb.EventSettlement(position=position, attempt=attempt, failure=failure)


async def parked(parts: Parts) -> list[tuple[int, int, str]]:
    request = pb.ListParkedEventsRequest(event_group="g")
    found = await parts.groups.parked(NAMESPACE, request)
    return [(each.event.position, each.attempts, each.error) for each in found]


async def checkpoint(parts: Parts) -> int:
    (group,) = await parts.groups.all(NAMESPACE)
    return group.checkpoint


async def test_each_event_is_delivered_once_while_it_is_leased(groups: Parts) -> None:
    """As many as asked for; the checkpoint is behind them, or at the head if they are all."""
    await groups.append("a-1", "Made", "Made", "Made")
    await groups.append("b-1", "Made")
    assert (await received(groups, 2), await checkpoint(groups)) == ([(1, 1), (2, 1)], 2)
    assert (await received(groups), await checkpoint(groups)) == ([(3, 1)], 4)
    assert await received(groups) == []
    assert await settled(groups, pb.EventSettlement(position=1, attempt=1)) == []
    stale = [pb.EventSettlement(position=1, attempt=1), pb.EventSettlement(position=2, attempt=2)]
    assert await settled(groups, *stale) == [1, 2]
    groups.clock.us += LEASE_MS * 1_000
    assert await received(groups) == [(2, 2), (3, 2)]


async def test_a_failed_delivery_comes_again_until_its_attempts_are_used(groups: Parts) -> None:
    """After a delay; then it is parked, and delivered again when that is asked for."""
    await groups.append("a-1", "Made")
    for attempt in range(1, ATTEMPTS + 1):
        assert await received(groups) == [(1, attempt)]
        assert await settled(groups, failed(1, attempt)) == []
        groups.clock.us += DELAY_MS * 1_000 - 1
        assert await received(groups) == []
        groups.clock.us += 1
    assert await received(groups) == []
    assert await parked(groups) == [(1, ATTEMPTS, "broken")]
    replay = pb.ReplayParkedEventsRequest(event_group="g", positions=[1])
    assert await groups.groups.replay(NAMESPACE, replay) == 1
    assert await parked(groups) == []
    assert await received(groups) == [(1, 1)]


async def test_a_failure_may_park_at_once(groups: Parts) -> None:
    """So does a lease that ended with the last attempt."""
    await groups.append("a-1", "Made", "Made")
    assert await received(groups) == [(1, 1), (2, 1)]
    await settled(groups, failed(1, 1, park=True))
    for attempt in (2, 3):
        groups.clock.us += LEASE_MS * 1_000
        assert await received(groups) == [(2, attempt)]
    groups.clock.us += LEASE_MS * 1_000
    assert await received(groups) == []
    assert [each[0] for each in await parked(groups)] == [1, 2]


async def test_a_group_keeps_its_place_when_its_settings_change(groups: Parts) -> None:
    """Its filter stays; what does not exist is not found."""
    await groups.append("a-1", "Made")
    await received(groups)
    (group,) = await groups.groups.all(NAMESPACE)
    changed = pb.EventGroup(event_group="g", filter=group.filter, start_after=7)
    answer = await groups.groups.put(NAMESPACE, changed)
    assert (answer.created, answer.group.checkpoint, answer.group.start_after) == (False, 1, 0)
    assert answer.group.max_attempts == limits.ATTEMPTS_DEFAULT
    with pytest.raises(WrongState) as refused:
        await groups.groups.put(NAMESPACE, pb.EventGroup(event_group="g"))
    assert refused.value.reason == "GROUP_DIFFERS"
    with pytest.raises(Invalid):
        await received(groups, limits.RECEIVE_MAX + 1)
    await groups.groups.delete(NAMESPACE, "g")
    for call in (received(groups), settled(groups), parked(groups)):
        with pytest.raises(NotFound):
            await call
