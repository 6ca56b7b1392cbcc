"""The cluster that these tests break, a receiver for its calls, the table of what they found."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from flowmesh.testing import audit
from flowmesh.testing.world import World
from tests.faults.harness.rig import Rig
from tests.faults.harness.scenario import Scenario
from tests.faults.harness.tally import Tally

FAILURE_RATE = 0.02
LATENCY_MS = (1, 10)
SEED = int(os.environ.get("FAULTS_SEED", "7"))
RUNS_FILE = os.environ.get("FAULTS_RUNS", "")
TALLY = pytest.StashKey[Tally]()


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Tally:
    """Where every test of the matrix writes down what it found."""
    return pytestconfig.stash.setdefault(TALLY, Tally())


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Prints the table, and adds the run to the file of runs where one is named."""
    tally = config.stash.get(TALLY, None)
    if tally is None or not (tally.rows or tally.figures):
        return
    terminalreporter.section(f"fault matrix, seed {SEED}")
    terminalreporter.write_line(tally.table())
    if RUNS_FILE:
        failed = len(terminalreporter.stats.get("failed", []))
        tally.append_to(Path(RUNS_FILE), seed=SEED, failed_tests=failed)


@pytest.fixture(scope="session")
def seed() -> int:
    """Of everything that is drawn; FAULTS_SEED chooses another."""
    return SEED


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """Two orchestrators, two workers and the rest, each a process, behind proxies."""
    async with Rig(tmp_path_factory.mktemp("rig")) as running:
        await audit.install(running.postgres)
        yield running


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def plain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """The same without proxies, for load: the proxies would be what limits it."""
    async with Rig(tmp_path_factory.mktemp("plain"), proxied=False) as running:
        await audit.install(running.postgres)
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def world(seed: int, tmp_path: Path) -> AsyncIterator[World]:
    """A receiver that fails now and then; its effects are on disk before it answers."""
    async with World(
        failure_rate=FAILURE_RATE,
        latency_ms=LATENCY_MS,
        seed=seed,
        effects=tmp_path / "effects",
    ) as running:
        yield running


@pytest.fixture
def scenario(rig: Rig, world: World, tally: Tally) -> Scenario:
    """Makes drills on the rig."""
    return Scenario(rig, world, tally)
