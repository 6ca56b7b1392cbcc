"""F1 to F4: a process dies at each of its commit points, and nothing is lost or done twice."""

import pytest

from flowmesh.testing.world import World
from tests.drills.breaking import balanced, drill, owned_by, there
from tests.faults.rig import MEMBERS, Rig

SIZES = {"orders": 24, "late_orders": 8}
ORCHESTRATOR = "orchestrator-1"


@pytest.mark.fault("F1")
@pytest.mark.parametrize("point", ["orchestrator.committed", "orchestrator.decided"])
async def test_an_orchestrator_dies_at_a_commit_point(rig: Rig, world: World, point: str) -> None:
    """What was committed goes on at the other orchestrator, what was not is sent again."""
    async with drill(rig, world, f"kill -9 at {point}", **SIZES) as running:
        await there(rig, *MEMBERS)
        await balanced(rig)
        await running.in_flight()
        victims = await owned_by(rig, ORCHESTRATOR)
        pid = rig.member(ORCHESTRATOR).pid
        rig.arm(ORCHESTRATOR, f"{point}=kill9@2")
        running.breaks(victims)
        await rig.hit(ORCHESTRATOR)
        await rig.replaced(ORCHESTRATOR, pid)
        await running.finish()
