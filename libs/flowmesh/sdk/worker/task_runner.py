"""Runs handlers and converts their outcomes to results, independent of the stream."""

import asyncio
import contextvars
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError
from flowmesh.sdk.durable.host import DurableTask
from flowmesh.sdk.transport.payload_store import Payloads
from flowmesh.sdk.values import limits
from flowmesh.sdk.worker.context import TaskContext
from flowmesh.sdk.worker.handlers import Handler, Mode
from flowmesh.sdk.worker.interrupts import raise_ctrl_c
from flowmesh.sdk.worker.processes import Job, Processes
from flowmesh.sdk.worker.results import failed, heartbeat_data, result_of_attempt, transfer_failed
from flowmesh.sdk.worker.task_log import with_task_log


@dataclass(slots=True)
class _Running:
    """A running task."""

    context: TaskContext
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    timed_out: bool = False
    durable: DurableTask | None = None


class TaskRunner:
    """Calls `finished(result)` on the loop exactly once for every task it accepts."""

    def __init__(
        self,
        *,
        handlers: dict[str, Handler],
        payloads: Payloads,
        threads: int,
        processes: int,
        finished: Callable[[task_pb2.TaskResult], None],
        heartbeat: Callable[[str, bytes], None],
        record: Callable[[task_pb2.TaskRecords], None],
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        patience_s: float = limits.DURABLE_PATIENCE_S,
    ) -> None:
        self._handlers = handlers
        self._payloads = payloads
        self._threads = threads
        self._finished = finished
        self._heartbeat = heartbeat
        self._record = record
        self._now_us = now_us
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()
        self._running: dict[str, _Running] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._processes = Processes(processes)

    @property
    def held(self) -> list[str]:
        """The tokens of the running tasks."""
        return list(self._running)

    def holds(self, token: str) -> bool:
        """Return whether a task is running."""
        return token in self._running

    def accept(self, task: task_pb2.Task, config: bytes) -> None:
        """Start a task; a task type without a handler fails."""
        handler = self._handlers.get(task.task_type)
        if handler is None:
            message = f"this worker has no handler for {task.task_type!r}"
            self._finished(failed(task.token, "HandlerMissing", message))
            return
        deadline = self._loop.time() + task.timeout_ms / 1000 if task.timeout_ms else None
        context = TaskContext(
            task,
            config=config,
            deadline=deadline,
            monotonic=self._loop.time,
            report=self._report,
        )
        if handler.mode is Mode.INLINE and not task.input.HasField("reference"):
            self._run_inline(handler, task, context)
            return
        running = _Running(context)
        self._running[task.token] = running
        if deadline is not None:
            running.timer = self._loop.call_at(deadline, self._expire, task.token)
        if handler.mode is Mode.DURABLE:
            running.durable = self._durable(handler, task, context)
            return
        running.task = self._loop.create_task(self._run(handler, task, running))

    def recorded(self, recorded: task_pb2.TaskRecorded) -> None:
        """Deliver committed journal records to a durable handler."""
        running = self._running.get(recorded.token)
        if running is not None and running.durable is not None:
            running.durable.recorded(recorded)

    def _durable(self, handler: Handler, task: task_pb2.Task, context: TaskContext) -> DurableTask:
        return DurableTask(
            function=handler.function,
            task=task,
            context=context,
            payloads=self._payloads,
            in_thread=self._in_thread,
            send=self._record,
            finished=lambda result: self._end(task.token, result),
            now_us=self._now_us,
            patience_s=self._patience_s,
        )

    def cancel(self, token: str) -> None:
        """Cancel a running task; no effect if it has ended."""
        running = self._running.get(token)
        if running is None:
            return
        running.context.cancelled.set()
        if running.durable is not None:
            if running.timed_out:
                limit_ms = running.context.timeout_ms
                running.durable.cancel("Timeout", f"no result within {limit_ms} ms")
            else:
                running.durable.cancel()
        if running.task is not None:
            # Cancel after its first step: an earlier cancellation would give no result.
            self._loop.call_soon(running.task.cancel)

    async def close(self) -> None:
        """Cancel the running tasks and wait for them, for a bounded time."""
        tasks = [running.task for running in self._running.values() if running.task is not None]
        for token in self.held:
            self.cancel(token)
        if tasks:
            await asyncio.wait(tasks, timeout=limits.WORKER_CANCEL_S)
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        await self._processes.close()

    # One task -------------------------------------------------------------------------------

    def _run_inline(self, handler: Handler, task: task_pb2.Task, context: TaskContext) -> None:
        """Run a handler without an await in one step, without an asyncio task."""
        try:
            value = self._payloads.decode(task.input)
        except FlowmeshError as error:
            self._finished(transfer_failed(task.token, "input", error))
            return
        try:
            coroutine = handler.function(*(value, context)[: handler.takes])
            contextvars.copy_context().run(coroutine.send, None)
        except StopIteration as stop:
            self._complete(task.token, stop.value, context)
        except BaseException as error:  # noqa: BLE001 - user code may raise any exception
            raise_ctrl_c(error)
            self._finished(with_task_log(result_of_attempt(task, error), context.task_log))
        else:
            coroutine.close()
            self._finished(failed(task.token, "RuntimeError", "suspended without an await"))

    def _complete(self, token: str, value: Json, context: TaskContext) -> None:
        try:
            data = self._payloads.encode(value)
        except FlowmeshError as error:
            result = failed(token, "ValidationError", f"output: {error.message}")
            self._finished(with_task_log(result, context.task_log))
            return
        if len(data) <= INLINE_BYTES_MAX:
            payload = payload_pb2.Payload(data=data)
            self._finished(
                with_task_log(task_pb2.TaskResult(token=token, output=payload), context.task_log)
            )
            return
        running = self._running[token] = _Running(context)
        running.task = self._loop.create_task(self._complete_large(token, data))

    async def _complete_large(self, token: str, data: bytes) -> None:
        try:
            output = await self._payloads.put(data)
            result = task_pb2.TaskResult(token=token, output=output)
        except FlowmeshError as error:
            result = transfer_failed(token, "output", error)
        except asyncio.CancelledError:
            result = failed(token, "Cancelled", "the task was canceled")
        self._end(token, with_task_log(result, self._running[token].context.task_log))

    async def _run(self, handler: Handler, task: task_pb2.Task, running: _Running) -> None:
        token = task.token
        try:
            result = await self._outcome(handler, task, running.context)
        except asyncio.CancelledError:
            if running.timed_out:
                result = failed(token, "Timeout", f"no result within {task.timeout_ms} ms")
            else:
                result = failed(token, "Cancelled", "the task was canceled")
        except BaseException as error:  # noqa: BLE001 - user code may raise any exception
            raise_ctrl_c(error)
            result = result_of_attempt(task, error)
        self._end(token, with_task_log(result, running.context.task_log))

    async def _outcome(
        self, handler: Handler, task: task_pb2.Task, context: TaskContext
    ) -> task_pb2.TaskResult:
        try:
            value = await self._payloads.unpack(task.input)
        except FlowmeshError as error:
            return transfer_failed(task.token, "input", error)
        if handler.mode is Mode.PROCESS:
            return await self._in_process(handler, value, context)
        arguments = (value, context)[: handler.takes]
        if handler.mode is Mode.THREAD:
            _ = context.cancelled  # created here, so that loop and thread share it
            output = await self._in_thread(handler.function, arguments)
        else:
            output = await handler.function(*arguments)
        try:
            packed = await self._payloads.pack(output)
        except FlowmeshError as error:
            return transfer_failed(task.token, "output", error)
        return task_pb2.TaskResult(token=task.token, output=packed)

    async def _in_thread(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Json:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="flowmesh-task")
        variables = contextvars.copy_context()
        output, error = await self._loop.run_in_executor(
            self._pool, _called, variables, function, arguments
        )
        if error is not None:
            raise error
        return await output if asyncio.iscoroutine(output) else output

    async def _in_process(
        self, handler: Handler, value: Json, context: TaskContext
    ) -> task_pb2.TaskResult:
        job = Job(handler.function, handler.takes, value, *context.portable)
        result = await self._processes.run(job, self._report_data)
        if not result.output.data:
            return result
        result.output.data = self._payloads.sealed(result.output.data)
        if len(result.output.data) <= INLINE_BYTES_MAX:
            return result
        try:
            packed = await self._payloads.put(result.output.data)
        except FlowmeshError as error:
            return transfer_failed(result.token, "output", error)
        return task_pb2.TaskResult(token=result.token, output=packed, metadata=result.metadata)

    def _end(self, token: str, result: task_pb2.TaskResult | None) -> None:
        running = self._running.pop(token, None)
        if running is not None and running.timer is not None:
            running.timer.cancel()
        if result is not None:
            self._finished(result)

    def _expire(self, token: str) -> None:
        running = self._running.get(token)
        if running is not None:
            running.timed_out = True
            self.cancel(token)

    def _report(self, token: str, details: Json) -> None:
        """Report a heartbeat of a handler, which may run in a thread."""
        self._report_data(token, heartbeat_data(details))

    def _report_data(self, token: str, data: bytes) -> None:
        self._loop.call_soon_threadsafe(self._heartbeat, token, data)


def _called(
    variables: contextvars.Context, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[Any, BaseException | None]:
    """Return the output or the exception, as a future cannot deliver StopIteration and the like."""
    try:
        return variables.run(function, *arguments), None
    except StopIteration as error:
        # A coroutine would treat it as its return value.
        wrapped = RuntimeError("the handler raised StopIteration")
        wrapped.__cause__ = error
        return None, wrapped
    except BaseException as error:  # noqa: BLE001 - user code may raise any exception
        return None, error
