"""`flowmesh dev --orchestrators N --workers M`: more processes that share its servers."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psutil
import pytest
import pytest_asyncio

from flowmesh.testing.polling import done, until
from flowmesh.testing.suite import Suite
from tests.integration.suite.test_dev import HELLO, finished, gone

ARGUMENTS = ("--orchestrators", "2", "--workers", "2")
NAMES = ["orchestrator-2", "worker-2"]
SHARED_WITHIN_S = 20.0
RESTARTED_WITHIN_S = 30.0
_SHARES = """
select count(*) as owned from orchestrator.partitions p
join orchestrator.incarnations i on i.id = p.incarnation where i.lease_until > now()
group by i.id order by owned"""

pytestmark = pytest.mark.long


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scaled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    async with Suite(tmp_path_factory.mktemp("scaled") / "data", *ARGUMENTS) as running:
        yield running


async def shares(suite: Suite) -> list[int]:
    """How many partitions each live orchestrator owns."""
    connection: asyncpg.Connection = await asyncpg.connect(str(suite.about["postgres"]))
    try:
        return [row["owned"] for row in await connection.fetch(_SHARES)]
    finally:
        await connection.close()


async def shared(suite: Suite) -> None:
    """Returns when both orchestrators own half of the partitions."""

    async def halves() -> bool:
        return await shares(suite) == [32, 32]

    await until("partitions shared", halves, within_s=SHARED_WITHIN_S)


async def test_both_orchestrators_share_the_work(scaled: Suite) -> None:
    """The file names the processes, and executions run in all of them."""
    assert [row["name"] for row in scaled.processes] == NAMES
    await shared(scaled)
    ids = [await scaled.begin(await scaled.define(HELLO)) for _ in range(20)]
    assert {(await scaled.wait(i))["status"] for i in ids} == {"completed"}


@pytest.mark.parametrize("name", NAMES)
async def test_a_killed_process_is_started_again(scaled: Suite, name: str) -> None:
    """Under its name, and work goes on meanwhile."""
    victim = scaled.pid_of(name)
    os.kill(victim, signal.SIGKILL)
    assert (await scaled.run(HELLO))["status"] == "completed"
    await done(
        f"{name} again",
        lambda: scaled.pid_of(name) not in (0, victim),
        within_s=RESTARTED_WITHIN_S,
    )
    await shared(scaled)


async def test_all_end_together(tmp_path: Path) -> None:
    """Drained by one signal with exit code 0; killed with the first process when that is."""
    suite = Suite(tmp_path / "data", *ARGUMENTS)
    await suite.start()
    processes = psutil.Process(suite.pid).children(recursive=True)
    assert await suite.stop() == 0
    assert await gone(processes)

    await suite.start()
    processes = psutil.Process(suite.pid).children(recursive=True)
    assert {suite.pid_of(name) for name in NAMES} <= {process.pid for process in processes}
    await suite.kill()
    assert await gone(processes)


async def test_none_is_too_few(tmp_path: Path) -> None:
    """The error names the flag."""
    argv = ("dev", "--data-dir", str(tmp_path / "data"), "--orchestrators", "0")
    code, _, errors = await finished(sys.executable, "-m", "flowmesh.suite", *argv)
    assert code != 0
    assert "--orchestrators" in errors
