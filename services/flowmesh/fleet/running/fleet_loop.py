"""The loop of the instance that leads: what is seen against what is wanted."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.errors import FlowmeshError
from flowmesh.failpoints import failpoint
from flowmesh.fleet.driving.credentials import Credentials
from flowmesh.fleet.driving.driver import Driver, Observed
from flowmesh.fleet.metrics import FleetMetrics
from flowmesh.fleet.running.planning import End, Lives, lives_of, steps_of
from flowmesh.fleet.running.sightings import Sightings
from flowmesh.fleet.running.wishes import WishReader
from flowmesh.fleet.storage.records import AgentRow, Key, SpecRow
from flowmesh.fleet.storage.store import FleetStore, Steps
from flowmesh.runtime.loop import Loop

SPAWNS_AT_ONCE = 8
FORGET_MS = 600_000


class FleetLoop(Loop):
    """Each change is committed before the driver acts on it."""

    interval_ms: ClassVar[int] = 500
    # While there is neither a spec nor an agent, and in an instance that does not lead.
    rest_ms: ClassVar[int] = 2_000

    def __init__(
        self,
        *,
        store: FleetStore,
        driver: Driver,
        credentials: Credentials,
        wishes: WishReader,
        metrics: FleetMetrics,
        holder: str,
        new_id: Callable[[], str],
        log: Any,
        now_us: Callable[[], int],
    ) -> None:
        self._store, self._driver, self._credentials = store, driver, credentials
        self._wishes, self._metrics, self._log = wishes, metrics, log
        self._holder, self._new_id, self._now_us = holder, new_id, now_us
        self._epoch = 0
        self._sightings = Sightings(now_us)
        self._drained: set[str] = set()
        self._closed = False
        self._resting = True
        self._forgotten = 0.0

    def pause_ms(self) -> float:
        return self.rest_ms if self._resting else self.interval_ms

    async def run_once(self) -> int:
        """Settle what differs; return the number of changes."""
        if self._closed:
            return 0
        led = self._epoch
        self._epoch, idle = await self._store.lead(self._holder)
        self._resting = idle
        if self._epoch != led:
            self._sightings.begin()
        if not self._epoch:
            if led and not self._driver.lasting:
                await self._driver.end()
            self._metrics.agents.set(0)
            return 0
        seen = await self._driver.observe()
        if idle and not seen:
            self._metrics.agents.set(0)
            return 0
        found, rows = self._sightings.dated(*await self._store.snapshot())
        specs = {each.key: each for each in found}
        lives, alive = self._lives(specs, rows, seen)
        wishes = await self._wishes.read(list(specs.values()), alive, seen)
        changes = 0
        async with self._store.leading(self._epoch) as steps:
            await self._record(steps, lives, seen)
            ends = [each.row(self._now_us()) for each in lives.ends]
            for key, spec in specs.items():
                ended = [each for each in (*rows, *ends) if _of(each) == key and each.ended_at_us]
                own = [each for each in alive if _of(each) == key]
                changes += await self._settle(steps, spec, own, ended, wishes.wanted[key])
            await wishes.commit(steps)
        failpoint("fleet.committed")
        self._metrics.agents.set(len(alive))
        self._metrics.scaled(wishes.scaled)
        return changes + await self._act(specs, lives, rows, seen)

    async def drain(self) -> None:
        """End the agents of this machine after their tasks; another instance may lead at once."""
        self._closed = True
        # A fleet that was killed still has the lease; its agents on this machine have no other end.
        if not self._driver.lasting and (self._epoch or await self._driver.alone()):
            await self._end_agents()
        if self._epoch:
            await self._store.leave(self._holder)

    async def _end_agents(self) -> None:
        for agent_id, each in (await self._driver.observe()).items():
            if each.code is None:
                await self._driver.drain(agent_id)
        deadline = time.monotonic() + 4.0
        while time.monotonic() < deadline:
            found = (await self._driver.observe()).values()
            if all(each.code is not None for each in found):
                break
            await asyncio.sleep(0.05)
        await self._driver.end()

    def _lives(
        self,
        specs: Mapping[Key, SpecRow],
        rows: Sequence[AgentRow],
        seen: Mapping[str, Observed],
    ) -> tuple[Lives, list[AgentRow]]:
        """Return the changes of all agents, and those that count."""
        found = Lives()
        now = self._now_us()
        for row in rows:
            if not row.ended_at_us:
                one = lives_of(specs.get(_of(row)), [row], seen, now)
                for name in ("ends", "ready", "degraded", "kills", "present"):
                    getattr(found, name).extend(getattr(one, name))
        return found, [each for each in found.present if each.alive]

    async def _record(self, steps: Steps, lives: Lives, seen: Mapping[str, Observed]) -> None:
        for end in lives.ends:
            await self._ended(steps, end)
        for agent in lives.ready:
            await steps.ready(agent.id)
        for agent in lives.degraded:
            await steps.degraded(agent.id, "it misses heartbeats")
        await steps.measured(self._wishes.figures.measure(seen))

    async def _ended(self, steps: Steps, end: End) -> None:
        self._log.info("agent_ended", agent=end.agent.id, spec=end.agent.spec, reason=end.reason)
        await steps.ended(end.agent.id, end.state, end.reason, code=end.code, words=end.words)

    async def _settle(
        self,
        steps: Steps,
        spec: SpecRow,
        alive: Sequence[AgentRow],
        ended: Sequence[AgentRow],
        wanted: int,
    ) -> int:
        """Commit the changes of one spec; return their number."""
        if spec.deleted and not alive:
            await steps.removed(spec.key)
            return 1
        ended = sorted(ended, key=lambda each: each.ended_at_us)
        plan = steps_of(spec, alive, ended, wanted, self._now_us())
        if plan.returned:
            self._log.warning("agents_went_back", spec=spec.spec, problem=plan.returned)
            await steps.returned(spec.key, plan.returned)
            return 1
        if plan.settled:
            await steps.settled(spec.key)
        for agent, reason in plan.drains:
            await steps.draining(agent.id, reason)
        starts = await self._wishes.starts(steps, spec.namespace, plan.starts)
        for _ in range(starts):
            await steps.insert(self._new_id(), spec, spec.content.isolation)
        problem = plan.problem or ("QUOTA: starts a minute" if starts < plan.starts else "")
        if (wanted, problem) != (spec.wanted, spec.problem):
            await steps.note(spec.key, wanted, problem)
        if starts or plan.drains:
            self.wake()
        return starts + len(plan.drains)

    async def _act(
        self,
        specs: Mapping[Key, SpecRow],
        lives: Lives,
        before: Sequence[AgentRow],
        seen: Mapping[str, Observed],
    ) -> int:
        """Let the driver do what is committed."""
        rows = {each.id: each for each in await self._store.present()}
        pending = [each for each in rows.values() if each.state == pb.AGENT_STATE_PENDING]
        gate = asyncio.Semaphore(SPAWNS_AT_ONCE)
        await asyncio.gather(*(self._spawn(specs, each, seen, gate) for each in pending))
        for row in rows.values():
            if row.state == pb.AGENT_STATE_DRAINING and row.id not in self._drained:
                await self._driver.drain(row.id)
                self._drained.add(row.id)
        for agent, reason in lives.kills:
            await self._driver.kill(agent.id, reason)
        for agent_id, process in seen.items():
            if agent_id in rows and not rows[agent_id].ended_at_us:
                continue
            if process.code is None:
                await self._driver.kill(agent_id, "an orphan")
            else:
                await self._driver.forget(agent_id)
        for end in lives.ends:
            self._drained.discard(end.agent.id)
            await self._credentials.revoke(end.agent)
        if time.monotonic() - self._forgotten > FORGET_MS / 1_000:
            self._forgotten = time.monotonic()
            await self._store.forget()
        return len(pending) + len(lives.kills)

    async def _spawn(
        self,
        specs: Mapping[Key, SpecRow],
        agent: AgentRow,
        seen: Mapping[str, Observed],
        gate: asyncio.Semaphore,
    ) -> None:
        """Start a recorded agent; one that runs already is adopted."""
        spec = specs.get(_of(agent))
        if spec is None:
            return
        async with gate:
            try:
                process = seen.get(agent.id)
                started = None if process else await self._driver.spawn(agent, spec)
            except FlowmeshError as error:
                self._log.warning("agent_not_started", spec=agent.spec, problem=error.message)
                async with self._store.leading(self._epoch) as steps:
                    text = f"{error.reason}: {error.message}"
                    await steps.ended(agent.id, pb.AGENT_STATE_FAILED, text)
                return
            failpoint("fleet.spawned")
            pid = started.pid if started else process.pid if process else 0
            by = started.enforcement if started else {}
            async with self._store.leading(self._epoch) as steps:
                await steps.started(agent.id, pid, self._driver.node, by)


def _of(agent: AgentRow) -> Key:
    return agent.namespace, agent.spec
