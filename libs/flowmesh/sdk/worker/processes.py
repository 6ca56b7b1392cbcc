"""Processes for handlers that work on the CPU, so that they stop neither each other nor the loop.

A process is started when it is needed and kept. A call that is no longer wanted is killed with its
process, which a thread could not be; a process that dies takes no other call with it.
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
from flowmesh.errors import FlowmeshError
from flowmesh.sdk import limits
from flowmesh.sdk.payloads import Json, encode
from flowmesh.sdk.worker.context import TaskContext
from flowmesh.sdk.worker.results import failed, heartbeat_data, result_of_attempt, result_of_error
from flowmesh.sdk.worker.task_log import noted

Report = Callable[[str, bytes], None]
_HEARTBEAT, _RESULT = b"h", b"r"


@dataclass(frozen=True, slots=True)
class Job:
    """One call of a handler. `function` travels by name, the task as its message."""

    function: Callable[..., Any]
    takes: int
    value: Json
    task: bytes
    config: bytes
    # Of a clock that all processes of a machine share.
    deadline: float | None


class Processes:
    """At most so many processes; who comes when all are busy waits its turn."""

    def __init__(self, processes: int) -> None:
        self._free = asyncio.Semaphore(processes)
        self._idle: list[_Process] = []
        # A thread waits for each busy process.
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="flowmesh-process")

    async def run(self, job: Job, report: Report) -> task_pb2.TaskResult:
        """The result of the job; a job that is canceled is killed."""
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
        """Ends the idle ones; the busy ones were killed with their tasks."""
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
        # Not forked: locks and threads of this process would be copied as they are.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        self._process.kill()

    def join(self) -> None:
        self._process.join(limits.WORKER_CANCEL_S)

    def call(self, job: Job, report: Report) -> task_pb2.TaskResult:
        """Blocks until the job has ended, or the process."""
        token = task_pb2.Task.FromString(job.task).token
        try:
            self._pipe.send(job)
            while True:
                message = self._pipe.recv_bytes()
                kind, data = message[:1], message[1:]
                if kind == _RESULT:
                    result = task_pb2.TaskResult.FromString(data)
                    # What could not be loaded there does not know its task.
                    result.token = token
                    return result
                report(token, data)
        except (EOFError, OSError):
            self.join()
            code = self._process.exitcode
            how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit {code}"
            return failed(token, "ProcessDied", f"the process of the handler ended: {how}")


def serve(pipe: "Connection[bytes, bytes]") -> None:
    """What such a process does: runs jobs, one after the other, until nobody sends any."""
    # Ctrl-C is for the worker, which lets its tasks end.
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
            return noted(failed(token, "ValidationError", f"output: {error.message}"), context)
        return noted(task_pb2.TaskResult(token=token, output=payload), context)
    except BaseException as error:  # noqa: BLE001 - whatever user code raises
        result = result_of_error(token, error) if task is None else result_of_attempt(task, error)
        return noted(result, context)
