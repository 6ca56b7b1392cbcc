"""What others notice when an orchestrator joins or leaves: nothing for partitions that stay."""

import asyncio
import itertools
import signal
import statistics
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg
import pytest
import pytest_asyncio

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.errors import Overloaded, Unavailable
from flowmesh.orchestrator.model.ids import partition_of_request
from flowmesh.testing import audit
from flowmesh.testing.audit import Commit, Owned
from flowmesh.testing.polling import allowed_s, pause, until
from flowmesh.testing.suite import Suite
from tests.drills.beside import beside

GAP_S = 1.0
GRAIN_US = 10_000
# After everything is where it belongs: a pause that begins last is seen too.
AFTER_S = 1.5
PARTITIONS = 64
# Between an execution and the next of its partition: the load is steady, not all there is.
REST_S = 0.1
WAIT_MS = 20_000
RETRY_S = 0.05
MOVED_WITHIN_S = 30.0
STEPS = [
    {"id": "a", "name": "a"},
    {"id": "b", "name": "b", "dependencies": ["a"]},
    {"id": "c", "name": "c", "dependencies": ["b"]},
]
CHAIN = {"id": "chain", "name": "chain", "steps": STEPS}
_OWNERS = """
select p.id, p.epoch, i.address from orchestrator.partitions p
left join orchestrator.incarnations i on i.id = p.incarnation and i.lease_until > now()"""


@dataclass(frozen=True, slots=True)
class Phase:
    """A change of owners: when, which partitions kept theirs."""

    what: str
    began_us: int
    ended_us: int
    stayed: frozenset[int]


class Watched:
    """A suite under load, and what its database has seen."""

    def __init__(self, suite: Suite, database: asyncpg.Connection) -> None:
        self.suite = suite
        self.phases: list[Phase] = []
        self._database = database

    async def owners(self) -> dict[int, tuple[int, str | None]]:
        """Epoch and address of the live owner of each partition."""
        rows = await self._database.fetch(_OWNERS)
        return {row["id"]: (row["epoch"], row["address"]) for row in rows}

    async def shared(self, count: int, gone: str = "") -> None:
        """Returns when so many orchestrators have their share and one has nothing."""

        async def settled() -> bool:
            addresses = [address for _, address in (await self.owners()).values()]
            each = {name: addresses.count(name) for name in set(addresses)}
            fair = len(each) == count and max(each.values()) <= -(-PARTITIONS // count)
            return fair and None not in each and gone not in each

        await until(f"partitions shared by {count}", settled, within_s=MOVED_WITHIN_S)

    @asynccontextmanager
    async def phase(self, what: str) -> AsyncIterator[None]:
        """What happens inside is one change."""
        before, began_us = await self.owners(), await self._now_us()
        yield
        await pause(AFTER_S)
        after, ended_us = await self.owners(), await self._now_us()
        stayed = frozenset(p for p in before if before[p] == after[p])
        assert stayed
        self.phases.append(Phase(what, began_us, ended_us, stayed))

    async def recorded(self) -> tuple[list[Owned], list[Commit]]:
        """Who owned what, and who committed what."""
        return await audit.read(self._database)

    async def _now_us(self) -> int:
        clock = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint"
        return int(await self._database.fetchval(clock))


def request_ids(partition: int) -> Iterator[str]:
    """Names of starts that all belong to one partition."""
    for number in itertools.count():
        if partition_of_request("default", name := f"start-{number}") == partition:
            yield name


async def keep_busy(suite: Suite, partition: int) -> None:
    """Starts a chain and waits for its end, again and again, in one partition."""
    stub = ExecutionServiceStub(suite.channel)
    for request_id in request_ids(partition):
        request = pb.StartExecutionRequest(
            workflow_id="chain", request_id=request_id, wait_ms=WAIT_MS, without_nodes=True
        )
        while True:
            try:
                await stub.StartExecution(request, timeout=WAIT_MS / 1000 + 5)
                break
            except (Unavailable, Overloaded):
                await pause(RETRY_S)
        await pause(REST_S)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    """Two orchestrators and two workers of `flowmesh dev`, each partition always busy."""
    folder = tmp_path_factory.mktemp("rebalance") / "data"
    async with Suite(folder, "--orchestrators", "2", "--workers", "2") as suite:
        database: asyncpg.Connection = await asyncpg.connect(str(suite.about["postgres"]))
        await audit.install(str(suite.about["postgres"]))
        running = Watched(suite, database)
        await running.shared(2)
        await suite.define(CHAIN)
        lanes = [asyncio.create_task(keep_busy(suite, p)) for p in range(PARTITIONS)]
        try:
            await pause(AFTER_S)
            yield running
        finally:
            for each in lanes:
                each.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
            await database.close()


def longest_gaps_us(commits: list[Commit], phase: Phase) -> dict[int, int]:
    """The longest time without a committed transition of each partition, in grains of 10 ms."""
    seen = {partition: [phase.began_us] for partition in range(PARTITIONS)}
    for commit in commits:
        if phase.began_us <= commit.at_us <= phase.ended_us:
            for partition in commit.partitions:
                seen[partition].append(commit.at_us)
    return {
        partition: max(
            later // GRAIN_US - earlier // GRAIN_US
            for earlier, later in itertools.pairwise((*sorted(moments), phase.ended_us))
        )
        * GRAIN_US
        for partition, moments in seen.items()
    }


def line(phase: Phase, gaps_us: dict[int, int]) -> str:
    """The longest gaps of both kinds, for the log of the run."""
    moved = [gaps_us[p] for p in gaps_us if p not in phase.stayed]
    kept = [gaps_us[p] for p in phase.stayed]
    told = [f"{len(kept)} partitions stay: {_gaps(kept)}"]
    if moved:
        told.append(f"{len(moved)} move: {_gaps(moved)}")
    return f"[{phase.what}] {'; '.join(told)}"


def _gaps(gaps_us: list[int]) -> str:
    return f"longest gap {max(gaps_us) / 1e6:.2f} s, p50 {statistics.median(gaps_us) / 1e6:.2f} s"


@pytest.mark.slow
@pytest.mark.feature("S2-53", "S3-21")
async def test_partitions_that_stay_keep_working(watched: Watched) -> None:
    """An orchestrator joins, leaves, joins and is killed: no pause above 1 s for the others'."""
    async with watched.phase("nothing changes"):
        await pause(AFTER_S)
    for what, number in (("SIGTERM", signal.SIGTERM), ("kill -9", signal.SIGKILL)):
        async with AsyncExitStack() as stack:
            async with watched.phase(f"joins before {what}"):
                started = beside(watched.suite, "orchestrator")
                member, process = await stack.enter_async_context(started)
                await watched.shared(3)
            async with watched.phase(what):
                process.send_signal(number)
                await watched.shared(2, gone=member.grpc)
    owners, commits = await watched.recorded()

    found = [(phase, longest_gaps_us(commits, phase)) for phase in watched.phases]
    print("\n".join(line(phase, gaps_us) for phase, gaps_us in found))
    assert audit.check_epochs(owners, commits) == []
    for phase, gaps_us in found:
        longest_us = max(gaps_us[partition] for partition in phase.stayed)
        assert longest_us <= allowed_s(GAP_S) * 1_000_000, phase.what
