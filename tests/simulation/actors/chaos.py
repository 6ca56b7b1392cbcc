"""The faults of a run: of processes, servers, clocks and connections."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from tests.simulation.actors.faults import CALM, Rates
from tests.simulation.servers.loop import elapsed

if TYPE_CHECKING:
    from tests.simulation.servers.world import World

RATES = (
    CALM,
    Rates(lost=0.01, unanswered=0.01, late=0.01),
    Rates(lost=0.05, unanswered=0.05, late=0.05),
    Rates(slow=0.05),
    Rates(slow=0.02, broken_stream=0.02, lost_publish=0.1),
    Rates(0.02, 0.02, 0.02, 0.02, 0.02, 0.05),
)
PAUSES_S = (0.05, 0.7, 2.0, 3.5, 6.0, 12.0)
RESTARTS_S = (0.01, 0.3, 1.5, 4.0)
OUTAGES_S = (0.05, 0.4, 2.0, 4.0)
SKEWS_US = (-3_600_000_000, -50_000, 0, 50_000, 3_600_000_000)
LAG_S = 7.0
ACTIONS_MAX = 7


class Chaos:
    """Draws what is broken in the time that is given, and breaks it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = Random(f"{world.seed}/chaos")
        owners = {
            self._kill_orchestrator: 5,
            self._pause_orchestrator: 5,
            self._drain_orchestrator: 2,
            self._add_orchestrator: 2,
            self._database_away: 3,
            self._disk_full: 2,
            self._set_clock: 1,
        }
        workers = {
            self._kill_worker_service: 3,
            self._pause_worker_service: 1,
            self._kill_remote: 2,
            self._pause_remote: 2,
            self._move_remote: 3,
            self._break_streams: 3,
        }
        events = {
            self._nats_away: 2,
            self._kill_events: 2,
            self._pause_events: 2,
            self._lose_stream_behind: 2,
        }
        lost_stream = {
            self._kill_orchestrator: 2,
            self._drain_orchestrator: 3,
            self._lose_stream_behind: 4,
        }
        everything = {**owners, **workers, **events, self._black_out: 1}
        # Most runs break anything; some go deeper into one part.
        themes = (everything, owners, workers, {**events, **owners}, lost_stream)
        self._actions = self._random.choices(themes, (6, 2, 2, 1, 2))[0]

    async def run(self, within_s: float) -> None:
        """Breaks things at drawn moments; returns when the time is over."""
        world, random = self._world, self._random
        world.faults.rates = random.choice(RATES)
        moments = sorted(random.uniform(0, within_s) for _ in range(random.randint(0, ACTIONS_MAX)))
        world.record.calm = not moments and world.faults.rates is CALM
        start_s = world.loop.time()
        for moment in moments:
            await elapsed(max(0.0, start_s + moment - world.loop.time()))
            weights = list(self._actions.values())
            action = random.choices(list(self._actions), weights)[0]
            world.faults.injected[action.__name__.lstrip("_")] += 1
            world.happened(action.__name__)
            action()
        await elapsed(max(0.0, start_s + within_s - world.loop.time()))

    # --- processes ---

    def _one(self, hosts: dict[str, Any]) -> Any:
        """A process that is neither dead nor paused; None where there is none."""
        found = [h for h in hosts.values() if h.process.alive and not h.process.paused]
        return self._random.choice(found) if found else None

    def _kill(self, host: Any) -> None:
        if host is not None:
            self._world.trace("kill", host.address)
            host.process.kill()
            delay_s = self._random.choice(RESTARTS_S)
            self._world.loop.outside(delay_s, self._world.restart, host.name)

    def _pause(self, host: Any) -> None:
        if host is not None:
            self._world.trace("pause", host.address)
            host.process.pause()
            self._world.loop.outside(self._random.choice(PAUSES_S), host.process.resume)

    def _kill_orchestrator(self) -> None:
        self._kill(self._one(self._world.orchestrators))

    def _pause_orchestrator(self) -> None:
        self._pause(self._one(self._world.orchestrators))

    def _drain_orchestrator(self) -> None:
        host = self._one(self._world.orchestrators)
        if host is not None and host.ready:
            host.process.spawn(host.leave())

    def _add_orchestrator(self) -> None:
        name = f"o{len(self._world.orchestrators) + 1}"
        self._world.add_orchestrator(name)

    def _kill_worker_service(self) -> None:
        self._kill(self._one(self._world.workers))

    def _pause_worker_service(self) -> None:
        self._pause(self._one(self._world.workers))

    def _kill_remote(self) -> None:
        self._kill(self._one(self._world.remotes))

    def _pause_remote(self) -> None:
        self._pause(self._one(self._world.remotes))

    def _move_remote(self) -> None:
        remote = self._one(self._world.remotes)
        if remote is not None:
            remote.move()

    def _kill_events(self) -> None:
        events = self._world.events
        if events is not None and events.process.alive:
            self._kill(events)

    def _pause_events(self) -> None:
        self._pause(self._events())

    def _events(self) -> Any:
        """The event service, if it is neither dead nor paused."""
        events = self._world.events
        return events if events is not None and events.process.runs else None

    # --- servers, connections, clocks ---

    def _lose_stream_behind(self) -> None:
        """The stream is lost while the event service lags far behind it."""
        events = self._events()
        if events is not None:
            events.process.pause()
            self._world.loop.outside(LAG_S, events.process.resume)
        self._world.loop.outside(self._random.uniform(0.5, LAG_S - 2.0), self._lose_stream)

    def _lose_stream(self) -> None:
        nats = self._world.nats
        if not nats.away:
            nats.go_away()
            nats.come_back(store_lost=True)

    def _black_out(self) -> None:
        """Nearly everything is gone at once."""
        hosts = [h for h in self._world.processes if h.process.alive]
        for host in hosts:
            if self._random.random() < 0.8:
                self._kill(host)
        self._nats_away()
        self._database_away()

    def _break_streams(self) -> None:
        for stream in list(self._world.network.streams):
            if self._random.random() < 0.6:
                stream.break_off()

    def _database_away(self) -> None:
        database = self._world.database
        if not database.away:
            database.go_away()
            self._world.loop.outside(self._random.choice(OUTAGES_S), database.come_back)

    def _disk_full(self) -> None:
        database = self._world.database
        if not database.full:
            database.full = True
            self._world.loop.outside(self._random.choice(OUTAGES_S), self._make_room)

    def _make_room(self) -> None:
        self._world.database.full = False

    def _nats_away(self) -> None:
        nats, store_lost = self._world.nats, self._random.random() < 0.5

        def back() -> None:
            if nats.away:
                nats.come_back(store_lost=store_lost)

        if not nats.away:
            nats.go_away()
            self._world.loop.outside(self._random.choice(OUTAGES_S), back)

    def _set_clock(self) -> None:
        host = self._one(self._world.orchestrators)
        if host is not None:
            host.clock.skew_us = self._random.choice(SKEWS_US)
