"""A whole orchestrator on a real database, with the outside (bus, other processes) in memory.

Only what a test starts runs: `Core.run` starts the committer, `fail` makes named statements fail
the way a lost connection does.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import structlog

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import definition_service_pb2
from flowmesh.bus import Message
from flowmesh.bus.consumer import no_acknowledgment
from flowmesh.engine import Start
from flowmesh.errors import Unavailable
from flowmesh.orchestrator.commit.publisher import Publisher
from flowmesh.orchestrator.composition import Environment, compose
from flowmesh.orchestrator.lifecycle import compose_lifecycle
from flowmesh.orchestrator.model.commands import Answer, PendingCommand, PendingStart, Started
from flowmesh.orchestrator.model.ids import ExecutionIds
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.model.plans import PlanCache
from flowmesh.orchestrator.ownership.lease_keeper import LeaseLoop
from flowmesh.orchestrator.storage.archive import Archive
from flowmesh.orchestrator.storage.archiving import Archiving
from flowmesh.orchestrator.storage.database import Queries
from flowmesh.orchestrator.storage.outbox import Outbox
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.plan import Plan
from flowmesh.runtime import Clock
from flowmesh.telemetry import Metrics, Spans

WAIT_S = 10.0


class FailingQueries(Queries):
    """The real tables over a connection that breaks when a test says so."""

    def __init__(self, pool: Any) -> None:
        super().__init__(pool)
        self.failures: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.held: dict[str, asyncio.Event] = {}
        self.reached: dict[str, asyncio.Event] = {}
        self.seen: dict[str, asyncio.Event] = {}

    def after(self, name: str) -> asyncio.Event:
        """Set when this statement has been answered."""
        return self.seen.setdefault(name, asyncio.Event())

    def hold(self, name: str) -> asyncio.Event:
        """The answer of this statement waits until the event is set; returns that event."""
        self.reached[name] = asyncio.Event()
        self.held[name] = asyncio.Event()
        return self.held[name]

    async def _checked(self, name: str, answer: Any) -> Any:
        if self.failures[name] > 0:
            self.failures[name] -= 1
            self.failed[name] += 1
            answer.close()
            raise ConnectionRefusedError(name)
        found = await answer
        seen = self.seen.pop(name, None)
        if seen is not None:
            seen.set()
        gate = self.held.get(name)
        if gate is not None:
            self.reached[name].set()
            await gate.wait()
        return found

    async def rows(self, name: str, connection: Any = None, **values: object) -> list[Any]:
        found: list[Any] = await self._checked(name, super().rows(name, connection, **values))
        return found

    async def one(self, name: str, **values: object) -> Any:
        return await self._checked(name, super().one(name, **values))


class MemoryBus:
    """A stream in memory that keeps what is published, and can be away."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes, str]] = []
        self.away = False

    def on_reconnect(self, callback: Any) -> None:
        self.reconnected = callback

    async def ensure_stream(self, name: str, subjects: Any, age: int, size: int) -> None:
        self._require()

    async def publish(self, subject: str, data: bytes, *, msg_id: str = "") -> None:
        self._require()
        if msg_id not in {known for _, _, known in self.messages}:
            self.messages.append((subject, data, msg_id))

    async def last_message(self, stream: str, subject: str) -> Message | None:
        self._require()
        found = [data for to, data, _ in self.messages if to == subject]
        return Message(subject, found[-1], {}, 1, no_acknowledgment) if found else None

    def ids(self) -> list[str]:
        return [msg_id for _, _, msg_id in self.messages]

    def _require(self) -> None:
        if self.away:
            raise Unavailable("SERVICE_UNAVAILABLE", "away")


class Definitions:
    """The definition service: the plans a test registers."""

    def __init__(self) -> None:
        self.plans: dict[str, Plan] = {}

    async def GetPlan(self, request: Any) -> definition_service_pb2.GetPlanResponse:
        return definition_service_pb2.GetPlanResponse(plan=self.plans[request.workflow_id].message)


class Silent:
    """A process that takes calls and answers none."""

    def __getattr__(self, _call: str) -> Any:
        return self._take

    async def _take(self, request: Any, timeout: float) -> None:
        try:
            await asyncio.wait_for(asyncio.Event().wait(), timeout)
        except TimeoutError:
            raise Unavailable("SERVICE_UNAVAILABLE", "the peer does not answer") from None


class FakeClock(Clock):
    """The real clock, moved by what a test adds."""

    def __init__(self) -> None:
        self.ahead_ms = 0.0

    def monotonic_ms(self) -> float:
        return super().monotonic_ms() + self.ahead_ms


class Core:
    """An orchestrator with the answers of what was submitted to it."""

    def __init__(
        self,
        queries: FailingQueries,
        bus: MemoryBus,
        data_dir_id: str = "",
        archive: Archive | None = None,
        execution_stub: Any = None,
        deliver: Any = None,
    ) -> None:
        self.queries, self.bus, self.clock = queries, bus, FakeClock()
        self.store = OrchestratorStore(queries)
        self.tasks: list[asyncio.Task[None]] = []
        self.log = structlog.get_logger("test")
        self.definitions = Definitions()
        self.metrics = OrchestratorMetrics(Metrics())
        definitions: Any = self.definitions

        def publisher(outbox: Outbox) -> Publisher:
            outside: Any = bus
            return Publisher(bus=outside, outbox=outbox, prefix="t", log=self.log)

        self.given = Environment(
            store=self.store,
            plans=PlanCache(
                definitions=definitions,
                clock=self.clock,
                fresh_s=30,
                lookups=self.metrics.plan_lookups,
            ),
            clock=self.clock,
            log=self.log,
            address="127.0.0.1:1",
            data_dir_id=data_dir_id,
            metrics=self.metrics,
            spans=Spans(),
            publisher=publisher,
            ids=ExecutionIds(11),
            draw=lambda: 0.0,
            partition_stub=self._no_stub,
            permit_stub=self._no_stub,
            execution_stub=execution_stub or self._no_stub,
            control_stub=self._no_stub,
            archive=archive,
        )
        self.composed = compose(self.given)
        self.memory, self.dispatch = self.composed.memory, self.composed.dispatch
        self.calls = self.composed.calls
        composed = self.composed
        if deliver is not None:
            outside: Any = SimpleNamespace(deliver=deliver)
            composed = replace(composed, calls=replace(self.calls, deliveries=outside))
        self.life = compose_lifecycle(composed)

    def _no_stub(self, address: str) -> Any:
        return Silent()

    def run(self, *loops: Callable[[], Any]) -> None:
        for loop in loops or (self.life.committer.run,):
            self.tasks.append(asyncio.create_task(loop()))

    async def ask(self, work: Callable[[Any], PendingCommand]) -> Answer | Exception:
        """Submits a command and waits for its answer."""
        return await asyncio.wait_for(self.submit(work), WAIT_S)

    def submit(self, work: Callable[[Any], PendingCommand]) -> "asyncio.Future[Answer | Exception]":
        future: asyncio.Future[Answer | Exception] = asyncio.get_running_loop().create_future()
        self.memory.inbox.submit(work(future.set_result))
        return future

    async def start(self, plan: Plan, partition: int = 1, data: bytes = b"{}") -> str:
        payload = payload_pb2.Payload(data=data)
        started = await self.ask(
            lambda reply: PendingStart(
                partition, Start(payload), reply, plan=plan, start_digest=b"digest"
            )
        )
        assert isinstance(started, Started)
        return started.execution_id

    async def renew(self) -> bool:
        """Renew the lease, as its loop does."""
        incarnation = self.life.incarnation
        loop = LeaseLoop(self.life.keeper, expired=incarnation.lease_expired, over=incarnation.over)
        return await loop.run_once()

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.queries.failures.clear()
        self.queries.held.clear()
        await self.life.incarnation.end()


def archiving_of(store: OrchestratorStore, plans: PlanCache, archive: Archive | None) -> Archiving:
    """Return the archiving of executions of a store."""
    return Archiving(
        store=store.archive,
        executions=store.executions,
        payloads=store.payloads,
        plans=plans,
        archive=archive,
    )


@asynccontextmanager
async def running(
    store: OrchestratorStore,
    bus: MemoryBus | None = None,
    data_dir_id: str = "",
    failures: dict[str, int] | None = None,
    deliver: Any = None,
) -> AsyncIterator[Core]:
    """An incarnation that owns what is free, with its committer running."""
    core = Core(FailingQueries(store.pool), bus or MemoryBus(), data_dir_id, deliver=deliver)
    core.queries.failures.update(failures or {})
    try:
        with contextlib.suppress(ConnectionRefusedError):
            await core.life.incarnation.begin()
        core.run()
        if not failures:
            await until(lambda: not core.memory.background.busy)
        yield core
    finally:
        await core.close()


async def until(seen: Callable[[], object]) -> None:
    """Returns when `seen` is true; it is looked at after every step of the loop."""
    async with asyncio.timeout(WAIT_S):
        while not seen():  # noqa: ASYNC110 (the condition has no event)
            await asyncio.sleep(0)
