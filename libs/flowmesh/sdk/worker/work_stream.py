"""The stream between a worker and a worker service, with reconnects.

A result is retained until its frame is acknowledged. After a reconnect, the hello lists the tokens
of all held tasks, and unacknowledged results are sent again with the same tokens.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc

from flowmesh.api.worker.v1 import task_pb2, worker_service_pb2
from flowmesh.api.worker.v1 import worker_service_pb2 as pb
from flowmesh.api.worker.v1 import worker_service_pb2_grpc as rpc
from flowmesh.sdk.transport.calls import Caller
from flowmesh.sdk.transport.duplex import StreamBroken, converse
from flowmesh.sdk.transport.reconnect import Reconnect
from flowmesh.sdk.values import limits
from flowmesh.sdk.worker.results import result_of_error
from flowmesh.sdk.worker.task_runner import TaskRunner
from flowmesh.telemetry.export import VERSION

_log = logging.getLogger("flowmesh.sdk")
Finished = Callable[[task_pb2.TaskResult], None]
Heartbeat = Callable[[str, bytes], None]
Record = Callable[[task_pb2.TaskRecords], None]


class WorkStream:
    """Keeps a `WorkerService.Work` stream open and passes its tasks to a TaskRunner."""

    def __init__(
        self,
        *,
        caller: Caller,
        worker_id: str,
        namespace: str,
        queues: Sequence[str],
        task_types: Sequence[str],
        slots: int,
        runner: Callable[[Finished, Heartbeat, Record], TaskRunner],
        labels: Mapping[str, str],
    ) -> None:
        self._caller = caller
        self._stub = rpc.WorkerServiceStub(caller.channel)
        self._address = caller.address
        self._unreachable = False
        self._hello = pb.WorkHello(
            worker_id=worker_id,
            namespace=namespace,
            queues=queues,
            task_types=task_types,
            slots=slots,
            labels=labels,
            contract_digest=hashlib.sha256(worker_service_pb2.DESCRIPTOR.serialized_pb).hexdigest(),
            sdk=f"python-{VERSION}",
        )
        self.tasks = runner(self._finished, self._heartbeat, self._record)
        self._specs: dict[str, bytes] = {}
        # Results to be written, and results that are written and not acknowledged.
        self._outgoing: deque[task_pb2.TaskResult] = deque()
        self._waiting: set[str] = set()
        self._frames: deque[tuple[int, list[task_pb2.TaskResult]]] = deque()
        self._unacknowledged: dict[str, task_pb2.TaskResult] = {}
        self._unacknowledged_bytes = 0
        self._frame = 0
        self._heartbeats: dict[str, bytes] = {}
        # Durable handlers send a record again if it is not committed.
        self._records: deque[task_pb2.TaskRecords] = deque()
        self._ping_due = False
        # A changed number of slots that is not sent yet; 0 means none.
        self._pending_slots = 0
        self._draining = False
        self._drain_sent = False
        self._server_draining = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop_task: asyncio.Task[None] | None = None
        self._last_received = 0.0
        self._stream: Any = None
        self._announcing = False

    async def open(self) -> None:
        """Connect and wait for the response to the hello; raises its refusal."""
        self._loop_task = asyncio.create_task(self._run(), name="flowmesh-worker")
        await asyncio.wait((self._loop_task, self._ready), return_when=asyncio.FIRST_COMPLETED)
        self.raise_if_broken()

    async def announce(self, task_types: Sequence[str]) -> None:
        """Reconnect with other task types; running tasks are kept."""
        self._hello.task_types[:] = task_types
        if (
            self._ready.done()
        ):  # otherwise a caller already waits for the response to the next hello
            self._ready = asyncio.get_running_loop().create_future()
        self._announcing = True
        if self._stream is not None:
            self._stream.cancel()
        await asyncio.wait((self.ended(), self._ready), return_when=asyncio.FIRST_COMPLETED)
        self.raise_if_broken()

    def set_slots(self, slots: int) -> None:
        """Send another number of slots."""
        self._hello.slots = self._pending_slots = slots
        self._wake.set()

    def ended(self) -> asyncio.Task[None]:
        """Return the task that ends with the stream."""
        assert self._loop_task is not None
        return self._loop_task

    def raise_if_broken(self) -> None:
        """Raise the error that ended the stream, if any."""
        task = self._loop_task
        if task is not None and task.done() and not task.cancelled():
            error = task.exception()
            if error is not None:
                raise error

    async def drain(self, timeout_s: float) -> None:
        """Accept no new tasks; wait until running ones end and are acknowledged, or the timeout."""
        if self._loop_task is None or self._loop_task.done():
            return
        self._draining = True
        self._wake.set()
        self._update_idle()
        idle = asyncio.create_task(self._idle.wait())
        # Tasks that still run then are dispatched again when the stream ends.
        await asyncio.wait(
            (idle, self._loop_task), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        idle.cancel()

    async def close(self) -> None:
        """Close the stream, then cancel the tasks, whose results are not sent any more."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.gather(self._loop_task, return_exceptions=True)
        await self.tasks.close()

    # Reports of the task runner ---------------------------------------------------------------

    def _finished(self, result: task_pb2.TaskResult) -> None:
        self._outgoing.append(result)
        self._waiting.add(result.token)
        self._heartbeats.pop(result.token, None)
        self._wake.set()

    def _heartbeat(self, token: str, details: bytes) -> None:
        if self.tasks.holds(token):
            self._heartbeats[token] = details
            self._wake.set()

    def _record(self, records: task_pb2.TaskRecords) -> None:
        self._records.append(records)
        self._wake.set()

    # The stream -----------------------------------------------------------------------------

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        reconnect = Reconnect(self._caller, loop.time)

        def receive(response: pb.WorkResponse) -> bool:
            self._last_received = loop.time()
            reconnect.connected()
            self._log_recovery()
            self._receive(response)
            return not (self._server_draining and self._idle.is_set())

        while True:
            self._last_received = loop.time()
            try:
                await reconnect.opening()
                stream = self._stream = self._stub.Work()
                await converse(stream, receive, self._write(stream), self._keep_alive())
            except grpc.aio.AioRpcError as error:
                await reconnect.broken(error)
                self._log_outage(reconnect)
            except StreamBroken:
                pass  # the server was silent for too long, or another hello is due
            if reconnect.refused or (reconnect.hopeless and not self._ready.done()):
                raise reconnect.error()
            if not self._announcing:
                await reconnect.pause()
            self._announcing = False
            self._start_over()

    def _log_recovery(self) -> None:
        if self._unreachable:
            self._unreachable = False
            _log.info("%s responds again", self._address)

    def _log_outage(self, reconnect: Reconnect) -> None:
        """Log the start of an outage once."""
        if not self._unreachable and not reconnect.refused and not self._announcing:
            self._unreachable = True
            _log.warning("%s does not respond; retrying", self._address)

    def _held(self) -> list[str]:
        tokens = dict.fromkeys(self.tasks.held)
        tokens.update(dict.fromkeys(self._unacknowledged))
        tokens.update(dict.fromkeys(self._waiting))
        return list(tokens)

    def _start_over(self) -> None:
        """Queue all unacknowledged results again, in their order."""
        again = [result for _, results in self._frames for result in results]
        self._outgoing.extendleft(reversed(again))
        self._waiting.update(result.token for result in again)
        self._frames.clear()
        self._unacknowledged.clear()
        self._unacknowledged_bytes = 0
        self._frame = 0
        self._records.clear()
        self._specs.clear()
        self._drain_sent = False
        self._server_draining = False
        self._wake.set()

    async def _keep_alive(self) -> None:
        """Send pings; return, which ends the stream, if the server is silent for too long."""
        loop = asyncio.get_running_loop()
        while loop.time() - self._last_received <= limits.WORKER_SILENCE_S:
            await asyncio.sleep(limits.WORKER_PING_S)
            self._ping_due = True
            self._wake.set()

    async def _write(self, stream: Any) -> None:
        self._hello.held[:] = self._held()
        await stream.write(pb.WorkRequest(hello=self._hello))
        while True:
            while (frame := self._take_frame()) is not None:
                await stream.write(frame)
            await self._wake.wait()
            self._wake.clear()

    def _take_frame(self) -> pb.WorkRequest | None:
        """Return the next frame, up to its limits; None if there is nothing to send."""
        results: list[task_pb2.TaskResult] = []
        records: list[task_pb2.TaskRecords] = []
        size = results_bytes = 0
        while self._records and size < limits.FRAME_BYTES_MAX:
            records.append(self._records.popleft())
            size += records[-1].ByteSize()
        outgoing = self._outgoing
        while (
            outgoing
            and len(results) < limits.FRAME_ITEMS_MAX
            and size + results_bytes < limits.FRAME_BYTES_MAX
            and len(self._unacknowledged) < limits.UNACKNOWLEDGED_RESULTS_MAX
            and self._unacknowledged_bytes + results_bytes < limits.UNACKNOWLEDGED_BYTES_MAX
        ):
            result = outgoing.popleft()
            results_bytes += _size_of(result)
            results.append(result)
            self._waiting.discard(result.token)
            self._unacknowledged[result.token] = result
        drain = self._draining and not self._drain_sent
        if not (
            results or records or self._heartbeats or self._ping_due or self._pending_slots or drain
        ):
            return None
        frame = pb.WorkRequest(
            results=results,
            records=records,
            ping=self._ping_due,
            drain=drain,
            slots=self._pending_slots,
        )
        if results:
            self._frame += 1
            frame.results_frame = self._frame
            self._frames.append((self._frame, results))
            self._unacknowledged_bytes += results_bytes
        size += results_bytes
        while self._heartbeats and size < limits.FRAME_BYTES_MAX:
            token, details = self._heartbeats.popitem()
            frame.heartbeats.add(token=token, details=details)
            size += len(details)
        self._ping_due = False
        self._pending_slots = 0
        self._drain_sent = self._drain_sent or drain
        return frame

    def _receive(self, response: pb.WorkResponse) -> None:
        if not self._ready.done():
            self._ready.set_result(None)
        for exception in response.exceptions:
            self._handle_exception(exception)
        if response.acknowledged_frame:
            self._handle_acknowledgement(response.acknowledged_frame)
        for spec in response.specs:
            self._specs[spec.digest] = spec.config
        for task in response.tasks:
            known = self.tasks.holds(task.token) or task.token in self._unacknowledged
            if not known and task.token not in self._waiting:
                self._accept(task)
        if len(self._specs) > limits.WORKER_SPECS_MAX:
            self._forget_specs()
        # A message may contain a task and its cancellation.
        for token in response.cancels:
            self.tasks.cancel(token)
        for recorded in response.recorded:
            self.tasks.recorded(recorded)
        # Connect to another worker service as soon as no task runs here.
        self._server_draining = self._server_draining or response.drain
        self._update_idle()

    def _accept(self, task: task_pb2.Task) -> None:
        try:
            self.tasks.accept(task, self._specs.get(task.spec_digest, b""))
        except Exception as error:  # noqa: BLE001 - a broken task must not affect others
            _log.exception("task %s of %s cannot be run", task.node, task.execution_id)
            self._finished(result_of_error(task.token, error))

    def _forget_specs(self) -> None:
        for digest in list(self._specs)[: len(self._specs) - limits.WORKER_SPECS_MAX]:
            del self._specs[digest]

    def _handle_exception(self, exception: task_pb2.ResultException) -> None:
        """Send a result again if its owner moved; a stale result is dropped."""
        if exception.kind == task_pb2.RESULT_EXCEPTION_KIND_MOVED:
            result = self._unacknowledged.get(exception.token)
            if result is not None:
                self._outgoing.append(result)
                self._waiting.add(result.token)
                self._wake.set()

    def _handle_acknowledgement(self, frame: int) -> None:
        frames = self._frames
        while frames and frames[0][0] <= frame:
            for result in frames.popleft()[1]:
                if self._unacknowledged.pop(result.token, None) is not None:
                    self._unacknowledged_bytes -= _size_of(result)
        if self._outgoing:
            self._wake.set()

    def _update_idle(self) -> None:
        if not self.tasks.held and not self._unacknowledged and not self._outgoing:
            self._idle.set()
        else:
            self._idle.clear()


def _size_of(result: task_pb2.TaskResult) -> int:
    """Return the approximate size of a result in a frame, in bytes."""
    return len(result.output.data) + len(result.failure.details) + 64
