"""The store of the fleet, on a real database and in memory: one leader, no late writes."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from flowmesh.api.execution.v1 import meter_service_pb2
from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.errors import Unavailable
from flowmesh.fleet.running.meters import MeterLoop
from flowmesh.fleet.storage.memory import MemoryTables
from flowmesh.fleet.storage.records import Beat
from flowmesh.fleet.storage.store import MIGRATIONS, SCHEMA, FleetStore
from flowmesh.storage import open_database

KEY = ("default", "packers")
SPEC = pb.AgentSpec(spec="packers", command=["python", "worker.py"], replicas=2)


@pytest.fixture(params=["database", "memory"])
async def store(migrated: str, request: pytest.FixtureRequest) -> AsyncIterator[FleetStore]:
    if request.param == "memory":
        yield FleetStore(MemoryTables())
        return
    async with open_database(migrated, schema=SCHEMA, migrations=MIGRATIONS) as pool:
        yield FleetStore(pool, call=lambda: "")


async def put(store: FleetStore, spec: pb.AgentSpec = SPEC) -> None:
    async with store.changing("default") as wishes:
        await wishes.put_spec(spec, "")


async def test_a_former_leader_cannot_write(store: FleetStore) -> None:
    """Its epoch is over once another instance has taken the lease."""
    await put(store)
    first, idle = await store.lead("one")
    assert (first > 0, idle) == (True, False)
    assert await store.lead("one") == (first, False)
    assert await store.lead("two") == (0, True)
    await store.leave("one")
    second, _ = await store.lead("two")
    assert second > first
    found = await store.spec(KEY)
    assert found is not None
    with pytest.raises(Unavailable):
        async with store.leading(first) as steps:
            await steps.insert("agent-1", found, 0)
    async with store.leading(second) as steps:
        await steps.insert("agent-2", found, 0)
    assert [each.id for each in await store.agents("default")] == ["agent-2"]


async def test_a_version_goes_back_and_forth(store: FleetStore) -> None:
    """A version that comes back keeps its number; the next one has a new number."""
    await put(store)
    epoch, _ = await store.lead("one")
    async with store.leading(epoch) as steps:
        await steps.settled(KEY)
    await put(store, pb.AgentSpec(spec="packers", command=["false"], replicas=2))
    async with store.leading(epoch) as steps:
        await steps.returned(KEY, "UPDATE_WENT_BACK")
    found = await store.spec(KEY)
    assert found is not None
    assert (found.version, found.content.command[0]) == (1, "python")
    await put(store, pb.AgentSpec(spec="packers", command=["true"], replicas=2))
    found = await store.spec(KEY)
    assert found is not None
    assert found.version == 3


async def test_a_policy_leaves_its_count(store: FleetStore) -> None:
    """The spec of a deleted policy keeps the count that was wanted last."""
    await put(store)
    async with store.changing("default") as wishes:
        await wishes.put_policy(pb.ScalingPolicy(policy="p", spec="packers", max=9))
    async with store.leading((await store.lead("one"))[0]) as steps:
        await steps.note(KEY, 7, "")
    async with store.changing("default") as wishes:
        assert await wishes.remove_policy("p")
        assert not await wishes.remove_policy("p")
    found = await store.spec(KEY)
    assert found is not None
    assert (found.replicas, found.has_policy) == (7, False)


async def test_a_failed_change_leaves_nothing(store: FleetStore) -> None:
    """Also of its parts before the failure; quotas, decisions and lives are read as written."""
    await put(store)
    with pytest.raises(ZeroDivisionError):
        async with store.changing("default") as wishes:
            await wishes.set_replicas("packers", 1 // 0)
    async with store.leading((await store.lead("one"))[0]) as steps:
        found = (await store.specs("default"))[0]
        await steps.insert("agent-1", found, 0)
        await steps.decided("default", pb.ScalingDecision(spec="packers", count=2, held=["MAX"]))
        assert await steps.starts("default") == 1
    async with store.leading((await store.lead("one"))[0]) as steps:
        await steps.started("agent-1", 7, "here", {"cpu": "supervisor"})
        await steps.ready("agent-1")
        await steps.measured([("agent-1", 0.5, 9)])
    await store.beat({"agent-1": Beat(4, 3, {"open-orders": 2.5})})
    (agent,) = await store.present()
    assert (agent.pid, agent.cpu, agent.memory_bytes, agent.slots, agent.busy) == (7, 0.5, 9, 4, 3)
    assert agent.gauges == {"open-orders": 2.5}
    spec = await store.spec(KEY)
    assert spec is not None
    assert (spec.ready, spec.replicas) == (1, 2)
    async with store.changing("default") as wishes:
        drained = await wishes.drain_agent("agent-1", "STOPPED")
        assert drained is not None
        assert not drained.alive
    async with store.leading((await store.lead("one"))[0]) as steps:
        await steps.ended("agent-1", pb.AGENT_STATE_STOPPED, "STOPPED", words="bye")
    assert await store.agents("default") == []
    (ended,) = await store.agents("default", ended=True)
    assert (ended.last_words, ended.cpu) == ("bye", 0)
    assert [each.held for each in await store.decisions("default", "")] == [["MAX"]]
    await store.set_quota("default", pb.AgentQuota(agents=3))
    assert (await store.quotas())["default"].agents == 3
    await store.forget()


class Meters:
    """A meter service that keeps what is booked, or is unavailable."""

    def __init__(self) -> None:
        self.booked: list[meter_service_pb2.Booking] = []
        self.available = True

    async def BookMeters(
        self, request: meter_service_pb2.BookMetersRequest
    ) -> meter_service_pb2.BookMetersResponse:
        if not self.available:
            raise Unavailable("SERVICE_UNAVAILABLE", "away")
        self.booked.extend(request.bookings)
        return meter_service_pb2.BookMetersResponse()


async def test_seconds_of_agents_are_booked(migrated: str) -> None:
    """A round books the sum so far of each agent, and nothing while the meters are away."""
    async with open_database(migrated, schema=SCHEMA, migrations=MIGRATIONS) as pool:
        store, meters = FleetStore(pool, call=lambda: ""), Meters()
        loop = MeterLoop(store, cast("Any", meters))
        await put(store)
        async with store.leading((await store.lead("one"))[0]) as steps:
            await steps.insert("agent-1", (await store.specs("default"))[0], 0)
        await pool.execute("update agents set created_at = created_at - interval '90 seconds'")
        assert await loop.run_once() >= 1
        assert {(each.source, each.namespace) for each in meters.booked} == {("agent-1", "default")}
        assert 90 <= sum(each.used.agent_seconds for each in meters.booked) < 120
        meters.available = False
        assert await loop.run_once() == 0
