"""The steps of a durable handler on a worker, with their retries and time limits."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.contract.json_value import Json
from flowmesh.contract.retries import backoff
from flowmesh.errors import FlowmeshError
from flowmesh.sdk.durable.context import Step
from flowmesh.sdk.durable.run import Operation
from flowmesh.sdk.transport.payload_store import Payloads
from flowmesh.sdk.worker.handlers import Mode
from flowmesh.sdk.worker.interrupts import raise_ctrl_c
from flowmesh.sdk.worker.results import failed, result_of_error, transfer_failed
from flowmesh.sdk.workflows.declarations import Retry, milliseconds

_key: contextvars.ContextVar[str] = contextvars.ContextVar("flowmesh_step_key")

InThread = Callable[[Callable[..., Any], tuple[Any, ...]], Coroutine[Any, Any, Json]]
Ended = Callable[[int, payload_pb2.Payload | None, failure_pb2.Failure | None], None]


def step_key() -> str:
    """Return the idempotency key of the running step; LookupError outside of a step.

    All runs of the step have the same key.
    """
    return _key.get()


class StepRunner:
    """Runs the steps of one handler and calls `ended` with the output or failure of each."""

    def __init__(
        self, *, idempotency_key: str, payloads: Payloads, in_thread: InThread, ended: Ended
    ) -> None:
        self._idempotency_key = idempotency_key
        self._payloads = payloads
        self._in_thread = in_thread
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def start(self, operation: Operation) -> None:
        """Start a step; one without an await or retries runs at once."""
        step: Step = operation.work
        if step.mode is Mode.INLINE and step.retry is None:
            self._run_inline(operation.index, step)
        else:
            self._tasks[operation.index] = self._loop.create_task(self._run(operation.index, step))

    def cancel(self, index: int) -> None:
        """Cancel a step; no effect if it has ended."""
        task = self._tasks.pop(index, None)
        if task is not None:
            task.cancel()

    def cancel_all(self) -> None:
        """Cancel all running steps."""
        for task in self._tasks.values():
            task.cancel()

    def _run_inline(self, index: int, step: Step) -> None:
        """Run a function without an await in one step, without an asyncio task."""
        context = contextvars.copy_context()
        context.run(_key.set, self._key_of(index))
        try:
            context.run(step.function(*step.args, **step.kwargs).send, None)
        except StopIteration as stop:
            self._inline_ended(index, stop.value)
        except BaseException as error:  # noqa: BLE001 - user code may raise any exception
            raise_ctrl_c(error)
            self._step_ended(index, None, result_of_error("", error).failure)

    def _inline_ended(self, index: int, value: Json) -> None:
        try:
            data = self._payloads.encode(value)
        except FlowmeshError as error:
            self._step_ended(index, None, failed("", "ValidationError", error.message).failure)
            return
        if len(data) <= INLINE_BYTES_MAX:
            self._step_ended(index, payload_pb2.Payload(data=data), None)
        else:
            self._tasks[index] = self._loop.create_task(self._store(index, value))

    async def _store(self, index: int, value: Json) -> None:
        output, failure = await packed(self._payloads, value)
        self._step_ended(index, output, failure)

    def _key_of(self, index: int) -> str:
        return f"{self._idempotency_key}/{index}"

    async def _run(self, index: int, step: Step) -> None:
        _key.set(self._key_of(index))
        attempts = 0
        while True:
            attempts += 1
            try:
                async with asyncio.timeout(step.timeout_ms / 1000 if step.timeout_ms else None):
                    value = await self._called(step)
                output, failure = await packed(self._payloads, value)
            except BaseException as error:  # user code may raise any exception
                raise_ctrl_c(error)
                if _is_canceled(error):
                    raise
                output, failure = None, result_of_error("", error).failure
            if failure is None or (delay_s := _delay_s(step.retry, attempts, failure)) is None:
                self._step_ended(index, output, failure)
                return
            await asyncio.sleep(delay_s)

    async def _called(self, step: Step) -> Json:
        call = partial(step.function, *step.args, **step.kwargs)
        return await (self._in_thread(call, ()) if step.mode is Mode.THREAD else call())

    def _step_ended(
        self,
        index: int,
        output: payload_pb2.Payload | None,
        failure: failure_pb2.Failure | None,
    ) -> None:
        self._tasks.pop(index, None)
        self._ended(index, output, failure)


async def packed(
    payloads: Payloads, value: Json
) -> tuple[payload_pb2.Payload | None, failure_pb2.Failure | None]:
    """Store an output; return its payload, or the failure of storing it."""
    try:
        return await payloads.pack(value), None
    except FlowmeshError as error:
        return None, transfer_failed("", "output", error).failure


def _is_canceled(error: BaseException) -> bool:
    """Return whether this asyncio task is canceled, and not one that the function awaits."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _delay_s(retry: Retry | None, attempts: int, failure: failure_pb2.Failure) -> float | None:
    """Return the delay before the next attempt of a step; None if it is not retried."""
    class_ = getattr(failure, "class")
    if retry is None or attempts >= retry.attempts or class_ == "Cancelled":
        return None
    if "*" not in retry.on and class_ not in retry.on:
        return None
    initial_ms, most_ms = milliseconds(retry.initial), milliseconds(retry.max)
    delay_ms = backoff(initial_ms, attempts, factor=retry.multiplier, most=most_ms)
    return max(delay_ms, failure.retry_after_ms) / 1000
