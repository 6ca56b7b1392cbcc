"""One drill: orders in flight, something breaks, and everything that was promised is checked."""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import asyncpg

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.errors import Unavailable
from flowmesh.testing import checker
from flowmesh.testing.checker import Stored
from flowmesh.testing.polling import done, until
from flowmesh.testing.world import World, read_effects
from tests.drills.orders import HELD, Orders
from tests.drills.watching import Subscribers

ORDERS = 200
LATE_ORDERS = 40
FOLLOWED = 20
ALL_ENDED_WITHIN_S = 45.0
EVENTS_WITHIN_S = 30.0
HOOKS_WITHIN_S = 45.0
ASKED_AT_ONCE = 50
_OPEN = """
select count(*) from orchestrator.executions
where workflow_id = any($1) and ended_at is null"""
_DATABASE_AWAY = (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError)


@dataclass(slots=True)
class Outcome:
    """What a drill found. `recoveries_s` are the waits of executions for their next event."""

    fault: str
    executions: int = 0
    lost: int = 0
    repeated: int = 0
    stuck: int = 0
    repeated_calls: int = 0
    unknown_starts: int = 0
    reopened: int = 0
    took_s: float = 0.0
    recoveries_s: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def line(self) -> str:
        """The outcome on one line, for the log of the run."""
        waits = sorted(self.recoveries_s)
        recovery = "-"
        if waits:
            recovery = f"first {waits[0]:.2f} p50 {self.p50_s:.2f} max {waits[-1]:.2f} s"
        return (
            f"[{self.fault}] n={self.executions} lost={self.lost} repeated={self.repeated}"
            f" stuck={self.stuck} repeated_calls={self.repeated_calls}"
            f" unknown_starts={self.unknown_starts} reopened={self.reopened}"
            f" next_transition: {recovery} all_ended_after={self.took_s:.1f} s"
        )

    @property
    def p50_s(self) -> float:
        return statistics.median(self.recoveries_s)


class Drill:
    """Orders under way against a running suite. Enter it, break something, `finish` it.

    `events` and `executions` are channels for stubs, asked anew each time, as are the addresses,
    because a restart may move them.
    """

    def __init__(
        self,
        fault: str,
        *,
        world: World,
        http_url: Callable[[], str],
        events: Callable[[], Any],
        executions: Callable[[], Any],
        postgres: Callable[[], str],
        orders: int = ORDERS,
        late_orders: int = LATE_ORDERS,
        load: Callable[[Callable[[], str], World], Orders] = Orders,
    ) -> None:
        self._count, self._late_count = orders, late_orders
        self.world = world
        self.orders = load(http_url, world)
        self.outcome = Outcome(fault)
        self.subscribers = Subscribers(events, self.orders.workflow_ids)
        self._executions = executions
        self._postgres = postgres
        self._stack = AsyncExitStack()
        self._late: asyncio.Task[None] | None = None
        self._broken_at_us = 0
        self._victims: frozenset[int] | None = None
        self._effects_before = len(self._effects())
        self.orders.script()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.subscribers)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.world.release(HELD)
        if self._late is not None:
            self._late.cancel()
        await self._stack.aclose()

    # --- before ---

    async def in_flight(self, *, followed: int = FOLLOWED, **options: Any) -> None:
        """Returns when all orders are started and each waits: for a held call, as a rule.

        So many of them have a subscriber of their own; `options` go to the definition.
        """
        self.world.hold(HELD)
        await self.orders.define(**options)
        await self.orders.start(0, self._count)
        self.subscribers.follow(self.orders.ids[:followed])
        await self.orders.under_way(self._count)

    def breaks(self, victims: Iterable[int] | None = None) -> None:
        """To be called at the fault: marks its moment, and more orders come in from now on.

        `victims` are the partitions it hits; all when none are named.
        """
        self._broken_at_us = time.time_ns() // 1_000
        self._victims = None if victims is None else frozenset(victims)
        self._late = asyncio.create_task(self.orders.start(self._count, self._late_count))
        self.world.release(HELD)

    def broke_at(self, seconds: float) -> None:
        """The fault came later than `breaks`, at this time of the machine's clock."""
        self._broken_at_us = int(seconds * 1e6)

    # --- after ---

    async def all_ended(self) -> float:
        """Returns once everything has ended: seconds since the fault. May still hold then."""
        assert self._late is not None
        await self._late
        await self._all_ended(self.outcome)
        return self.outcome.took_s

    async def finish(self, *, extra_deliveries: int = 1, hooks: bool = True) -> Outcome:
        """Waits for the end of everything, then checks every invariant; fails on any breach."""
        outcome = self.outcome
        assert self._late is not None
        await self._late
        await self._all_ended(outcome)
        # Once more for some: the same request id is the same execution, after the fault too.
        await self.orders.start(0, min(FOLLOWED, self._count))
        async with asyncio.timeout(ALL_ENDED_WITHIN_S):
            connection = await checker.reader(self._postgres())
        try:
            stored = await checker.read_stored(connection, self.orders.workflow_ids)
        finally:
            await connection.close()
        await self._events_arrive(stored)
        self._judge(stored, extra_deliveries)
        outcome.problems += await self._told(stored)
        if hooks:
            await self._hooks(stored)
        print(outcome.line())
        self.subscribers.raise_if_broken()
        assert not outcome.problems, "\n".join(outcome.problems[:20])
        assert (outcome.lost, outcome.repeated, outcome.stuck) == (0, 0, 0)
        return outcome

    async def _all_ended(self, outcome: Outcome) -> None:
        expected = self._count + self._late_count
        connection: asyncpg.Connection | None = None

        async def ended() -> bool:
            nonlocal connection
            try:
                if connection is None or connection.is_closed():
                    connection = await checker.reader(self._postgres())
                outcome.stuck = await connection.fetchval(_OPEN, self.orders.workflow_ids)
            except _DATABASE_AWAY:
                return False
            return outcome.stuck == 0

        try:
            await until("all ended", ended, within_s=ALL_ENDED_WITHIN_S, poll_s=0.1)
        except AssertionError:
            outcome.problems.append(f"I9 {outcome.stuck} of {expected} still open")
        finally:
            if connection is not None:
                await connection.close()
        outcome.took_s = time.time() - self._broken_at_us / 1e6

    async def _events_arrive(self, stored: dict[str, Stored]) -> None:
        """Lets subscribers come to the end of what is stored; who does not is reported later."""
        wanted = {one.id for one in stored.values() if one.ended}

        try:
            within_s = EVENTS_WITHIN_S
            await done("events there", lambda: self.subscribers.have_all(wanted), within_s=within_s)
        except AssertionError:
            missing = wanted - self.subscribers.ended
            self.outcome.problems.append(
                f"I7 {len(missing)} ends have not been told to who follows the workflow;"
                f" who follow executions have {self.subscribers.following}"
            )

    def _judge(self, stored: dict[str, Stored], extra_deliveries: int) -> None:
        outcome, orders = self.outcome, self.orders
        outcome.executions = len(stored)
        outcome.unknown_starts = orders.unknown
        outcome.reopened = self.subscribers.reopened
        problems = outcome.problems
        problems += checker.check_starts(stored, orders.answers)
        wanted = len(orders.ids) * len(orders.workflow_ids)
        if len(stored) != wanted:
            problems.append(f"I1 {len(stored)} executions where {wanted} were asked for")
        for one in stored.values():
            problems += checker.check_history(one)
            if wrong := orders.wrong(one):
                outcome.lost += 1
                problems.append(f"{one.id}: {wrong}")
        outcome.lost += len(set(orders.ids) - stored.keys())
        calls = orders.sink_calls(stored)
        called = [step for step in orders.called if any(call.step == step for call in calls)]
        problems += checker.check_sink(stored, calls, called, extra_deliveries=extra_deliveries)
        if self.world.effects_file is not None:
            effects = self._effects()[self._effects_before :]
            problems += checker.check_effects(stored, effects, called)
        keys = {(call.step, call.key) for call in calls}
        outcome.repeated_calls = len(calls) - len(keys)
        accepted = sum(checker.completed(one, step) for one in stored.values() for step in called)
        outcome.repeated = len({key for key in keys if key[0] in called}) - accepted
        if not self.subscribers.expired:
            watched = self.subscribers.of_workflow
            problems += checker.check_watched(stored, watched, stored)
        followed = self.subscribers.of_execution
        problems += checker.check_watched(stored, followed, followed)
        outcome.recoveries_s = self._recoveries(stored)

    def _effects(self) -> list[dict[str, Any]]:
        """What the receiver has written down, of earlier drills too."""
        file = self.world.effects_file
        return [] if file is None else read_effects(file)

    def _recoveries(self, stored: dict[str, Stored]) -> list[float]:
        """Per execution hit by the fault, the time until its next event was decided."""
        waits = []
        for one in stored.values():
            if self._victims is not None and one.partition not in self._victims:
                continue
            times = [event.at_us for event in one.events]
            after = [at for at in times if at > self._broken_at_us]
            if after and times[0] <= self._broken_at_us:
                waits.append((after[0] - self._broken_at_us) / 1e6)
        return waits

    async def _told(self, stored: dict[str, Stored]) -> list[str]:
        """What callers are told now is what the histories add up to."""
        stub = ExecutionServiceStub(self._executions())
        gate = asyncio.Semaphore(ASKED_AT_ONCE)

        async def ask(one: Stored) -> list[str]:
            request = pb.GetExecutionRequest(execution_id=one.id)
            async with gate:
                return checker.check_answer(one, (await stub.GetExecution(request)).execution)

        async def answers() -> bool:
            with suppress(Unavailable):
                await stub.GetExecution(pb.GetExecutionRequest(execution_id=self.orders.ids[0]))
                return True
            return False

        # Who is asked may be starting again itself.
        await until("answers", answers, within_s=ALL_ENDED_WITHIN_S)
        found = await asyncio.gather(*map(ask, stored.values()))
        return [problem for problems in found for problem in problems]

    async def _hooks(self, stored: dict[str, Stored]) -> None:
        """Every execution's end is delivered to its callback, under one id."""

        async def there() -> bool:
            return stored.keys() <= self.orders.hooks().keys()

        try:
            await until("all callbacks there", there, within_s=HOOKS_WITHIN_S, poll_s=0.1)
        except AssertionError as error:
            self.outcome.problems.append(f"I7 {error}")
        for execution_id, ids in self.orders.hooks().items():
            if execution_id in stored and len(ids) != 1:
                self.outcome.problems.append(f"I7 {execution_id}: callbacks {ids}")
