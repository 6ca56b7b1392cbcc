"""A remote worker as a worker set: one stream with its slots and frames."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.api.worker.v1.dispatch_service_pb2 import Grant
from flowmesh.api.worker.v1.task_pb2 import (
    RESULT_EXCEPTION_KIND_STALE,
    ResultException,
    Task,
    TaskRecorded,
    TaskResult,
)
from flowmesh.api.worker.v1.worker_service_pb2 import WorkHello, WorkRequest, WorkResponse
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.errors import Invalid, Overloaded
from flowmesh.executors.failures import INTERNAL, NETWORK, VALIDATION, TaskFailure
from flowmesh.jsontext.integers import ALLOWED, has_long_number, inexact
from flowmesh.worker import limits
from flowmesh.worker.attempts.remote_secrets import RemoteSecrets
from flowmesh.worker.leases import Receipt
from flowmesh.worker.registered import WorkerCalls
from flowmesh.worker.relay import Relay
from flowmesh.worker.sets import Owner, WorkerSet


class RemoteWorker(WorkerSet):
    """A stream of a worker. A worker that reconnects is a new set with the same worker id."""

    def __init__(
        self,
        *,
        set_id: str,
        hello: WorkHello,
        relay: Relay,
        monotonic_ms: Callable[[], float],
        owner: Owner | None = None,
        secrets: RemoteSecrets | None = None,
        calls: WorkerCalls | None = None,
    ) -> None:
        super().__init__(set_id=set_id, worker_id=hello.worker_id, slots=hello.slots, owner=owner)
        self._hello = hello
        self._relay = relay
        self._secrets = secrets
        self._calls = calls
        # Tasks that wait for the values of their secrets, by token.
        self._filling: dict[str, asyncio.Task[None]] = {}
        self._monotonic_ms = monotonic_ms
        self._heard_at_ms = monotonic_ms()
        self._next = WorkResponse(pong=True)
        self._tasks: deque[tuple[Task, TaskSpec | None]] = deque()
        self._cancels: list[str] = []
        self._sent_specs: OrderedDict[str, None] = OrderedDict()
        self._receipts: deque[Receipt] = deque()
        self._waiting_results = 0
        self._wake = asyncio.Event()
        self._wake.set()
        self._closed = False

    # as a worker set

    def grant(self, slots: int) -> Grant:
        hello = self._hello
        return Grant(
            set_id=self.set_id,
            slots=slots,
            namespaces=[hello.namespace or "default"],
            queues=hello.queues or ["default"],
            task_types=hello.task_types,
            worker_id=self.worker_id,
            labels=hello.labels,
            capacity=self.credit.slots,
            version=hello.sdk,
        )

    def deliver(self, tasks: Sequence[Task], specs: Mapping[str, TaskSpec]) -> None:
        if self._calls is not None:
            self._calls.begin(tasks)
        for task in tasks:
            spec = specs.get(task.spec_digest)
            if spec is not None and spec.input_secrets and self._secrets is not None:
                filling = asyncio.create_task(self._fill(task, spec, self._secrets))
                self._filling[task.token] = filling
            else:
                self._tasks.append((task, spec))
        self._wake.set()

    async def _fill(self, task: Task, spec: TaskSpec, secrets: RemoteSecrets) -> None:
        """Send a task once its input has the values of its secrets."""
        try:
            async with asyncio.timeout(limits.SECRETS_MS / 1000):
                filled = await secrets.filled(task, spec, self.owner)
        except TaskFailure as failure:
            self._relay.complete(self, [failure.result(task.token, self.worker_id)])
        except TimeoutError:
            late = TaskFailure(NETWORK, "the secrets of the task could not be read in time")
            self._relay.complete(self, [late.result(task.token, self.worker_id)])
        except Exception:  # noqa: BLE001 (its text may contain a secret)
            fault = TaskFailure(INTERNAL, "the secrets of the input could not be inserted")
            self._relay.complete(self, [fault.result(task.token, self.worker_id)])
        else:
            self._tasks.append((filled, spec))
            self._wake.set()
        finally:
            del self._filling[task.token]

    def cancel(self, tokens: Sequence[str]) -> None:
        if self._calls is not None:
            self._calls.drop(tokens)
        for token in tokens:
            if token in self._filling:
                # After the task, which is not sent yet.
                self._filling[token].add_done_callback(partial(self._cancel, token))
            else:
                self._cancel(token)

    def _cancel(self, token: str, _filled: object = None) -> None:
        self._cancels.append(token)
        self._wake.set()

    def recorded(self, recorded: TaskRecorded) -> None:
        self._next.recorded.append(recorded)
        self._wake.set()

    def settled(self, receipts: Sequence[Receipt], stale: Sequence[str]) -> None:
        for token in stale:
            self._next.exceptions.append(
                ResultException(token=token, kind=RESULT_EXCEPTION_KIND_STALE)
            )
        while self._receipts and self._receipts[0].done:
            receipt = self._receipts.popleft()
            self._waiting_results -= receipt.results
            self._next.acknowledged_frame = receipt.frame
        self._wake.set()

    def check_alive(self, now_ms: float) -> None:
        if now_ms - self._heard_at_ms > limits.WORKER_SILENCE_MS:
            self.close()
            # Its stream may be blocked by a message that the worker does not read.
            self._relay.remove_set(self)

    def request_drain(self) -> None:
        """Ask the worker to drain: the worker service is about to stop."""
        self._next.drain = True
        self._wake.set()

    def close(self) -> None:
        """End the stream."""
        self._closed = True
        self._wake.set()

    # the stream

    async def read(self, requests: AsyncIterator[WorkRequest]) -> None:
        """Process the requests of the worker until it ends them."""
        try:
            async for request in requests:
                if request.HasField("hello"):
                    raise Invalid("HELLO_INVALID", "a stream of a worker has one hello")
                self.received(request)
        finally:
            self.close()

    def received(self, request: WorkRequest) -> None:
        self._heard_at_ms = self._monotonic_ms()
        if request.results:
            receipt = Receipt(self.worker_id, request.results_frame, len(request.results))
            self._receipts.append(receipt)
            self._waiting_results += len(request.results)
            if self._waiting_results > limits.WORKER_RESULTS_MAX:
                message = f"more than {limits.WORKER_RESULTS_MAX} results are unacknowledged"
                raise Overloaded("OVERLOADED", message, retry_after_ms=1_000)
            results = _bounded(request)
            if self._calls is not None:
                self._calls.end(results)
            if self._secrets is not None:
                results = self._secrets.masked(results)
            self._relay.complete(self, results, receipt)
        if request.records:
            self._relay.records(self, request.records)
        if request.heartbeats:
            self._relay.heartbeats(self, request.heartbeats)
        if request.slots:
            self._relay.resize_set(self, min(request.slots, limits.WORKER_SLOTS_MAX))
        if request.drain and not self.draining:
            self._relay.drain_set(self)
        if request.ping:
            self._next.pong = True
            self._wake.set()

    async def responses(self) -> AsyncIterator[WorkResponse]:
        """Yield the responses to the worker, one message per pass of the loop."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._closed:
                return
            yield self._next_response()
            while self._tasks or self._cancels:
                yield self._next_response()

    def _next_response(self) -> WorkResponse:
        response, self._next = self._next, WorkResponse()
        size = 0
        if not self._tasks:
            # After the tasks that they cancel, in any order in which a worker reads a message.
            response.cancels.extend(self._cancels)
            self._cancels.clear()
        while self._tasks and size < limits.FRAME_BYTES_MAX:
            task, spec = self._tasks.popleft()
            if spec is not None and task.spec_digest not in self._sent_specs:
                response.specs.append(spec)
                size += spec.ByteSize()
                self._sent_specs[task.spec_digest] = None
                if len(self._sent_specs) > limits.SPECS_PER_STREAM_MAX:
                    self._sent_specs.popitem(last=False)
            response.tasks.append(task)
            size += task.ByteSize()
        return response


def _bounded(request: WorkRequest) -> Iterable[TaskResult]:
    """Yield the results of a frame; a result that is too large or not exact fails its attempt."""
    results: Iterable[TaskResult] = request.results
    if request.ByteSize() > INLINE_BYTES_MAX:
        results = [_fitting(result) for result in results]
    # One look at all of them: a blank between two outputs ends a number.
    if has_long_number(b" ".join([result.output.data for result in results])):
        results = [_exact(result) for result in results]
    return results


def _exact(result: TaskResult) -> TaskResult:
    encoding = result.output.encoding
    if encoding and "json" not in encoding:
        return result
    try:
        path = inexact(result.output.data, "output")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return result  # not JSON: its reader reports that
    if not path:
        return result
    message = f"{path} is an integer that cannot be kept: {ALLOWED}"
    failure = TaskFailure(VALIDATION, message, details={"reason": "JSON_INVALID"})
    return failure.result(result.token, "")


def _fitting(result: TaskResult) -> TaskResult:
    limit = INLINE_BYTES_MAX
    output = len(result.output.data)
    around = result.ByteSize() - output
    if output > limit:
        message = (
            f"the output has {output} bytes; above {limit} it must be stored with "
            "PayloadService.PutPayload and sent by reference"
        )
    elif around > limit:
        message = (
            f"the result without its output (failure, metadata) has {around} bytes, not {limit}"
        )
    else:
        return result
    failure = TaskFailure(VALIDATION, message, details={"reason": "PAYLOAD_TOO_LARGE"})
    # The lease has the id of the worker too.
    return failure.result(result.token, "")
