"""Statistics of workflows over restarts of the suite."""

from pathlib import Path

import pytest

from flowmesh.testing.suite import Suite
from tests.features.steps import step, workflow

RUNS = 3
WORKFLOW = workflow(step("only", "delay", {"duration": 20})) | {"id": "counted"}


async def _stats(suite: Suite) -> dict[str, object]:
    (found,) = (await suite.get("/api/v1/stats?workflow=counted")).json["workflows"]
    return {each: found[each] for each in ("started", "completed", "failed")} | {
        "count": found["latency"]["count"],
        "task": found["tasks"][0]["completed"],
        "p99": found["latency"]["p99Ms"] > 0,
    }


@pytest.mark.long
async def test_statistics_survive_a_restart(tmp_path: Path) -> None:
    """Statistics from before are shown at once, and later ones are added to them."""
    for starts in (1, 2, 3):
        async with Suite(tmp_path) as suite:
            if starts == 1:
                await suite.define(WORKFLOW)
            else:
                expected = (starts - 1) * RUNS
                assert (await _stats(suite))["completed"] == expected
            for _ in range(RUNS):
                await suite.wait(await suite.begin("counted"))
            total = starts * RUNS
            assert await _stats(suite) == {
                "started": total,
                "completed": total,
                "failed": 0,
                "count": total,
                "task": total,
                "p99": True,
            }
