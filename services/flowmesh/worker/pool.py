"""The built-in executors as a worker set: a pool of slots inside the worker service.

Cheap steps run at once and their results are sent together; the others get an asyncio task each.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.api.worker.v1.dispatch_service_pb2 import Grant
from flowmesh.api.worker.v1.task_pb2 import (
    Heartbeat,
    Task,
    TaskRecorded,
    TaskRecords,
    TaskResult,
)
from flowmesh.executors import failures
from flowmesh.executors.base import NO_JOURNAL, Attempt, InlineStep, Journal, Output, Step
from flowmesh.executors.failures import TaskFailure
from flowmesh.executors.limits import LOOP_BYTES_MAX
from flowmesh.executors.rpc.services import ERRORS, UNNAMED, Count
from flowmesh.executors.specs import ReadySpec, ReadySpecs
from flowmesh.failpoints import failpoint
from flowmesh.sandbox import on_behalf_of
from flowmesh.tasktypes import TASK_TYPES, timeout_of
from flowmesh.telemetry.export import VERSION
from flowmesh.worker.attempts.journal import AttemptJournal
from flowmesh.worker.attempts.memo import Memo
from flowmesh.worker.attempts.payloads import Payloads
from flowmesh.worker.attempts.secrets import Secrets, masked_failure, masked_output
from flowmesh.worker.leases import Receipt
from flowmesh.worker.sets import WorkerSet
from flowmesh.worker.telemetry import COMPLETED, PoolTelemetry

AT_ONCE_MS = 10.0
"""Time for which steps of one frame run without a break; others run in tasks of their own."""

# Outcomes of a call that its system answered, without fault of its own.
_ANSWERED = frozenset({"", failures.CLIENT, failures.AUTHENTICATION})


class ResultSink(Protocol):
    """The receiver of results and heartbeats of the pool: the relay."""

    def complete(self, worker_set: WorkerSet, results: Sequence[TaskResult]) -> None: ...
    def heartbeats(self, worker_set: WorkerSet, heartbeats: Sequence[Heartbeat]) -> None: ...
    def records(self, worker_set: WorkerSet, records: Sequence[TaskRecords]) -> None: ...


class BuiltinPool(WorkerSet):
    """Runs attempts of built-in task types and passes their results to the sink."""

    def __init__(
        self,
        *,
        worker_id: str,
        specs: ReadySpecs,
        payloads: Payloads,
        sink: ResultSink,
        monotonic_ms: Callable[[], float],
        telemetry: PoolTelemetry,
        slots: int,
        queues: Sequence[str] = (),
        memo: Memo | None = None,
        secrets: Secrets | None = None,
        count: Count | None = None,
    ) -> None:
        super().__init__(set_id=f"{worker_id}/builtin", worker_id=worker_id, slots=slots)
        self._specs = specs
        self._queues = queues
        self._payloads = payloads
        self._secrets = secrets
        self._memo = memo
        self._sink = sink
        self._monotonic_ms = monotonic_ms
        self._telemetry = telemetry
        # Counts the calls of steps for the topology.
        self._count = count
        self._turn = asyncio.Lock()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._journals: dict[str, AttemptJournal] = {}
        # Running tasks with a heartbeat timeout: token to interval and time of the last heartbeat.
        self._beating: dict[str, tuple[float, float]] = {}

    def grant(self, slots: int) -> Grant:
        return Grant(
            set_id=self.set_id,
            slots=slots,
            queues=self._queues,
            task_types=self._specs.task_types,
            worker_id=self.worker_id,
            capacity=self.credit.slots,
            version=f"flowmesh-{VERSION}",
        )

    def deliver(self, tasks: Sequence[Task], specs: Mapping[str, TaskSpec]) -> None:
        failpoint("worker.received")
        results = []
        until_ms = self._monotonic_ms() + AT_ONCE_MS
        for task in tasks:
            try:
                spec = self._specs.ready(task.spec_digest, specs)
                in_time = self._monotonic_ms() < until_ms
                attempt = _inline_attempt(task, spec) if in_time else None
                if attempt is None:
                    self._start(task, spec)
                else:
                    results.append(self._run_inline(attempt, spec))
            except TaskFailure as failure:
                results.append(self._failed(task, failure))
        if results:
            self._sink.complete(self, results)

    def cancel(self, tokens: Sequence[str]) -> None:
        loop = asyncio.get_running_loop()
        for token in tokens:
            if running := self._running.get(token):
                # Not before its first step: a task canceled earlier would send no result.
                loop.call_soon(running.cancel)

    def settled(self, receipts: Sequence[Receipt], stale: Sequence[str]) -> None:
        """Do nothing: the pool keeps no results."""

    def recorded(self, recorded: TaskRecorded) -> None:
        if journal := self._journals.get(recorded.token):
            journal.recorded(recorded)

    def check_alive(self, now_ms: float) -> None:
        due = [t for t, (every, last) in self._beating.items() if now_ms - last >= every]
        for token in due:
            self._beating[token] = (self._beating[token][0], now_ms)
        if due:
            self._sink.heartbeats(self, [Heartbeat(token=token) for token in due])

    @property
    def running(self) -> tuple[str, ...]:
        return tuple(self._running)

    async def stop(self) -> None:
        """Stop running tasks without results."""
        running = list(self._running.values())
        self._running.clear()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _run_inline(self, attempt: Attempt, spec: ReadySpec) -> TaskResult:
        task = attempt.task
        _check_input(spec, attempt)
        assert isinstance(spec.step, InlineStep)
        try:
            output = spec.step.run(attempt)
        except TaskFailure:
            raise
        except Exception as error:
            raise self._fault(task, error) from error
        _check_output(spec, output)
        result = TaskResult(token=task.token, metadata=output.metadata, worker_id=self.worker_id)
        result.output.data = output.data
        self._telemetry.count(task.task_type, COMPLETED)
        return result

    def _start(self, task: Task, spec: ReadySpec) -> None:
        if task.heartbeat_timeout_ms:
            self._beating[task.token] = (task.heartbeat_timeout_ms / 3, self._monotonic_ms())
        # The message belongs to a frame; the task keeps it alive.
        self._running[task.token] = asyncio.create_task(self._run(task, spec))
        failpoint("worker.started")

    async def _run(self, task: Task, spec: ReadySpec) -> None:
        try:
            with (
                self._telemetry.attempt(task),
                on_behalf_of(task.namespace, task.execution_id),
            ):
                result = await self._result(task, spec)
            self._telemetry.count(task.task_type, COMPLETED)
        except TaskFailure as failure:
            result = self._failed(task, failure)
        except asyncio.CancelledError:
            canceled = TaskFailure(failures.CANCELLED, "the attempt was canceled")
            result = self._failed(task, canceled)
        except Exception as error:  # noqa: BLE001 (an executor's fault must fail one attempt only)
            result = self._failed(task, self._fault(task, error))
        self._beating.pop(task.token, None)
        self._journals.pop(task.token, None)
        if self._running.pop(task.token, None) is not None:
            self._sink.complete(self, [result])

    async def _result(self, task: Task, spec: ReadySpec) -> TaskResult:
        timeout_ms = _timeout_ms(task)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                data = await self._payloads.read(task.namespace, task.input)
                journal = self._journal_of(task)
                attempt = Attempt(task, data, timeout_ms, journal=journal)
                _check_input(spec, attempt)
                if spec.secrets and self._secrets is not None:
                    secrets = await self._secrets.of(task.namespace, spec.secrets)
                    if spec.input_secrets is not None:
                        data = spec.input_secrets.filled(data, secrets)
                    attempt = Attempt(task, data, timeout_ms, secrets, journal)
                if spec.memo is not None and self._memo is not None:
                    run = partial(self._ran, spec, attempt)
                    output = await self._memo.cached_or_run(spec.memo, attempt, run)
                else:
                    output = await self._ran(spec, attempt)
                _check_output(spec, output)
                payload = await self._payloads.write(task.namespace, output.data)
        except TimeoutError:
            message = f"the attempt did not end within {timeout_ms} ms"
            raise TaskFailure(failures.TIMEOUT, message) from None
        return TaskResult(
            token=task.token, output=payload, metadata=output.metadata, worker_id=self.worker_id
        )

    def _journal_of(self, task: Task) -> Journal:
        known = TASK_TYPES.get(task.task_type)
        if known is None or not known.journaled:
            return NO_JOURNAL
        journal = AttemptJournal(
            task, self._payloads, lambda records: self._sink.records(self, [records])
        )
        self._journals[task.token] = journal
        return journal

    async def _ran(self, spec: ReadySpec, attempt: Attempt) -> Output:
        if not attempt.secrets:
            return await self._ran_step(spec, attempt)
        try:
            return masked_output(await self._ran_step(spec, attempt), attempt.secrets)
        except TaskFailure as failure:
            raise masked_failure(failure, attempt.secrets) from None
        except Exception:  # noqa: BLE001 (its text would be logged, and may contain a secret)
            text = f"the {attempt.task.task_type} executor failed while it used a secret"
            raise TaskFailure(failures.INTERNAL, text) from None

    async def _ran_step(self, spec: ReadySpec, attempt: Attempt) -> Output:
        step = spec.step
        if not isinstance(step, InlineStep):
            failpoint("worker.before_effect")
            output = await self._called(step, spec.system, attempt)
            failpoint("worker.effect_done")
            return output
        async with self._turn:
            # Let other work run between two inline steps.
            await asyncio.sleep(0)
            if step.is_prompt(attempt):
                return step.run(attempt)
        return await step.run_off_loop(attempt)

    async def _called(self, step: Step, system: str, attempt: Attempt) -> Output:
        """Run a step, and count its call of a system if that answered or did not reach it."""
        began_ms, outcome = self._monotonic_ms(), failures.CANCELLED
        try:
            output = await step.run(attempt)
            outcome = ""
            return output
        except TaskFailure as failure:
            outcome = failure.class_
            raise
        finally:
            failed = outcome in ERRORS
            if system and self._count is not None and (failed or outcome in _ANSWERED):
                task, seconds = attempt.task, (self._monotonic_ms() - began_ms) / 1_000
                self._count(task.namespace, task.workflow_id or UNNAMED, system, seconds, failed)

    def _failed(self, task: Task, failure: TaskFailure) -> TaskResult:
        self._telemetry.count(task.task_type, failure.class_)
        return failure.result(task.token, self.worker_id)

    def _fault(self, task: Task, error: Exception) -> TaskFailure:
        self._telemetry.fault(task, error)
        return TaskFailure(failures.INTERNAL, f"the {task.task_type} executor failed")


def _inline_attempt(task: Task, spec: ReadySpec) -> Attempt | None:
    """Return the attempt of a step that runs at once; None if it needs a task of its own."""
    step = spec.step
    if not isinstance(step, InlineStep) or spec.memo is not None or spec.input_secrets:
        return None
    if len(task.input.data) > LOOP_BYTES_MAX or task.input.HasField("reference"):
        return None
    attempt = Attempt(task, task.input.data, _timeout_ms(task))
    return attempt if step.is_prompt(attempt) else None


def _timeout_ms(task: Task) -> int:
    return task.timeout_ms if task.timeout_ms > 0 else timeout_of(task.task_type)


def _check_input(spec: ReadySpec, attempt: Attempt) -> None:
    if spec.input_check is not None:
        spec.input_check.check(attempt.value)


def _check_output(spec: ReadySpec, output: Output) -> None:
    if spec.output_check is not None:
        spec.output_check.check(output.parsed())
