"""Signals on a disk of their own that is really full. The mount takes root."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest

from flowmesh.testing.disks import full, small_disk
from flowmesh.testing.polling import pause, until
from flowmesh.testing.suite import Suite
from tests.drills.short import completed, executed
from tests.features.commands import command
from tests.features.store import metric

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[3]
DROPPED = "flowmesh_observe_dropped_total"
EXECUTIONS = 300
WITHIN_S = 60.0
PAUSE_S = 0.5
MINUTE_S = 130.0
"""A process keeps 1,000 records a minute, which the executions on the full disk have used up."""

ENVIRONMENT = {"FLOWMESH_LOG_TRANSITIONS": "true", "FLOWMESH_OBSERVE_SLOW_MS": "0.000001"}


def statements() -> list[str]:
    """The statements of docs/observe.md that move the signals to a disk of their own."""
    page = (ROOT / "docs/observe.md").read_text()
    block = page.partition("```sql\n")[2].partition("```")[0]
    return [each.strip() for each in block.replace("\\gexec", ";").split(";") if each.strip()]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that the user of PostgreSQL reaches; those of pytest are for root only."""
    with tempfile.TemporaryDirectory(prefix="flowmesh-signals-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture(scope="module")
async def disk(folder: Path) -> AsyncIterator[Path]:
    async with small_disk(folder / "disk", "8m") as mounted:
        yield mounted


@pytest.fixture(scope="module")
async def watched(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite that logs every transition, finds every call slow, and keeps both on the disk."""
    folder = tmp_path_factory.mktemp("watched") / "data"
    async with Suite(folder, "--log-level", "info", environment=ENVIRONMENT) as running:
        shutil.copystat(folder / "postgres", disk)
        owner = (folder / "postgres").stat()
        shutil.chown(disk, owner.st_uid, owner.st_gid)
        await move_signals(str(running.about["postgres"]), disk)
        yield running


async def move_signals(postgres: str, disk: Path) -> None:
    connection = await asyncpg.connect(postgres)
    for statement in statements():
        text = statement.replace("/srv/signals", str(disk))
        if not text.startswith("select"):
            await connection.execute(text)
            continue
        for (made,) in await connection.fetch(text):
            await connection.execute(made)
    await connection.close()


async def emptied(postgres: str) -> None:
    """Leave no free place in the files of the signals."""
    connection = await asyncpg.connect(postgres)
    await connection.execute("truncate observe.logs, observe.calls, observe.points")
    await connection.close()


async def notice(suite: Suite) -> str:
    """The time since which the page says that signals are not kept; empty if it does not."""
    answer = await suite.get("/api/v1/observe/logs?pageSize=1")
    assert answer.status == 200, answer.text
    return str(answer.json.get("notKeptSince", ""))


@pytest.mark.feature("S1-196")
@pytest.mark.fault("F22")
@pytest.mark.timeout(400)
async def test_a_full_disk_of_signals_costs_no_execution(watched: Suite, disk: Path) -> None:
    """The log and the page say that signals are not kept, and with room again they are."""

    async def quiet() -> bool:
        await executed(watched)
        await pause(PAUSE_S)
        return await notice(watched) == ""

    async def noticed() -> bool:
        return not await quiet()

    # The move has blocked signals.
    await until("no notice", quiet, within_s=WITHIN_S)
    await emptied(str(watched.about["postgres"]))
    lines = watched.log.read_text().count("signals_not_kept")
    with full(disk):
        await completed(watched, EXECUTIONS)
        await until("the notice", noticed, within_s=MINUTE_S)
        await completed(watched, EXECUTIONS)
        shown = await command(watched, "observe", "logs")
        assert "signals are not kept since" in shown.err
    assert await metric(watched, DROPPED, kind="logs") > 0
    log = watched.log.read_text()
    assert log.count("signals_not_kept") == lines + 1
    assert "No space left on device" in log
    freed = datetime.now(UTC).isoformat()

    async def kept() -> bool:
        await executed(watched)
        await pause(PAUSE_S)
        asked = quote(f'time > "{freed}"')
        answer = await watched.get(f"/api/v1/observe/logs?filter={asked}")
        assert answer.status == 200, answer.text
        return bool(answer.json["logs"])

    await until("kept log records", kept, within_s=MINUTE_S)
    await until("no notice", quiet, within_s=WITHIN_S)
    assert "signals_kept_again" in watched.log.read_text()


def test_an_alert_rule_counts_what_is_dropped() -> None:
    """By the metric of the test before."""
    rules = (ROOT / "deploy/alerts.yml").read_text()
    rule = rules.partition("alert: FlowmeshSignalsDropped")[2].partition("- alert")[0]
    assert f"increase({DROPPED}[15m])) > 0" in rule
