"""The processes of the suite: the real parts, put together as their `main.py` does it, on models.

Orchestrator, worker service and event service; what they reach outside of themselves is simulated.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, cast

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.errors import FlowmeshError
from flowmesh.event.callbacks import Callback
from flowmesh.event.intake.buffer import IntakeBuffer, IntakeStoreLoop
from flowmesh.event.intake.intake import GapFillLoop, Intake
from flowmesh.event.intake.reports import ReportLoop
from flowmesh.event.intake.sequencer import Sequencer
from flowmesh.event.live.arrival import Arrival
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.store import StreamPosition
from flowmesh.executors.base import Attempt, Output, Step
from flowmesh.executors.failures import SERVER, TaskFailure
from flowmesh.executors.specs import ReadySpecs
from flowmesh.orchestrator import services
from flowmesh.orchestrator.api.control_server import ControlServer
from flowmesh.orchestrator.api.execution_server import (
    PayloadServer,
)
from flowmesh.orchestrator.api.limit_server import LimitServer
from flowmesh.orchestrator.commit.publisher import Publisher
from flowmesh.orchestrator.composition import Core, Environment, compose
from flowmesh.orchestrator.lifecycle import compose_lifecycle
from flowmesh.orchestrator.main import restarted
from flowmesh.orchestrator.model.ids import ExecutionIds
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.model.plans import PlanCache
from flowmesh.orchestrator.ownership.lease_keeper import ClaimLoop, LeaseLoop
from flowmesh.orchestrator.search.listing import Listing
from flowmesh.orchestrator.search.searches import Searches
from flowmesh.orchestrator.storage.database import CONNECTION_LOST
from flowmesh.orchestrator.storage.outbox import Outbox
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.runtime import Clock
from flowmesh.telemetry import Metrics, Spans
from flowmesh.worker import limits
from flowmesh.worker.attempts.payloads import Payloads as WorkerPayloads
from flowmesh.worker.pool import BuiltinPool
from flowmesh.worker.relay import Relay
from flowmesh.worker.streams.orchestrator_stream import OrchestratorStream
from flowmesh.worker.streams.orchestrators import Orchestrators
from flowmesh.worker.telemetry import PoolTelemetry
from flowmesh.worker.work import WorkServer
from tests.simulation.checks.history import Delivery
from tests.simulation.servers.bus import SimulatedBus, SimulatedEventStream
from tests.simulation.servers.database import SimulatedQueries
from tests.simulation.servers.loop import Process, elapsed

if TYPE_CHECKING:
    from tests.simulation.servers.world import World

BUILTIN_TYPE = "builtin.work"
BEGIN_RETRY_S = 0.3


@cache
def _metrics() -> tuple[OrchestratorMetrics, EventMetrics, Metrics]:
    metrics = Metrics()
    return OrchestratorMetrics(metrics), EventMetrics(metrics), metrics


class SimulatedClock(Clock):
    """The clocks of one machine: they agree on how fast time passes, not on what time it is."""

    def __init__(self, world: World, skew_us: int) -> None:
        self._loop, self._start_us = world.loop, world.start_us
        self.skew_us = skew_us

    def now_us(self) -> int:
        return self._start_us + self.skew_us + int(self._loop.time() * 1e6)

    def monotonic_ms(self) -> float:
        return self._loop.time() * 1e3

    def cpu_ms(self) -> float:
        return self.monotonic_ms()


async def _every(run: Callable[[], Awaitable[object]], interval_s: float) -> None:
    """Run like `Loop.run`, without jitter."""
    while True:
        with contextlib.suppress(FlowmeshError, *CONNECTION_LOST):
            await run()
        await elapsed(interval_s)


class OrchestratorHost:
    """One orchestrator process."""

    def __init__(self, world: World, name: str, *, data_dir_id: str, skew_us: int = 0) -> None:
        self.world, self.name = world, name
        number = world.next_number()
        self.address = f"{name}-{number}"
        self.process = Process(world.loop, self.address)
        self.store = OrchestratorStore(SimulatedQueries(world.database, self.process))
        self.bus = SimulatedBus(world.nats, self.process)
        self.clock = SimulatedClock(world, skew_us)
        self.ready = False
        self.core = self._core(number, data_dir_id)
        self.life = compose_lifecycle(self.core)
        core, no_pool = self.core, cast("Any", None)
        no_links: Any = None
        no_letters: Any = None
        stub_at: Any = world.network.stub
        searches = Searches(pool=no_pool, now_us=core.memory.ownership.now_us)
        listing = Listing(
            searches=searches, states=core.memory.states, state_of=core.calls.reader.state
        )
        world.network.listen(
            self.address,
            self.process,
            services.execution_server(core, listing, self.life),
            ControlServer(control=core.calls.control, links=no_links),
            PayloadServer(payloads=core.memory.payloads),
            services.partition_server(core, self.life),
            services.outbox_server(core),
            LimitServer(limits=services.limits_of(core, stub_at), dead_letters=no_letters),
            services.permit_server(core),
            services.dispatch_server(core, self.life),
        )
        self.process.spawn(self._run())

    def _core(self, number: int, data_dir_id: str) -> Core:
        world = self.world
        outside: Any = self.bus
        definitions: Any = world.definitions

        def publisher(outbox: Outbox) -> Publisher:
            return Publisher(bus=outside, outbox=outbox, prefix="t", log=world.log)

        stub_at: Any = world.network.stub
        metrics = _metrics()[0]
        given = Environment(
            store=self.store,
            plans=PlanCache(
                definitions=definitions,
                clock=self.clock,
                fresh_s=30,
                lookups=metrics.plan_lookups,
            ),
            clock=self.clock,
            log=world.log,
            address=self.address,
            data_dir_id=data_dir_id,
            metrics=metrics,
            spans=Spans(),
            publisher=publisher,
            ids=ExecutionIds(number),
            draw=Random(number).random,
            execution_stub=stub_at,
            partition_stub=stub_at,
            permit_stub=stub_at,
            control_stub=stub_at,
        )
        return compose(given)

    async def _run(self) -> None:
        core, life, world = self.core, self.life, self.world
        try:
            await life.incarnation.begin()
        except CONNECTION_LOST:
            # The process ends with an error, and its supervisor starts another one.
            world.loop.outside(BEGIN_RETRY_S, world.restart, self.name)
            self.process.kill()
            return
        self.bus.connected()
        claims = ClaimLoop(life.keeper, self.clock, world.log)
        for run in (life.committer.run, core.memory.publisher.run):
            self.process.spawn(restarted(run, world.log))
        for loop in (core.dispatch.timers, claims):
            self.process.spawn(loop.run(Metrics()))
        lease = LeaseLoop(
            life.keeper, expired=life.incarnation.lease_expired, over=life.incarnation.over
        )
        self.process.spawn(_every(lease.run_once, lease.interval_ms / 1000))
        self.ready = True
        world.registered(self.address, self.process)

    async def leave(self) -> None:
        """A planned end: hands everything over first."""
        self.world.deregistered(self.address)
        with contextlib.suppress(*CONNECTION_LOST):
            await self.life.incarnation.end()
        self.process.kill()
        self.world.loop.outside(BEGIN_RETRY_S, self.world.restart, self.name)


class _SimulatedStep(Step):
    """A built-in step that takes some time and may fail."""

    def __init__(self, host: WorkerServiceHost) -> None:
        self._host = host

    async def run(self, attempt: Attempt) -> Output:
        world, task = self._host.world, attempt.task
        world.effect(task, self._host.service_id)
        duration_s, outcome = world.work.of(task)
        await elapsed(duration_s)
        if not outcome:
            raise TaskFailure(SERVER, "drawn")
        return Output(world.work.output(task))


class WorkerServiceHost:
    """One worker service process, with a pool of built-in slots."""

    def __init__(self, world: World, name: str, *, slots: int) -> None:
        self.world, self.name = world, name
        self.service_id = self.address = f"{name}-{world.next_number()}"
        self.process = Process(world.loop, self.address)
        self.clock = SimulatedClock(world, 0)
        self.relay = Relay(worker_service_id=self.service_id, monotonic_ms=self.clock.monotonic_ms)
        self.pool = BuiltinPool(
            worker_id=self.service_id,
            specs=ReadySpecs({BUILTIN_TYPE: self._step}, lambda: 0),
            payloads=WorkerPayloads(_NoPayloads()),
            sink=self.relay,
            monotonic_ms=self.clock.monotonic_ms,
            telemetry=PoolTelemetry(_metrics()[2], Spans(), world.log),
            slots=slots,
        )
        server = WorkServer(
            relay=self.relay,
            monotonic_ms=self.clock.monotonic_ms,
            new_id=lambda: str(world.next_number()),
        )
        world.network.listen(self.address, self.process, server)
        self.orchestrators = Orchestrators(make_stream=self._stream)
        self.process.call(self._begin)

    def _step(self, spec: TaskSpec, config: dict[str, Any]) -> Step:
        return _SimulatedStep(self)

    def _begin(self) -> None:
        self.relay.add_set(self.pool)
        self.follow(self.world.directory)
        self.process.spawn(_every(self._tick, limits.TICK_MS / 1000))

    async def _tick(self) -> None:
        self.relay.tick()

    def follow(self, directory: Mapping[str, Process]) -> None:
        """The registry has news of the orchestrators."""
        self.orchestrators.update({address: address for address in directory})

    def _stream(self, instance_id: str, address: str) -> OrchestratorStream:
        return OrchestratorStream(
            stream_id=instance_id,
            attach=self.world.network.stub(address).Attach,
            listener=self.relay,
            monotonic_ms=self.clock.monotonic_ms,
            log=self.world.log,
        )


class _NoPayloads:
    """All inputs and outputs travel inline."""

    async def PutPayload(self, requests: Any) -> Any:
        raise NotImplementedError

    def GetPayload(self, request: Any) -> Any:
        raise NotImplementedError


class EventTables:
    """The stored positions of the event services, and every event received, in order."""

    def __init__(self) -> None:
        self.positions: dict[int, int] = {}
        self.place: StreamPosition | None = None
        self.known: set[tuple[str, int]] = set()
        self.deliveries: list[Delivery] = []

    def take_in(
        self, positions: Mapping[int, int], place: StreamPosition, rows: Sequence[Callback]
    ) -> int:
        for incarnation, position in positions.items():
            self.positions[incarnation] = max(position, self.positions.get(incarnation, 0))
        if (
            self.place is None
            or self.place.made_us != place.made_us
            or self.place.sequence < place.sequence
        ):
            self.place = place
        new = 0
        for row in rows:
            key = (row.execution_id, row.sequence)
            if key not in self.known:
                self.known.add(key)
                self.deliveries.append(Delivery(row.execution_id, row.sequence, row.event))
                new += 1
        return new


class _EventStore:
    """The store of one event service process."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def take_in(
        self,
        positions: Mapping[int, int],
        place: StreamPosition,
        callbacks: Sequence[Callback],
        audit: Sequence[Mapping[str, Any]] = (),
    ) -> int:
        assert not audit, "an open installation records no execution"
        tables = self._world.event_tables
        told: int = await self._world.database.run(
            "take_in", lambda: tables.take_in(positions, place, callbacks)
        )
        return told

    async def delete_expired(self) -> None:
        """Nothing gets old enough."""


class _RecordingBuffer(IntakeBuffer):
    """Records every row as if a callback were requested for each."""

    def take(self, arrival: Arrival) -> None:
        super().take(arrival)
        self._pending.add(
            Callback(
                row.namespace,
                row.execution_id,
                row.workflow_id,
                "row",
                row.first_sequence,
                "",
                "",
                row.events,
                0,
            )
            for row in arrival.batch.rows
        )
        self._urgent.set()


class _NoFanout:
    """No client follows live."""

    def publish(self, arrival: Arrival, passed: Any, resume: Any) -> None: ...


class EventHost:
    """One event service process."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.address = f"{name}-{world.next_number()}"
        self.process = Process(world.loop, self.address)
        self.bus = SimulatedBus(world.nats, self.process)
        self.clock = SimulatedClock(world, 0)
        self.process.call(self._begin)

    def _begin(self) -> None:
        world = self.world
        store: Any = _EventStore(world)
        stream: Any = SimulatedEventStream(world.nats, self.bus)
        fanout: Any = _NoFanout()
        metrics = _metrics()[1]
        log: Any = world.log
        self.sequencer = Sequencer(world.event_tables.positions)
        self.buffer = _RecordingBuffer(
            store=store,
            stream=stream.name,
            place=world.event_tables.place,
            positions=world.event_tables.positions,
            metrics=metrics,
            log=log,
            on_callbacks=lambda: None,
        )
        intake = Intake(
            stream=stream,
            sequencer=self.sequencer,
            fanout=fanout,
            buffer=self.buffer,
            metrics=metrics,
            log=log,
        )
        keep = IntakeStoreLoop(buffer=self.buffer, store=store, clock=self.clock)
        fill = GapFillLoop(intake=intake, outbox=_AnyOutbox(world))  # type: ignore[arg-type]
        report = ReportLoop(buffer=self.buffer, outboxes=self._outboxes)
        self.bus.on_reconnect(stream.ensure)
        for run, interval_s in (
            (intake.read_stream, 0.1),
            (keep.run_once, 0.001),
            (fill.run_once, 0.1),
            (report.run_once, 1.0),
        ):
            self.process.spawn(_every(run, interval_s))

    def _outboxes(self) -> list[Any]:
        return [self.world.network.stub(address) for address in self.world.directory]


class _AnyOutbox:
    """The outbox of whichever orchestrator the balancer picks."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def ReadOutbox(self, request: Any) -> Any:
        return await self._world.any_orchestrator().ReadOutbox(request)


def failed_result(token: str, class_: str, message: str) -> task_pb2.TaskResult:
    """A failure as a worker reports it."""
    return TaskFailure(class_, message).result(token, "")
