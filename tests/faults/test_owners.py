"""F24, F27, F28: owners that sleep, wake, and believe in leases that are over."""

import signal

import pytest

from flowmesh.testing.polling import done, until
from tests.drills.breaking import epochs, owned_by
from tests.faults.harness.protocols import RENEWAL, StatementFault
from tests.faults.harness.scenario import Scenario

SWAPS = 6
TAKEN_WITHIN_S = 15.0
NAMES = ("orchestrator-1", "orchestrator-2")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.fault("F24", "F27")
async def test_owners_are_stopped_in_turn(scenario: Scenario) -> None:
    """Each is stopped until the other has everything, and woken: it commits nothing of it."""
    rig = scenario.rig
    for swap in range(SWAPS):
        name = NAMES[swap % 2]
        async with scenario.drill("SIGSTOP owner, split brain") as running:
            await scenario.whole()
            await running.in_flight()
            victims = await owned_by(rig, name)
            before = await epochs(rig)
            rig.send(name, signal.SIGSTOP)
            try:
                running.breaks(victims)

                async def gone(name: str = name) -> bool:
                    return not await owned_by(rig, name)

                await until("taken over", gone, within_s=TAKEN_WITHIN_S)
            finally:
                rig.send(name, signal.SIGCONT)
            outcome = await scenario.finish(running, "F27")
            scenario.tally.add("F24", outcome.fault, outcome)
            after = await epochs(rig)
        assert all(after[partition] > before[partition] for partition in victims)
    scenario.tally.figure("N6", n=SWAPS, committed_by_a_fenced_owner=0)


@pytest.mark.slow
@pytest.mark.fault("F28")
async def test_the_reply_to_a_renewal_comes_late(scenario: Scenario) -> None:
    """A lease counts from before it was asked for: who hears of it too late owns nothing."""
    rig = scenario.rig
    async with scenario.drill("late reply to a renewal") as running:
        await scenario.whole()
        await running.in_flight()
        before = await epochs(rig)
        rule = StatementFault(RENEWAL, "late reply")
        rig.database.rules.append(rule)
        try:
            await done("a renewal held back", lambda: rule.hits, within_s=TAKEN_WITHIN_S)
            running.breaks()

            async def moved() -> bool:
                return (await epochs(rig)) != before

            await until("taken over", moved, within_s=TAKEN_WITHIN_S)
        finally:
            rule.release.set()
            rig.database.heal()
        await scenario.finish(running, "F28")
