"""N9: five times as many starts as can be done, for a while."""

import asyncio
import os
from pathlib import Path

import psutil
import pytest

from flowmesh.testing.polling import pause
from flowmesh.testing.suite import Suite
from tests.drills.overloading import (
    COMPLETED,
    REFUSED,
    RESIDENT_BYTES_MAX,
    TIMES,
    counted,
    generator,
)
from tests.faults.tally import Tally

# `make faults-steady` runs it for two minutes.
OVERLOAD_S = float(os.environ.get("FAULTS_OVERLOAD_S", "20"))
WARM_S = 3.0
PEAK_S = 5.0
NORMAL_S = 10.0
NORMAL = 0.8
SAMPLE_S = 0.5
GOODPUT_MIN = {"calls": 0.5, "sessions": 0.8}


@pytest.mark.slow
@pytest.mark.timeout(OVERLOAD_S + 200)
@pytest.mark.parametrize("by", ["calls", "sessions"])
async def test_five_times_as_much_as_can_be_done(tmp_path: Path, tally: Tally, by: str) -> None:
    """What is accepted is done, the rest is told to come back; memory stays bounded."""
    async with Suite(tmp_path / "data") as suite, generator(suite, by) as load:
        process, sizes = psutil.Process(suite.pid), [0]

        async def watch() -> None:
            while True:
                sizes.append(process.memory_info().rss)
                await pause(SAMPLE_S)

        await load.closed(WARM_S)
        peak = await load.closed(PEAK_S)
        normal = await load.open(NORMAL * peak["per_s"], NORMAL_S)
        watching = asyncio.create_task(watch())
        over = await load.open(TIMES * peak["per_s"], OVERLOAD_S)
        normal_after_s = await load.normal_again(peak["per_s"])
        watching.cancel()
        # A machine that was slower for a while before: the better peak is the one to be judged by.
        peak_per_s = max(peak["whole_per_s"], (await load.closed(PEAK_S))["whole_per_s"])
        statuses = await counted(suite)
    measured = {
        "seconds": OVERLOAD_S,
        "granted": over["granted"],
        "goodput": round(over["whole_per_s"] / peak_per_s, 2),
        "accepted_p99_ms": over["accepted_ms"][1],
        "normal_p99_ms": normal["accepted_ms"][1],
        "refused": over["refused"],
        "refused_p50_ms": over["refused_ms"][0],
        "resident_mib": max(sizes) >> 20,
        "normal_after_s": round(normal_after_s, 1),
    }
    tally.figure("N9", **{f"{by}_{name}": value for name, value in measured.items()})
    tally.count("N9", n=1)
    assert over["reasons"].keys() <= {REFUSED}
    assert over["without_delay"] == 0
    assert over["whole_per_s"] >= GOODPUT_MIN[by] * peak_per_s
    assert statuses.keys() == {COMPLETED}
    assert max(sizes) < RESIDENT_BYTES_MAX
