"""The registry on a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress

import pytest
import structlog
from redis.asyncio import Redis

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.errors import FlowmeshError
from flowmesh.registry.health import Record
from flowmesh.registry.instances import Filter
from flowmesh.registry.store import InstanceStore
from flowmesh.registry.watch import Watchers

from .conftest import Registry

FAST_MS = 100
SLOW_MS = 60_000
PATIENCE_S = 10
SPACE = "default"


def instance(name: str, instance_id: str = "", *capabilities: str, kind: str = "") -> pb.Instance:
    return pb.Instance(
        namespace=SPACE,
        id=instance_id or name,
        name=name,
        type=kind,
        endpoint="127.0.0.1:7450",
        capabilities=capabilities,
    )


async def next_of(stream: AsyncIterator[tuple[bool, list[pb.Instance]]]) -> list[pb.Instance]:
    async with asyncio.timeout(PATIENCE_S):
        return (await anext(stream))[1]


async def until(
    stream: AsyncIterator[tuple[bool, list[pb.Instance]]], instance_id: str, status: int
) -> None:
    while all((i.id, i.status) != (instance_id, status) for i in await next_of(stream)):
        pass


async def test_a_registered_instance_is_found_healthy(registry: Registry) -> None:
    """Get and list return it at once, with its times."""
    await registry.instances.register(instance("orders"), interval_ms=SLOW_MS)
    found = await registry.instances.get(SPACE, "orders")
    page, token = await registry.instances.page(Filter(SPACE), size=0, token="", list_name="all")

    assert found.status == pb.INSTANCE_STATUS_HEALTHY
    assert found.registered_at_us == found.heartbeat_at_us > 0
    assert (page, token) == ([found], "")


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Filter(SPACE, capabilities=("refund",)), ["b1"]),
        (Filter(SPACE, name="a"), ["a1", "a2"]),
        (Filter(SPACE, type="core"), ["a2"]),
        (Filter(SPACE, statuses={pb.INSTANCE_STATUS_DEGRADED}), ["b1"]),
        (Filter("elsewhere"), []),
    ],
)
async def test_a_filter_lets_only_matches_pass(
    registry: Registry, wanted: Filter, ids: list[str]
) -> None:
    """Name, type, capability, status and namespace each narrow the list."""
    for each in (
        instance("a", "a1", "charge"),
        instance("a", "a2", kind="core"),
        instance("b", "b1", "charge", "refund"),
    ):
        await registry.instances.register(each, interval_ms=SLOW_MS)
    await registry.instances.heartbeat(SPACE, "b1", reported=pb.INSTANCE_STATUS_DEGRADED)
    page, _ = await registry.instances.page(wanted, size=0, token="", list_name="all")

    assert [each.id for each in page] == ids


async def test_pages_continue_after_the_previous_one(registry: Registry) -> None:
    """By name and id, each instance once."""
    names = ["a", "b", "c", "d", "e"]
    for name in reversed(names):
        await registry.instances.register(instance(name), interval_ms=SLOW_MS)
    seen, token = [], ""
    while True:
        page, token = await registry.instances.page(
            Filter(SPACE), size=2, token=token, list_name="all"
        )
        seen += [each.id for each in page]
        if not token:
            break
    assert seen == names


@pytest.mark.parametrize("token", ["!", "YQ==", "é", "a"])
async def test_a_foreign_page_token_is_refused(registry: Registry, token: str) -> None:
    """The error is one of the caller, with a reason."""
    with pytest.raises(FlowmeshError) as refused:
        await registry.instances.page(Filter(SPACE), size=2, token=token, list_name="all")
    assert refused.value.reason == "PAGE_TOKEN_INVALID"


async def test_every_bad_field_is_named(registry: Registry) -> None:
    """One violation per missing or invalid field."""
    with pytest.raises(FlowmeshError) as refused:
        await registry.instances.register(pb.Instance(namespace=SPACE, id="a b"), interval_ms=1)
    assert refused.value.reason == "INSTANCE_INVALID"
    assert {violation.field for violation in refused.value.violations} == {
        "instance.id",
        "instance.name",
        "instance.endpoint",
        "heartbeat_interval_ms",
    }


async def test_a_heartbeat_of_an_unknown_instance_is_rejected(registry: Registry) -> None:
    """After a data loss of Redis, and after deregistration, a heartbeat returns not found."""
    await registry.instances.register(instance("orders"), interval_ms=SLOW_MS)
    await registry.lose_everything()
    for act in ("lost", "left"):
        with pytest.raises(FlowmeshError) as refused:
            await registry.instances.heartbeat(
                SPACE, "orders", reported=pb.INSTANCE_STATUS_UNSPECIFIED
            )
        assert refused.value.reason == "INSTANCE_NOT_FOUND", act
        await registry.instances.register(instance("orders"), interval_ms=SLOW_MS)
        await registry.instances.heartbeat(SPACE, "orders", reported=pb.INSTANCE_STATUS_UNSPECIFIED)
        await registry.instances.deregister(SPACE, "orders")
        await registry.instances.deregister(SPACE, "orders")


async def test_a_deregistered_instance_is_listed_as_offline(registry: Registry) -> None:
    """Its record is kept for an hour."""
    await registry.instances.register(instance("orders"), interval_ms=SLOW_MS)
    await registry.instances.deregister(SPACE, "orders")
    found = await registry.instances.get(SPACE, "orders")

    assert found.status == pb.INSTANCE_STATUS_OFFLINE


async def test_records_end_with_their_time(registry: Registry, redis: Redis) -> None:
    """Every key expires an hour after the lease; no cleanup is needed."""
    await registry.instances.register(instance("orders"), interval_ms=1_000)
    left_ms = await redis.pttl(f"{registry.prefix}:registry/{{default}}/orders")

    assert 3_600_000 < left_ms <= 3_606_000


async def test_a_silent_instance_passes_through_all_statuses(registry: Registry) -> None:
    """A watcher gets degraded, unhealthy and offline without a read by a client."""
    stream = registry.watchers.watch(Filter(SPACE))
    assert await next_of(stream) == []
    await registry.instances.register(instance("orders"), interval_ms=FAST_MS)
    heard = [(await next_of(stream))[0].status for _ in range(4)]

    assert heard == [
        pb.INSTANCE_STATUS_HEALTHY,
        pb.INSTANCE_STATUS_DEGRADED,
        pb.INSTANCE_STATUS_UNHEALTHY,
        pb.INSTANCE_STATUS_OFFLINE,
    ]


async def test_a_late_heartbeat_brings_an_instance_back(registry: Registry) -> None:
    """Offline is not final while the record exists."""
    stream = registry.watchers.watch(Filter(SPACE))
    await next_of(stream)
    await registry.instances.register(instance("orders"), interval_ms=FAST_MS)
    await until(stream, "orders", pb.INSTANCE_STATUS_OFFLINE)
    await registry.instances.heartbeat(SPACE, "orders", reported=pb.INSTANCE_STATUS_UNSPECIFIED)

    assert (await next_of(stream))[0].status == pb.INSTANCE_STATUS_HEALTHY


async def test_watchers_of_another_process_are_notified_at_once(
    registry: Registry, other: Registry
) -> None:
    """Registration, a changed report and deregistration are announced between processes."""
    stream = other.watchers.watch(Filter(SPACE, name="orders"))
    await next_of(stream)
    await registry.instances.register(instance("unrelated"), interval_ms=SLOW_MS)
    await registry.instances.register(instance("orders"), interval_ms=SLOW_MS)
    await until(stream, "orders", pb.INSTANCE_STATUS_HEALTHY)
    await registry.instances.heartbeat(SPACE, "orders", reported=pb.INSTANCE_STATUS_DEGRADED)
    await until(stream, "orders", pb.INSTANCE_STATUS_DEGRADED)
    await registry.instances.deregister(SPACE, "orders")
    await until(stream, "orders", pb.INSTANCE_STATUS_OFFLINE)


async def test_the_snapshot_comes_first(registry: Registry) -> None:
    """The first message holds the existing instances and is marked as the snapshot."""
    await registry.instances.register(instance("orders"), interval_ms=SLOW_MS)
    stream = registry.watchers.watch(Filter(SPACE))
    async with asyncio.timeout(PATIENCE_S):
        snapshot, there = await anext(stream)

    assert snapshot
    assert [each.id for each in there] == ["orders"]


async def test_a_flushed_redis_does_not_report_all_as_offline(registry: Registry) -> None:
    """Instances that register again within their lease are never reported offline."""
    await registry.instances.register(instance("orders"), interval_ms=SLOW_MS)
    stream = registry.watchers.watch(Filter(SPACE))
    await next_of(stream)
    await registry.lose_everything()
    await registry.instances.register(instance("other"), interval_ms=SLOW_MS)
    assert [(each.id, each.status) for each in await next_of(stream)] == [
        ("other", pb.INSTANCE_STATUS_HEALTHY)
    ]


async def test_nothing_runs_without_watchers(registry: Registry) -> None:
    """The end of the last watcher ends the task that follows changes."""
    stream = registry.watchers.watch(Filter(SPACE))
    async with aclosing(stream):
        await next_of(stream)

    assert registry.watchers.count == 0


async def test_offline_instances_make_room_for_new_ones(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a full namespace live instances keep their places, and one too many is rejected."""
    monkeypatch.setattr("flowmesh.registry.store.INSTANCES_MAX", 3)
    for name in "abc":
        await registry.instances.register(instance(name), interval_ms=SLOW_MS)
    with pytest.raises(FlowmeshError) as full:
        await registry.instances.register(instance("d"), interval_ms=FAST_MS)
    assert full.value.reason == "OVERLOADED"

    await registry.instances.deregister(SPACE, "b")
    await registry.instances.register(instance("d"), interval_ms=FAST_MS)
    stream = registry.watchers.watch(Filter(SPACE, name="d"))
    await until(stream, "d", pb.INSTANCE_STATUS_OFFLINE)
    await registry.instances.register(instance("e"), interval_ms=SLOW_MS)
    page, _ = await registry.instances.page(Filter(SPACE), size=0, token="", list_name="all")
    assert [each.id for each in page] == ["a", "c", "e"]


class DeafStore(InstanceStore):
    """Loses one cancellation, like a Redis command that was just sent."""

    def __init__(self, *, redis: Redis, prefix: str) -> None:
        super().__init__(redis=redis, prefix=prefix)
        self.deaf = False
        self.reading = asyncio.Event()

    async def read(
        self, namespace: str, instance_ids: Sequence[str] = ()
    ) -> tuple[int, list[Record]]:
        answer = await super().read(namespace, instance_ids)
        if self.deaf:
            self.deaf = False
            self.reading.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return answer


async def test_closing_ends_a_task_that_has_lost_a_cancel(registry: Registry, redis: Redis) -> None:
    """A lost cancellation does not leave the task running."""
    store = DeafStore(redis=redis, prefix=registry.prefix)
    watchers = Watchers(store=store, log=structlog.get_logger())
    async with aclosing(watchers.watch(Filter(SPACE))) as stream:
        await next_of(stream)
        store.deaf = True
        await registry.instances.register(instance("orders"), interval_ms=SLOW_MS)
        await store.reading.wait()
        closing = asyncio.create_task(watchers.close())
        assert await asyncio.wait([closing], timeout=PATIENCE_S) == ({closing}, set())
