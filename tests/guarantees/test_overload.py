"""More starts than can be done: what is too much is told to come back, and nothing is lost.

How much is done meanwhile is measured and printed; what it must be is tested where no other work
of the machine decides about it: tests/unit/orchestrator/dispatch/test_admission.py.
"""

from pathlib import Path

import psutil
import pytest

from flowmesh.testing.suite import Suite
from tests.drills.overloading import (
    COMPLETED,
    REFUSED,
    RESIDENT_BYTES_MAX,
    TIMES,
    counted,
    generator,
)

pytestmark = pytest.mark.long

WARM_S = 1.0
PEAK_S = 2.0
OVERLOAD_S = 3.0


@pytest.mark.parametrize("by", [pytest.param("calls", marks=pytest.mark.long), "sessions"])
async def test_too_many_starts_are_refused_with_a_delay(tmp_path: Path, by: str) -> None:
    """Refused with a delay; what was accepted ends; then it is as it was before."""
    async with Suite(tmp_path / "data") as suite, generator(suite, by) as load:
        await load.closed(WARM_S)
        peak = await load.closed(PEAK_S)
        over = await load.open(TIMES * peak["per_s"], OVERLOAD_S)
        normal_after_s = await load.normal_again(peak["per_s"])
        resident_bytes = psutil.Process(suite.pid).memory_info().rss
        statuses = await counted(suite)
    print(f"{over['per_s'] / peak['per_s']:.0%} of the peak; normal after {normal_after_s:.1f} s")
    print(f"resident {resident_bytes >> 20} MiB; executions by status {statuses}")
    assert over["reasons"].keys() <= {REFUSED}
    # Calls wait with their senders, who have so many open at most.
    assert over["refused"] or by == "calls"
    assert over["without_delay"] == 0
    assert statuses.keys() == {COMPLETED}
    assert resident_bytes < RESIDENT_BYTES_MAX
