"""Firing of due schedules, and starts of executions for firings. Idle when nothing is due.

A firing is committed before its execution is started, and deleted when the orchestrator has
acknowledged the start. The request id of the start is derived from the trigger and the cause, so
a repeated start, from any process, returns the same execution.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
from structlog.typing import FilteringBoundLogger

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.contract.retries import backoff
from flowmesh.errors import FlowmeshError, Overloaded, Timeout, Unavailable, WrongState
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.misfits import Misfit, TriggerMisfit
from flowmesh.event.triggers.rights import Rights
from flowmesh.event.triggers.store import Firing, Row, TriggerStore
from flowmesh.expressions import RenderError
from flowmesh.failpoints import failpoint
from flowmesh.runtime import Loop
from flowmesh.triggers import Inputs, Schedule
from flowmesh.views import instant

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceAsyncStub

RUNNING_MAX: Final = 32
SCHEDULES_MAX: Final = 100
# Longer than the longest start: after it, the process of the start must have died.
LEASE_MS: Final = 15_000
START_TIMEOUT_S: Final = 10.0
DELAY_FIRST_MS: Final = 500
DELAY_MAX_MS: Final = 30_000
# An instant counts as missed only after this delay.
LATE_US: Final = 60 * 1_000_000
INSTANTS_MAX: Final = 1_000
# Delay after a schedule failed to fire.
RETRY_US: Final = 60 * 1_000_000
DRAIN_S: Final = 2.0
# Transient errors: the start is retried without limit.
TRANSIENT: Final = (Unavailable, Overloaded, Timeout)


class FiringLoop(Loop):
    """Fires due schedules and starts executions; wakes for new firings and due instants."""

    interval_ms = 1

    def __init__(
        self,
        *,
        store: TriggerStore,
        executions: "ExecutionServiceAsyncStub",
        rights: Rights | None,
        metrics: EventMetrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._store = store
        self._executions = executions
        # None in an open installation.
        self._rights = rights
        self._metrics = metrics
        self._log = log
        self._running: set[asyncio.Task[None]] = set()
        self._notified = asyncio.Event()
        self._draining = asyncio.Event()
        # True while nothing is due and the database is not queried.
        self.asleep = False

    def notify(self) -> None:
        """Wake the loop: there may be new firings or changed schedules."""
        self._notified.set()

    async def run_once(self) -> int:
        """Fire and start everything due, or wait. Return the number of started firings."""
        self._notified.clear()
        free = RUNNING_MAX - len(self._running)
        if free <= 0 or self._draining.is_set():
            await self._notified.wait()
            return 0
        fired = await self.fire_schedules()
        claimed = await self._store.claim(free=free, lease_ms=LEASE_MS)
        for firing in claimed:
            task = asyncio.create_task(self._begin(firing), name=f"fire-{firing.id}")
            self._running.add(task)
            task.add_done_callback(self._ended)
        if not fired and not claimed:
            await self._until_due()
        return len(claimed)

    async def fire_schedules(self) -> int:
        """Commit the firings of due schedules. Return the number of due schedules."""
        async with self._store.change() as change:
            rows = await change.due_schedules(SCHEDULES_MAX)
            if not rows:
                return 0
            firings: list[Firing] = []
            following: list[int | None] = []
            missed: list[int] = []
            misfits: list[TriggerMisfit] = []
            for row in rows:
                made = self._due(row)
                firings += made.firings
                following.append(made.next_us)
                missed.append(made.missed)
                misfits += made.misfits
            await change.move_schedules(rows, following, missed)
            await change.add_firings(firings, lease_ms=0)
            await change.note_misfits(misfits, {})
        failpoint("event.fired")
        return len(rows)

    def _due(self, row: Row) -> "Due":
        try:
            return due_of(row)
        except Exception as error:  # noqa: BLE001 a broken schedule must not delay others
            self._log.error(
                "schedule_not_fired",
                namespace=row["namespace"],
                workflow=row["workflow"],
                trigger=row["id"],
                exc_info=error,
            )
            return Due([], row["now_us"] + RETRY_US, 1, [_misfit(row, Misfit.of_definition(error))])

    async def start(self, firing: Firing) -> pb.StartExecutionResponse:
        """Start the execution and delete the firing. Raise the refusal of the orchestrator."""
        try:
            response = await self._ask(firing)
        except TRANSIENT:
            raise
        except FlowmeshError as error:
            self._metrics.firings.labels("refused").inc()
            await self._store.end(firing, error=f"{error.reason}: {error.message}")
            raise
        failpoint("event.started")
        # A retried firing may have created the execution in an earlier attempt.
        joined = not (response.created or firing.attempts)
        self._metrics.firings.labels("joined" if joined else "started").inc()
        await self._store.end(firing, execution_id=response.execution_id, joined=joined)
        return response

    async def until_started(self) -> None:
        """Wait for the starts in progress, for a bounded time."""
        if self._running:
            await asyncio.wait(self._running, timeout=DRAIN_S)

    async def drain(self) -> None:
        """Give running starts a grace period; leases return the others."""
        self._draining.set()
        self._notified.set()
        await self.until_started()

    async def _ask(self, firing: Firing) -> pb.StartExecutionResponse:
        request = pb.StartExecutionRequest(
            namespace=firing.namespace,
            workflow_id=firing.workflow,
            input=payload_pb2.Payload(data=firing.input),
            request_id=firing.id,
            actor=f"trigger:{firing.trigger}",
        )
        if self._rights is not None:
            await self._rights.check(firing, request)
        response = await self._executions.StartExecution(request, timeout=START_TIMEOUT_S)
        if firing.signal:
            signal = pb.SignalExecutionRequest(
                namespace=firing.namespace,
                execution_id=response.execution_id,
                name=firing.signal,
                payload=payload_pb2.Payload(data=firing.payload),
                request_id=firing.id,
                actor=request.actor,
            )
            try:
                await self._executions.SignalExecution(signal, timeout=START_TIMEOUT_S)
            except WrongState:
                # An execution from an earlier call has ended and no longer waits for a call.
                if response.created:
                    raise
        return response

    async def _begin(self, firing: Firing) -> None:
        try:
            await self.start(firing)
        except TRANSIENT:
            attempts = firing.attempts + 1
            delay_ms = int(backoff(DELAY_FIRST_MS, attempts, most=DELAY_MAX_MS))
            await self._store.postpone(firing, attempts=attempts, delay_ms=delay_ms)
        except FlowmeshError as error:
            self._log.warning(
                "trigger_started_nothing",
                workflow=firing.workflow,
                trigger=firing.trigger,
                cause=firing.cause,
                reason=error.reason,
            )

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._notified.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("firing_failed", firing=task.get_name(), exc_info=error)

    async def _until_due(self) -> None:
        wait_ms = await self._store.next_due_ms()
        self.asleep = True
        try:
            async with asyncio.timeout(None if wait_ms is None else wait_ms / 1_000):
                await self._notified.wait()
        except TimeoutError:
            return
        finally:
            self.asleep = False


class Due:
    """The firings of a due schedule, its next instant, the number of missed ones, and why."""

    __slots__ = ("firings", "misfits", "missed", "next_us")

    def __init__(
        self,
        firings: list[Firing],
        next_us: int | None,
        missed: int,
        misfits: list[TriggerMisfit],
    ) -> None:
        self.firings = firings
        self.next_us = next_us
        self.missed = missed
        self.misfits = misfits


def due_of(row: Row) -> Due:
    """Compute the firings of a schedule with `next_us` <= `now_us`."""
    trigger = trigger_pb2.Trigger.FromString(row["body"])
    schedule = Schedule(trigger.cron.expression, trigger.cron.time_zone)
    now_us, first_us = row["now_us"], row["next_us"]
    instants, missed = _instants(trigger.cron, schedule, first_us, now_us)
    inputs = Inputs(trigger)
    firings, misfits = [], []
    for at_us in instants:
        try:
            given = inputs.of({"trigger": cron_scope(row, at_us)})
        except RenderError as error:
            missed += 1
            misfits.append(_misfit(row, Misfit.of_input(error)))
            continue
        firings.append(
            Firing(row["namespace"], row["workflow"], trigger.id, cron_cause(at_us), at_us, given)
        )
    return Due(firings, schedule.next_after(max(now_us, first_us)), missed, misfits)


def _misfit(row: Row, misfit: Misfit) -> TriggerMisfit:
    return TriggerMisfit(row["namespace"], row["workflow"], row["id"], misfit)


def _instants(
    cron: trigger_pb2.CronTrigger, schedule: Schedule, first_us: int, now_us: int
) -> tuple[list[int], int]:
    """Return the instants to fire, and the number of missed ones, which is capped."""
    until_us = now_us + 1
    match cron.catch_up:
        case trigger_pb2.CATCH_UP_ONE:
            fire = schedule.last_between(first_us, until_us, 1)
        case trigger_pb2.CATCH_UP_ALL:
            fire = schedule.last_between(first_us, until_us, max(1, cron.catch_up_max))
        case _:
            late_us = max(first_us, now_us - LATE_US)
            fire = schedule.last_between(late_us, until_us, INSTANTS_MAX)
    missed = 0
    for at_us in schedule.between(first_us, fire[0] if fire else until_us):
        missed += 1
        if missed == INSTANTS_MAX or at_us > now_us:
            break
    return fire, missed


def cron_cause(at_us: int) -> str:
    return instant(at_us)


def cron_scope(row: Mapping[str, Any], at_us: int) -> dict[str, Any]:
    """Return the value of `trigger` in the templates of a schedule."""
    return {"id": row["id"], "workflow": row["workflow"], "scheduledAt": instant(at_us)}


def json_of(data: bytes) -> Any:
    """Parse JSON that was validated on receipt."""
    return orjson.loads(data) if data else None
