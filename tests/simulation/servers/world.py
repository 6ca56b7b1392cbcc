"""One run: processes, servers, clients and faults on one clock, all of it drawn from a seed."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Protocol

from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.engine import has_ended
from flowmesh.orchestrator.storage.batch import DAY_US
from flowmesh.orchestrator.storage.snapshots import snapshot
from tests.simulation.actors.faults import CALM, LATE_S_MAX, Faults
from tests.simulation.actors.peers import RemoteWorker
from tests.simulation.actors.sdk_worker import SdkWorker
from tests.simulation.actors.workload import Definitions, WorkModel
from tests.simulation.checks.history import Call, Commit, Effect, Record, Stored
from tests.simulation.checks.leftovers import leftovers
from tests.simulation.servers.bus import Nats
from tests.simulation.servers.database import Database
from tests.simulation.servers.hosts import (
    EventHost,
    EventTables,
    OrchestratorHost,
    WorkerServiceHost,
)
from tests.simulation.servers.loop import Process, VirtualLoop, elapsed, process_of_step
from tests.simulation.servers.network import Network, Stub
from tests.simulation.servers.tables import Tables

START_US = 20_000 * DAY_US + 3_600_000_000
REGISTRY_LEASE_S = 3.0
SETTLED_WITHIN_S = 60.0
SETTLED_AT_MOST_S = 240.0
MOVES_WITHIN_S = 10.0
"""What has not ended by then may take longer, as long as something of it is committed."""

LOOK_EVERY_S = 0.2
STATE_BYTES = 8


class SimulatedLog:
    """Takes what processes log; what they log as errors is a failure of the run."""

    def __init__(self, world: World) -> None:
        self._world = world

    def debug(self, event: str, **values: object) -> None:
        self._world.trace(event, values)

    info = warning = debug

    def error(self, event: str, **values: object) -> None:
        self._world.problem("log", f"{event} {values}")

    def exception(self, event: str, **values: object) -> None:
        self._world.problem("log", f"{event} {values} {sys.exc_info()[1]!r}")

    def bind(self, **values: object) -> SimulatedLog:
        return self


class Asking(Protocol):
    """A client; `open` are its unanswered calls."""

    @property
    def open(self) -> int: ...


class World:
    """Everything of one run, and what others see of each other in it."""

    def __init__(
        self,
        loop: VirtualLoop,
        seed: str,
        traced: Callable[..., object] | None = None,
        tables: type[Tables] = Tables,
    ) -> None:
        self.loop, self.seed, self.traced = loop, seed, traced
        self.start_us = START_US
        self.random = Random(seed)
        self.faults = Faults(Random(f"{seed}/faults"))
        self.tables = tables(now_us=self.now_us, tick=self.tick, told=self._committed)
        self.database = Database(loop, self.faults, self.tables)
        self.event_tables = EventTables()
        self.nats = Nats(loop, self.faults)
        self.network = Network(loop, self.faults)
        self.definitions = Definitions()
        self.log = SimulatedLog(self)
        self.work = WorkModel(seed)
        self.record = Record()
        self.problems: list[str] = []
        self.directory: dict[str, Process] = {}
        self.orchestrators: dict[str, OrchestratorHost] = {}
        self.workers: dict[str, WorkerServiceHost] = {}
        self.remotes: dict[str, RemoteWorker | SdkWorker] = {}
        self.events: EventHost | None = None
        self._number = 0
        self._tick = 0
        self._digest = hashlib.blake2b(digest_size=16)
        # The orders of events: those of each execution, and all that were seen.
        self._shapes: dict[str, bytes] = {}
        self.states_seen: set[int] = set()

    # --- time, numbers, what happened ---

    def now_us(self) -> int:
        """The database clock."""
        return self.start_us + int(self.loop.time() * 1e6)

    def tick(self) -> int:
        """The place of what happens now in the order of everything."""
        self._tick += 1
        return self._tick

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def trace(self, *what: object) -> None:
        """Trace a step of a replayed run."""
        if self.traced is not None:
            process = process_of_step()
            name = process.name if process is not None else "-"
            self.traced(f"{self.loop.time():9.4f} {name:12}", *what)

    def happened(self, *what: object) -> None:
        """Adds to the digest of the run."""
        self.trace(*what)
        self._digest.update(f"{self.loop.time():.9f} {what}\n".encode())

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def problem(self, where: str, what: str) -> None:
        self.trace("PROBLEM", where, what)
        self.problems.append(f"{self.loop.time():.3f} {where}: {what}")

    def _committed(self, commit: Commit) -> None:
        """A commit was applied: what it says of each execution is a state that was reached."""
        self.happened("commit", commit.incarnation, commit.position, commit.rows)
        for execution_id, seq in commit.rows:
            row = self.tables.executions[execution_id]
            shape = self._shapes.get(execution_id, row["workflow_id"].encode())
            events = history_event_pb2.HistoryEvents.FromString(
                self.tables.history[execution_id][seq]
            ).events
            for event in events:
                kind = event.WhichOneof("event") or ""
                node = getattr(getattr(event, kind), "node", "")
                shape = hashlib.blake2b(
                    b"%b %b %b" % (shape, kind.encode(), node.encode())
                ).digest()
            self._shapes[execution_id] = shape
            self.states_seen.add(int.from_bytes(shape[:STATE_BYTES]))

    def called(self, call: Call) -> None:
        self.happened("call", call.kind, call.request_id, call.outcome.value, call.execution_id)
        self.record.calls.append(call)

    def effect(self, task: task_pb2.Task, worker: str) -> None:
        """A task has reached a worker, which begins it."""
        self.happened("effect", task.token, worker)
        self.record.effects.append(
            Effect(
                execution_id=task.execution_id,
                node=task.node,
                attempt=task.attempt,
                key=task.idempotency_key,
                worker=worker,
                at_us=self.now_us(),
                tick=self.tick(),
            )
        )

    # --- who is where ---

    def registered(self, address: str, process: Process) -> None:
        """An orchestrator is in the registry; it leaves that when its lease there is over."""
        delay_s = self.random.choice((0.01, 0.1, 0.5))
        self.loop.outside(delay_s, self._enter, address, process)
        process.on_death.append(
            lambda: self.loop.outside(REGISTRY_LEASE_S, self.deregistered, address)
        )

    def _enter(self, address: str, process: Process) -> None:
        if process.alive:
            self.directory[address] = process
            self._tell()

    def deregistered(self, address: str) -> None:
        if self.directory.pop(address, None) is not None:
            self._tell()

    def _tell(self) -> None:
        for host in self.workers.values():
            host.process.call(host.follow, dict(self.directory))

    def any_orchestrator(self, random: Random | None = None) -> Stub:
        addresses = list(self.directory) or ["nowhere"]
        return self.network.stub((random or self.random).choice(addresses))

    def any_worker_service(self, random: Random) -> str | None:
        alive = [host.address for host in self.workers.values() if host.process.alive]
        return random.choice(alive) if alive else None

    # --- processes ---

    def add_orchestrator(self, name: str, *, data_dir_id: str = "", skew_us: int = 0) -> None:
        self.orchestrators[name] = OrchestratorHost(
            self, name, data_dir_id=data_dir_id, skew_us=skew_us
        )

    def add_worker_service(self, name: str, slots: int) -> None:
        self.workers[name] = WorkerServiceHost(self, name, slots=slots)

    def add_remote(
        self, name: str, *, slots: int, repeats: float = 0.0, by_sdk: bool = False
    ) -> None:
        queues = ("default", "other")
        if by_sdk:
            self.remotes[name] = SdkWorker(self, name, slots=slots, queues=queues)
        else:
            self.remotes[name] = RemoteWorker(
                self, name, slots=slots, queues=queues, repeats=repeats
            )

    def add_events(self) -> None:
        self.events = EventHost(self, "event")

    def restart(self, name: str) -> None:
        """Starts a process of this name anew, unless it lives."""
        known = {**self.orchestrators, **self.workers, **self.remotes}.get(name)
        if name == "event" and self.events is not None:
            if not self.events.process.alive:
                self.add_events()
        elif known is None or known.process.alive:
            return
        elif name in self.orchestrators:
            self.add_orchestrator(name)
        elif name in self.workers:
            self.add_worker_service(name, self.workers[name].pool.credit.slots)
        else:
            former = self.remotes[name]
            by_sdk = isinstance(former, SdkWorker)
            self.add_remote(name, slots=former.slots, by_sdk=by_sdk)

    @property
    def processes(self) -> Iterable[Any]:
        """Every host and peer that can be broken, the present ones."""
        yield from self.orchestrators.values()
        yield from self.workers.values()
        yield from self.remotes.values()
        if self.events is not None:
            yield self.events

    def heal(self) -> None:
        """Nothing is broken from now on; what is dead is started again, pauses end in time."""
        self.faults.rates = CALM
        self.faults.scripted.clear()
        self.database.full = False
        if self.database.away:
            self.database.come_back()
        if self.nats.away:
            self.nats.come_back(store_lost=False)
        for host in list(self.processes):
            if not host.process.alive:
                self.restart(host.name)

    # --- the end ---

    def ended(self) -> bool:
        """Return whether every execution has ended and every message is delivered."""
        if not all(has_ended(row["status"]) for row in self.tables.executions.values()):
            return False
        history = sum(len(rows) for rows in self.tables.history.values())
        return len(self.event_tables.known) >= history

    async def until_settled(self, *asking: Asking) -> bool:
        """Returns when all has ended and nothing is left of it, or when that takes too long.

        Waits for paused processes: only then the messages left are known.
        """
        # A request sent before may still be applied.
        await elapsed(LATE_S_MAX)
        begun_s, commits = self.loop.time(), 0
        until = begun_s + SETTLED_WITHIN_S
        while self.loop.time() < until:
            if commits != len(self.tables.commits):
                commits = len(self.tables.commits)
                moves_until = min(self.loop.time() + MOVES_WITHIN_S, begun_s + SETTLED_AT_MOST_S)
                until = max(until, moves_until)
            awake = all(host.process.runs for host in self.processes)
            asked = any(one.open for one in asking)
            if awake and not asked and self.ended() and not any(leftovers(self)):
                return True
            await elapsed(LOOK_EVERY_S)
        self.problems.extend(leftovers(self))
        for one in asking:
            if one.open:
                self.problem("client", f"{one.open} calls of {type(one).__name__} are open")
        return False

    def finished(self, *, settled: bool) -> Record:
        """The record of the run, with what is in the database and in memory at its end."""
        record = self.record
        record.settled = settled
        record.commits = self.tables.commits
        record.deliveries["stored"] = self.event_tables.deliveries
        for execution_id, row in self.tables.executions.items():
            record.executions[execution_id] = Stored(
                execution_id=execution_id,
                namespace=row["namespace"],
                request_id=row["request_id"] or "",
                partition=row["partition"],
                status=row["status"],
                wake_at_us=row["wake_at"] or 0,
                plan=self.tables.plans[row["plan_digest"]],
                rows=dict(sorted(self.tables.history.get(execution_id, {}).items())),
                values={
                    name: (value["text"], value["number"])
                    for (of, name), value in self.tables.values.items()
                    if of == execution_id
                },
            )
        for host in self.orchestrators.values():
            if host.process.alive:
                self._add_states(host)
        return record

    def _add_states(self, host: OrchestratorHost) -> None:
        """States in the memory of a true owner: a paused one may be so no more, and not know."""
        core = host.core
        for execution_id, stored in self.record.executions.items():
            row = self.tables.partitions[stored.partition]
            known = core.memory.ownership.epochs.get(stored.partition)
            entry = core.memory.states.get(execution_id)
            if (row.incarnation, row.epoch) == (core.memory.ownership.incarnation, known) and entry:
                stored.states.append(snapshot(entry.state))
