"""kill -9 among appends, projections, groups and sagas: nothing is lost, nothing counts twice."""

import asyncio
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from flowmesh.embedded.ports import free_port
from flowmesh.errors import FlowmeshError
from flowmesh.sdk import Client, NewEvent, Projector, StoredEvent, projection
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite

PATIENCE_S = 60
WRITERS, EVENTS, KILLS = 5, 100, 4


@projection("sums", category="writer")
def sums(state: Any, event: StoredEvent) -> Any:
    count, total = state or (0, 0)
    return [count + 1, total + event.data]


async def write(client: Client, number: int) -> None:
    """Append numbers one by one, each at the version that it must have."""
    for n in range(EVENTS):
        await client.event_store.append(f"writer-{number}", NewEvent("Written", n), expected=n)


async def consume(client: Client, acked: set[int], again: list[int], total: int) -> None:
    """Receive and acknowledge events; note those that come after their acknowledgment."""
    while len(acked) < total:
        try:
            found = await client.event_groups.receive("readers", 20, wait=1)
            positions = [each.event.position for each in found]
            again.extend(each for each in positions if each in acked)
            await client.event_groups.ack(*found)
        except FlowmeshError:
            continue  # some may be settled, and none of them is counted
        acked.update(positions)


async def project(client: Client, total: int) -> None:
    """Run projectors that fail with the service, until all events are applied."""
    projector, applied = Projector(client, sums), 0
    while applied < total:
        try:
            await projector.catch_up()
            states = await client.projections.states("sums")
            applied = sum(count for count, _ in states.values())
        except FlowmeshError:
            continue


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.feature("S4-26", "S1-165", "S4-29")
async def test_kills_among_appends_and_projections_lose_and_repeat_nothing(
    tmp_path: Path,
) -> None:
    """Each append, also a repeated one, is stored once; each event is projected once."""
    total = WRITERS * EVENTS
    acked: set[int] = set()
    again: list[int] = []
    async with Cluster(tmp_path / "data") as cluster, Client(cluster.grpc_address) as client:
        await client.event_groups.put("readers", category="writer", lease=2, max_attempts=1_000)
        await Projector(client, sums).info()
        tasks = [asyncio.create_task(write(client, n)) for n in range(WRITERS)]
        tasks.append(asyncio.create_task(consume(client, acked, again, total)))
        tasks += [asyncio.create_task(project(client, total)) for _ in range(2)]
        for kill in range(KILLS):
            reached = (kill + 1) * total // (KILLS + 1)

            async def progressed(wanted: int = reached) -> bool:
                return len(acked) >= wanted

            await until("further events", progressed, within_s=PATIENCE_S)
            cluster.send("event", signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*tasks)
        for number in range(WRITERS):
            stream = client.event_store.read(f"writer-{number}")
            assert [each.data async for each in stream] == list(range(EVENTS))
        page = await client.event_store.read_all(category="writer", count=1_000)
        assert page.end
        assert acked == {each.position for each in page.events}
        expected = {f"writer-{n}": [EVENTS, sum(range(EVENTS))] for n in range(WRITERS)}
        assert await client.projections.states("sums") == expected
    assert again == []


@pytest.mark.long
@pytest.mark.feature("S4-26", "S4-39")
async def test_events_survive_the_death_of_everything(tmp_path: Path) -> None:
    """Streams, snapshots and checkpoints are there after a restart."""
    suite = Suite(tmp_path / "data")
    async with suite:
        async with Client(suite.grpc_address) as client:
            for number in range(50):
                await client.event_store.append("writer-0", NewEvent("Written", number))
            await client.event_store.put_snapshot("writer-0", 40, {"sum": 1})
            await Projector(client, sums).catch_up()
        await suite.kill_everything()
        await suite.start()
        async with Client(suite.grpc_address) as client:
            snapshot, events = await client.event_store.load("writer-0")
            assert snapshot is not None
            assert (snapshot.version, snapshot.state) == (40, {"sum": 1})
            assert [each.data for each in events] == list(range(40, 50))
            assert await client.projections.state("sums", "writer-0") == [50, sum(range(50))]
            assert await Projector(client, sums).catch_up() == 0


PLACES = [
    f"{when} {what}"
    for what in ("reserve", "charge", "ship", "refund", "release")
    for when in ("before", "after")
]


@pytest.mark.long
@pytest.mark.feature("S4-27", "S4-87")
@pytest.mark.parametrize("place", PLACES)
async def test_a_saga_killed_between_any_two_steps_compensates_once(
    suite: Suite, tmp_path: Path, place: str
) -> None:
    """Another process with the class continues it; each effect happens once per key."""
    log, saga = tmp_path / "effects", uuid.uuid4().hex
    command = [sys.executable, "-m", "tests.features.events.killed_saga"]
    command += [suite.grpc_address, saga, str(log)]
    killed = await asyncio.create_subprocess_exec(*command, place)
    async with asyncio.timeout(PATIENCE_S):
        assert await killed.wait() == -signal.SIGKILL
        second = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        out, _ = await second.communicate()
    assert out.decode().split() == ["COMPENSATED"]
    effects = [line.split()[0] for line in log.read_text().splitlines()]
    assert effects == ["reserve", "charge", "ship", "refund", "release"]
    async with Client(suite.grpc_address) as client:
        types = [each.type async for each in client.event_store.read(f"saga-{saga}")]
    assert types.count("StepCompensated") == 2
    assert types[-1] == "SagaCompensated"


@pytest.mark.slow
@pytest.mark.feature("S4-27", "S4-87")
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "point",
    [
        "orchestrator.decided=kill9@3",
        "orchestrator.committed=kill9@4",
        "orchestrator.dispatched=kill9@5",
        "orchestrator.result_received=kill9@2",
        "eventstore.committed=kill9",
    ],
)
async def test_a_saga_compensates_once_when_the_suite_is_killed(tmp_path: Path, point: str) -> None:
    """kill -9 of all services at a commit point; the process of the saga lives on."""
    armed = tmp_path / "points"
    armed.write_text(point)
    environment = {"FLOWMESH_FAILPOINTS": f"@{armed}"}
    ports = (free_port(), free_port())
    suite = Suite(tmp_path / "data", ports=ports, environment=environment)
    log, saga = tmp_path / "effects", uuid.uuid4().hex
    async with suite:
        command = [sys.executable, "-m", "tests.features.events.killed_saga"]
        command += [suite.grpc_address, saga, str(log)]
        running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)

        async def hit() -> bool:
            return armed.with_name("points.hit").exists()

        await until(f"a kill at {point}", hit, within_s=PATIENCE_S)
        await suite.kill()
        await suite.start()
        async with asyncio.timeout(2 * PATIENCE_S):
            out, _ = await running.communicate()
    assert out.decode().split() == ["COMPENSATED"]
    effects = [line.split()[0] for line in log.read_text().splitlines()]
    assert effects == ["reserve", "charge", "ship", "refund", "release"]
