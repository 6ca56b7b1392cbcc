"""Handlers that are commands: any program that reads tasks and writes results as lines of JSON.

    in   {"task": {"type": …, "input": …, "config": …, "attempt": 1, "idempotencyKey": …, …}}
         {"cancel": {}}
    out  {"progress": …}   a heartbeat with details
         {"result": …}     the task has succeeded
         {"failure": {"class": …, "message": …, "retryAfterMs": 0, "details": …}}

A process runs one task at a time and is kept for the next one; a process that ended is replaced. A
line of its standard error is a line of the task log.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.failures import TaskCancelled, TaskFailure
from flowmesh.sdk.worker.context import TaskContext

FAILED: Final = "CommandFailed"
LOG_CHUNK_BYTES: Final = 64 * 1024
LOG_TURNS: Final = 3
_log = logging.getLogger("flowmesh.sdk")


class CommandPool:
    """Processes of one command, as many as tasks that run at once."""

    def __init__(self, command: Sequence[str]) -> None:
        if not command or not command[0]:
            raise Invalid("REQUEST_INVALID", "a worker of a command needs the command")
        self._command = tuple(command)
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._ending: set[asyncio.Task[None]] = set()

    async def handle(self, given: Json, context: TaskContext) -> Json:
        """Run a task; a process that ends without a result fails this attempt only."""
        process = await self._take()
        try:
            result = await process.run(_task_of(given, context), context)
        except asyncio.CancelledError:
            ending = asyncio.create_task(self._cancel(process))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            raise
        except BaseException:
            self._give_back(process)
            raise
        self._give_back(process)
        return result

    async def close(self) -> None:
        """End all processes: their standard input closes, and those that stay are killed."""
        for process in self._all:
            process.close()
        deadline = asyncio.get_running_loop().time() + limits.COMMAND_END_S
        for process in tuple(self._all):
            await process.ended(deadline)
        self._all.clear()
        self._idle.clear()

    async def _take(self) -> "_Process":
        while self._idle:
            process = self._idle.pop()
            if process.alive:
                return process
            self._all.discard(process)
        try:
            started = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=limits.COMMAND_LINE_BYTES_MAX,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise TaskFailure(FAILED, f"{self._command[0]} does not start: {error}") from error
        process = _Process(started)
        self._all.add(process)
        return process

    def _give_back(self, process: "_Process") -> None:
        if process.alive:
            self._idle.append(process)
        else:
            self._all.discard(process)

    async def _cancel(self, process: "_Process") -> None:
        await process.cancel()
        self._give_back(process)


class _Process:
    """A process that runs one task at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._context: TaskContext | None = None
        self._outcome: asyncio.Future[Json] | None = None
        self._words = ""
        self._broken = ""
        self._reading = asyncio.create_task(self._read(), name="flowmesh-command")

    @property
    def alive(self) -> bool:
        return not self._reading.done() and not self._broken

    async def run(self, task: dict[str, Json], context: TaskContext) -> Json:
        """Return the result. Raises TaskFailure."""
        self._context, self._words = context, ""
        outcome = self._outcome = asyncio.get_running_loop().create_future()
        self._write({"task": task})
        if self._reading.done():
            self._settle(self._end())
        try:
            # Cancellation must not cancel the outcome, which the process may still settle.
            return await asyncio.shield(outcome)
        finally:
            # Lines of the log that were written before the result are read in the next turns.
            for _ in range(LOG_TURNS):
                await asyncio.sleep(0)
            if outcome.done():
                self._context = None

    async def cancel(self) -> None:
        """Ask the process to leave its task, and kill it if it does not."""
        assert self._outcome is not None
        self._write({"cancel": {}})
        await asyncio.wait((self._outcome,), timeout=limits.COMMAND_CANCEL_S)
        if not self._outcome.done():
            self.kill("it was canceled")
            await asyncio.wait((self._reading,))
        self._outcome.exception()
        self._context = None

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def ended(self, deadline: float) -> None:
        """Wait for the end until a time of the loop, then kill."""
        left = max(deadline - asyncio.get_running_loop().time(), 0)
        await asyncio.wait((self._reading,), timeout=left)
        if not self._reading.done():
            self.kill("the worker ends")
            await asyncio.wait((self._reading,))

    def kill(self, why: str) -> None:
        """Kill the process with those that it has started."""
        self._broken = self._broken or why
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _write(self, message: dict[str, Json]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps(message) + b"\n")

    async def _read(self) -> None:
        """Read what the process writes, to its end."""
        logging_ = asyncio.create_task(self._read_log())
        assert self._process.stdout is not None
        try:
            while line := await self._process.stdout.readline():
                self._line(line)
        except ValueError:
            self.kill(f"it wrote a line of more than {limits.COMMAND_LINE_BYTES_MAX >> 20} MiB")
        await self._process.wait()
        # What it has left behind may hold the pipes open.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await logging_
        self._settle(self._end())

    def _line(self, line: bytes) -> None:
        if self._broken or not line.strip():
            return
        try:
            found: Any = orjson.loads(line)
            self._take(found)
        except (ValueError, TypeError, KeyError, AttributeError):
            shown = line.strip()[:200].decode("utf-8", "replace")
            self.kill(f"it wrote {shown!r}, which is no result, failure or progress")

    def _take(self, found: dict[str, Any]) -> None:
        if self._context is None or self._outcome is None or self._outcome.done():
            _log.warning("the command wrote a line outside of a task; it is dropped")
        elif "result" in found:
            self._settle(found["result"])
        elif "failure" in found:
            self._settle(_failure_of(found["failure"]))
        else:
            progress = found["progress"]
            with suppress(TaskCancelled):
                self._context.heartbeat(progress)

    async def _read_log(self) -> None:
        """Add each line of standard error to the log of the task."""
        assert self._process.stderr is not None
        rest = b""
        while chunk := await self._process.stderr.read(LOG_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in (*lines, *((rest,) if len(rest) > LOG_CHUNK_BYTES else ())):
                self._say(line)
            rest = b"" if len(rest) > LOG_CHUNK_BYTES else rest
        self._say(rest)

    def _say(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()[: limits.TASK_LOG_LINE_CHARS_MAX]
        if text:
            self._words = text
            if self._context is not None:
                self._context.log(text)
            else:
                _log.info("%s", text)

    def _end(self) -> TaskFailure:
        """Return how the process ended before its result, with its last words."""
        code = self._process.returncode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        text = self._broken or f"it ended with {how} before a result"
        return TaskFailure(FAILED, f"{text}: {self._words}" if self._words else text)

    def _settle(self, found: Json | TaskFailure) -> None:
        if self._outcome is None or self._outcome.done():
            return
        if isinstance(found, TaskFailure):
            self._outcome.set_exception(found)
        else:
            self._outcome.set_result(found)


def _task_of(given: Json, context: TaskContext) -> dict[str, Json]:
    return {
        "type": context.task_type,
        "input": given,
        "config": context.config,
        "attempt": context.attempt,
        "idempotencyKey": context.idempotency_key,
        "executionId": context.execution_id,
        "workflowId": context.workflow_id,
        "namespace": context.namespace,
        "node": context.node,
        "timeoutMs": context.timeout_ms,
        "traceparent": context.traceparent,
    }


def _failure_of(found: dict[str, Any]) -> TaskFailure:
    """Return a failure. Raises ValueError unless it has its form."""
    class_, message = found.get("class", FAILED), found.get("message", "")
    retry_after_ms = found.get("retryAfterMs", 0)
    if not isinstance(class_, str) or not class_ or not isinstance(message, str):
        raise ValueError("class and message of a failure are texts")
    if not isinstance(retry_after_ms, int) or retry_after_ms < 0:
        raise ValueError("retryAfterMs is a number from 0")
    return TaskFailure(class_, message, retry_after_ms, found.get("details"))
