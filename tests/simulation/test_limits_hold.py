"""Limits are set, changed and lifted while owners come and go: at no time more runs than may."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from tests.simulation.actors.peers import REMOTE_TYPE
from tests.simulation.actors.plans import chain
from tests.simulation.actors.scripted import Stage, play
from tests.simulation.checks.history import Effect
from tests.simulation.servers.loop import elapsed

pytestmark = pytest.mark.long

NODES = {"one": ("t", "u"), "two": ("v",)}
LASTS_S = {"t": 0.8, "u": 0.05, "v": 1.2}
SUBJECTS = {
    pb.LIMIT_KIND_NAMESPACE: "",
    pb.LIMIT_KIND_WORKFLOW: "one",
    pb.LIMIT_KIND_NODE: "one/t",
    pb.LIMIT_KIND_TASK_TYPE: REMOTE_TYPE,
    pb.LIMIT_KIND_QUEUE: "default",
}
STARTS = 120
WITHIN_S = 20.0
HEARD_S = 2.0
"""By then all owners know of a change: by notification, or by the next lease renewal."""


class Limit:
    """One limit and what it was, from when to when it surely was that."""

    def __init__(self, stage: Stage, kind: pb.LimitKind.ValueType, random: Random) -> None:
        self._stage, self.kind, self._random = stage, kind, random
        self.held: list[tuple[float, float, int]] = []
        self._since: tuple[float, int] | None = None

    async def move(self) -> None:
        """Sets it, again and again, or lifts it for a while."""
        while True:
            await elapsed(self._random.uniform(0.0, 8.0))
            self._over()
            limit = pb.Limit(kind=self.kind, subject=SUBJECTS[self.kind])
            if self._random.random() < 0.2:
                lift = pb.DeleteLimitRequest(kind=limit.kind, subject=limit.subject)
                await self._stage.client.call("limit", "DeleteLimit", lift)
                continue
            limit.concurrency = self._random.choice((1, 1, 2, 3, 5))
            request = pb.SetLimitRequest(limit=limit)
            if await self._stage.client.call("limit", "SetLimit", request) is not None:
                self._since = self._now_s() + HEARD_S, limit.concurrency

    def _now_s(self) -> float:
        return self._stage.world.loop.time()

    def _over(self) -> None:
        """It may be another from now on."""
        if self._since is not None:
            since_s, most = self._since
            self.held.append((since_s, self._now_s(), most))
            self._since = None

    async def lift(self) -> None:
        self._over()
        lift = pb.DeleteLimitRequest(kind=self.kind, subject=SUBJECTS[self.kind])
        await self._stage.client.call("limit", "DeleteLimit", lift)

    def exceeded(self) -> Iterator[str]:
        """Every task that began although enough of them ran."""
        effects = [effect for effect in self._stage.world.record.effects if self._is_of(effect)]
        for since_s, until_s, most in self.held:
            for begun in effects:
                at_s = self._at_s(begun)
                if not since_s <= at_s < until_s:
                    continue
                run = [e for e in effects if 0 <= at_s - self._at_s(e) < LASTS_S[e.node]]
                if len(run) > most:
                    yield f"{at_s:.3f}: {len(run)} of {self.kind} run, {most} may"

    def _is_of(self, effect: Effect) -> bool:
        if self.kind == pb.LIMIT_KIND_WORKFLOW:
            return effect.node in NODES["one"]
        return effect.node == "t" or self.kind != pb.LIMIT_KIND_NODE

    def _at_s(self, effect: Effect) -> float:
        return (effect.at_us - self._stage.world.start_us) / 1e6


async def _owners_move(stage: Stage, random: Random) -> None:
    """One dies, one leaves, one joins; the work of their workers continues."""
    world = stage.world
    while True:
        await elapsed(random.uniform(0.5, 4.0))
        alive = [host for host in world.orchestrators.values() if host.process.alive]
        act = random.choice(("kill", "leave", "come"))
        if act == "come" or not alive:
            world.add_orchestrator(f"o{world.next_number()}")
        elif act == "kill":
            host = random.choice(alive)
            host.process.kill()
            world.loop.outside(0.3, world.restart, host.name)
        elif len(alive) > 1 and (host := random.choice(alive)).ready:
            host.process.spawn(host.leave())


@pytest.mark.parametrize("seed", range(24))
def test_at_no_time_more_run_than_may(seed: int) -> None:
    """Two limits at once, whose permits one owner gives to all, whichever that is."""

    async def script(stage: Stage) -> None:
        random, world = Random(seed), stage.world
        for name, nodes in NODES.items():
            world.definitions.added[name] = chain(name, *nodes)
        world.work.fixed.update(LASTS_S)
        limits = [Limit(stage, kind, random) for kind in random.sample(list(SUBJECTS), 2)]
        moving = [world.loop.create_task(limit.move()) for limit in limits]
        if seed % 2:
            moving.append(world.loop.create_task(_owners_move(stage, random)))
        for number in range(STARTS):
            stage.start(random.choice(list(NODES)), f"r{number}")
            await elapsed(WITHIN_S / STARTS)
        for task in moving:
            task.cancel()
        for limit in limits:
            await limit.lift()
        assert any(limit.held for limit in limits)
        assert not [each for limit in limits for each in limit.exceeded()]

    play(script, orchestrators=2, workers=2, slots=3 + seed % 3, seed=f"limits {seed}")
