"""While nothing is due, nothing is asked and next to nothing is done."""

import re
import time
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from flowmesh.testing.polling import pause, slowness
from flowmesh.testing.suite import Suite

# What begins with the start has ended by then, and the statistics are stored.
SETTLED_S = 5.0
LEASE_PER_S = 1.0
# The spread of a loop's rounds, and one more at the edge.
SPREAD = 0.1
CPU_MAX = 0.02
REST = {"id": "rest", "name": "rest", "action": "delay", "params": {"duration": 3_600_000}}
SLEEPERS = 200
STORED = re.compile(r": (BEGIN|COMMIT|set local synchronous_commit = off|insert into \w+ \()")
_LOGGED = "alter system set log_statement = 'all'"


def processor_s(suite: Suite) -> float:
    """What the suite and its servers have used so far, ended children of theirs too."""
    root = psutil.Process(suite.pid)
    processes = [root, *root.children(recursive=True)]
    return sum(sum(process.cpu_times()[:4]) for process in processes)


async def logged(postgres: str) -> None:
    """Has the server write down every statement."""
    connection: Any = await asyncpg.connect(postgres)
    try:
        await connection.execute(_LOGGED)
        await connection.execute("select pg_reload_conf()")
    finally:
        await connection.close()


def statements(text: str) -> list[str]:
    """The statements of the server's log, each by its first line."""
    marks = ("LOG:  statement: ", "LOG:  execute ")
    found = [line.partition(mark) for line in text.splitlines() for mark in marks if mark in line]
    return [mark + rest for _, mark, rest in found]


@pytest.mark.parametrize(
    "seconds",
    [pytest.param(10.0, marks=pytest.mark.long), pytest.param(60.0, marks=pytest.mark.slow)],
    ids=["short", "minute"],
)
async def test_an_idle_suite_renews_its_lease_and_rests(tmp_path: Path, seconds: float) -> None:
    """Leases alone are renewed, with sleeping executions too, for at most 2 % of a core."""
    async with Suite(tmp_path / "data") as suite:
        sleeper = await suite.define({"id": "sleeper", "name": "sleeper", "steps": [REST]})
        for _ in range(SLEEPERS):
            await suite.begin(sleeper)
        await logged(str(suite.about["postgres"]))
        await pause(SETTLED_S)
        log = suite.data_dir / "logs" / "postgres.log"
        size, used_s, began = log.stat().st_size, processor_s(suite), time.monotonic()
        await pause(seconds)
        took_s = time.monotonic() - began
        used = (processor_s(suite) - used_s) / took_s
        asked = statements(log.read_bytes()[size:].decode())
    print(f"{len(asked)} statements and {used:.2%} of a core in {took_s:.0f} s")
    # Quotas are read again each half minute, in case a message about a change was lost.
    asked = [each for each in asked if "from quotas" not in each]
    # Kept signals are looked for each half minute, in case a process died that knew of them.
    kept = [each for each in asked if "from kept_signals" in each]
    assert len(kept) <= took_s / 30 + 1
    asked = [each for each in asked if each not in kept]
    # Subscriptions of a process that died are looked for each two seconds, its rules each five.
    adopted = [each for each in asked if "with claimed as" in each]
    assert len(adopted) <= took_s * (1 / 2 + 1 / 5) + 2
    asked = [each for each in asked if each not in adopted]
    # The fleet without a spec keeps its lease; the plans of companies are read each half minute.
    led = [each for each in asked if "update leader set" in each]
    assert len(led) <= took_s / 2 * (1 + SPREAD) + 1
    plans = [each for each in asked if "from plans p" in each]
    assert len(plans) <= took_s / 30 + 1
    # Objectives are looked for each quarter of a minute, and signals are stored each minute.
    objectives = [each for each in asked if "update objectives set claimed_us" in each]
    assert len(objectives) <= took_s / 15 * (1 + SPREAD) + 1
    stored = [each for each in asked if STORED.search(each)]
    assert sum("COMMIT" in each for each in stored) <= took_s / 60 + 2
    # Executions that have not ended are counted each ten seconds while their number stays.
    counts = [each for each in asked if "with recursive names" in each]
    assert len(counts) <= took_s / 10 * (1 + SPREAD) + 1
    asked = [each for each in asked if each not in led + plans + objectives + stored + counts]
    assert all("renewed as" in statement for statement in asked), set(asked)
    assert len(asked) <= took_s * LEASE_PER_S * (1 + SPREAD) + 1
    assert used <= CPU_MAX * slowness()
