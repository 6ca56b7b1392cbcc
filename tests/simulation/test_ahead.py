"""Tasks that are sent ahead of a commit that fails, or whose owner is killed before it."""

from typing import Any

import pytest

from flowmesh.orchestrator.dispatch.leases import Leases
from flowmesh.orchestrator.model.ids import unmarked
from tests.simulation.actors.faults import Fate
from tests.simulation.actors.plans import CHAIN, CHAIN_NODES, repeated
from tests.simulation.actors.scripted import Stage, play
from tests.simulation.checks.planted import replaced
from tests.simulation.servers.loop import elapsed

FIRST, SECOND = f"{CHAIN}0", f"{CHAIN}1"


async def _full(stage: Stage) -> None:
    """The disk is full when the first result is to be committed, which takes a while to be said."""
    world = stage.world
    world.definitions.added["r"] = repeated("r")
    world.work.fixed.update({FIRST: 0.05})
    stage.start("r", "r")
    await stage.until(lambda: stage.effects("r", FIRST))
    world.database.full = True
    world.faults.script("commit", (Fate.SLOW, 0.3))
    await stage.until(lambda: stage.effects("r", f"{CHAIN}{CHAIN_NODES - 1}"))
    world.database.full = False
    await stage.until(lambda: stage.ended("r"))


async def _killed(stage: Stage) -> None:
    """Everything but the worker of the second task is killed before the first result is stored."""
    world = stage.world
    world.definitions.added["r"] = repeated("r")
    world.add_remote("rw2", slots=4)
    world.work.fixed.update({FIRST: 0.5, SECOND: 3.0})
    await elapsed(1.0)
    stage.start("r", "r")
    await stage.until(lambda: stage.effects("r", FIRST))
    world.database.go_away()
    await stage.until(lambda: stage.effects("r", SECOND))
    held = next(each.worker for each in world.record.effects if each.node == SECOND)
    holder = next(each for each in world.remotes.values() if each.worker_id == held)
    holder.process.pause()
    others = [each for each in world.processes if each is not holder and each is not world.events]
    for each in others:
        each.process.kill()
    world.database.come_back()
    for each in others:
        world.restart(each.name)
    await stage.until(lambda: stage.effects("r", SECOND) > 1)
    holder.process.resume()
    await stage.until(lambda: stage.ended("r"))


def test_what_ran_ahead_of_a_full_disk_runs_again() -> None:
    """The whole chain is at its end before the commit fails; each task of it runs once more."""
    stage = play(_full)
    counts = [stage.effects("r", f"{CHAIN}{index}") for index in range(CHAIN_NODES)]
    assert counts == [1] + [2] * (CHAIN_NODES - 1)


def test_a_former_owner_sends_ahead_in_vain() -> None:
    """The result of the paused worker arrives while the task runs elsewhere, and is refused."""
    stage = play(_killed, slots=1)
    assert stage.effects("r", FIRST) == 2


def test_a_result_without_its_mark_would_be_seen() -> None:
    """The test of the test: without marks, the history has a result that its owner did not ask."""

    def made(before: Any) -> Any:
        def resolve(self: Leases, wire_token: str) -> tuple[str, bool]:
            return unmarked(wire_token)[0], True

        return resolve

    with replaced(Leases, "resolve", made), pytest.raises(AssertionError, match="I3"):
        play(_killed, slots=1)
