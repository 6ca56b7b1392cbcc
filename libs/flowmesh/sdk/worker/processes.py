"""Processes for CPU-bound handlers, which would block each other and the event loop in threads.

A process is started on demand and reused. Canceling a call kills its process. The death of a
process affects only its own call.
"""

import asyncio
import multiprocessing
import pickle
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.payloads import encode
from flowmesh.sdk.worker.context import TaskContext
from flowmesh.sdk.worker.results import failed, heartbeat_data, result_of_attempt, result_of_error
from flowmesh.sdk.worker.task_log import with_task_log

Report = Callable[[str, bytes], None]
_HEARTBEAT, _RESULT = b"h", b"r"


@dataclass(frozen=True, slots=True)
class Job:
    """One call of a handler. `function` is pickled by name, the task is its message."""

    function: Callable[..., Any]
    takes: int
    value: Json
    task: bytes
    config: bytes
    # In seconds on the monotonic clock, which all processes of a machine share.
    deadline: float | None


class Processes:
    """A bounded pool of processes; further calls wait for a free one."""

    def __init__(self, processes: int) -> None:
        self._free = asyncio.Semaphore(processes)
        self._idle: list[_Process] = []
        # One thread waits for each busy process.
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="flowmesh-process")

    async def run(self, job: Job, report: Report) -> task_pb2.TaskResult:
        """Run a job and return its result; cancellation kills its process."""
        async with self._free:
            process = self._take()
            loop = asyncio.get_running_loop()
            try:
                result = await loop.run_in_executor(self._threads, process.call, job, report)
            except BaseException:
                process.kill()
                raise
            if process.alive:
                self._idle.append(process)
            return result

    def _take(self) -> "_Process":
        while self._idle:
            process = self._idle.pop()
            if process.alive:
                return process
        return _Process()

    async def close(self) -> None:
        """Stop the idle processes; the busy ones were killed with their tasks."""
        for process in self._idle:
            process.kill()
        await asyncio.to_thread(self._join, list(self._idle))
        self._idle.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _join(self, processes: "list[_Process]") -> None:
        for process in processes:
            process.join()


class _Process:
    """One process and the pipe to it."""

    def __init__(self) -> None:
        # A fork would copy held locks without the threads that release them.
        context = multiprocessing.get_context("spawn")
        self._pipe, child_end = context.Pipe()
        self._process = context.Process(target=serve, args=(child_end,), daemon=True)
        self._process.start()
        child_end.close()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        self._process.kill()

    def join(self) -> None:
        self._process.join(limits.WORKER_CANCEL_S)

    def call(self, job: Job, report: Report) -> task_pb2.TaskResult:
        """Run a job and block until it or the process ends."""
        token = task_pb2.Task.FromString(job.task).token
        try:
            self._pipe.send(job)
            while True:
                message = self._pipe.recv_bytes()
                kind, data = message[:1], message[1:]
                if kind == _RESULT:
                    result = task_pb2.TaskResult.FromString(data)
                    # A job that could not be unpickled has a result without a token.
                    result.token = token
                    return result
                report(token, data)
        except (EOFError, OSError):
            self.join()
            code = self._process.exitcode
            cause = f"killed by signal {-code}" if code is not None and code < 0 else f"exit {code}"
            return failed(token, "ProcessDied", f"the process of the handler ended: {cause}")


def serve(pipe: "Connection[bytes, bytes]") -> None:
    """Run jobs one after the other until the pipe is closed; the main function of a process."""
    # The worker handles Ctrl-C and lets its tasks end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            sent = pipe.recv_bytes()
        except EOFError:
            return
        pipe.send_bytes(_RESULT + _result(sent, pipe).SerializeToString())


def _result(sent: bytes, pipe: "Connection[bytes, bytes]") -> task_pb2.TaskResult:
    token, task, context = "", None, None
    try:
        job: Job = pickle.loads(sent)
        task = task_pb2.Task.FromString(job.task)
        token = task.token
        context = TaskContext(
            task,
            config=job.config,
            deadline=job.deadline,
            monotonic=time.monotonic,
            report=lambda _, details: pipe.send_bytes(_HEARTBEAT + heartbeat_data(details)),
        )
        output = job.function(*(job.value, context)[: job.takes])
        if asyncio.iscoroutine(output):
            output = asyncio.run(output)
        try:
            payload = payload_pb2.Payload(data=encode(output))
        except FlowmeshError as error:
            return with_task_log(
                failed(token, "ValidationError", f"output: {error.message}"), context.task_log
            )
        return with_task_log(task_pb2.TaskResult(token=token, output=payload), context.task_log)
    except BaseException as error:  # noqa: BLE001 - user code may raise any exception
        result = result_of_error(token, error) if task is None else result_of_attempt(task, error)
        return with_task_log(result, context.task_log if context is not None else None)
