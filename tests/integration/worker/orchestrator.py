"""A small orchestrator for the worker's tests: it speaks the real contract over a real server.

It dispatches what it is given as far as credit goes, records what comes back, and does on demand
what makes the worker's life hard: no acknowledgements, MOVED, broken streams, take-overs.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import orjson

from flowmesh.api.common.v1.payload_pb2 import Payload, PayloadReference
from flowmesh.api.definition.v1.plan_pb2 import DIALECT_NATIVE, TaskSpec
from flowmesh.api.execution.v1 import execution_service_pb2 as execution_pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as execution_grpc
from flowmesh.api.worker.v1 import dispatch_service_pb2_grpc as dispatch_grpc
from flowmesh.api.worker.v1.dispatch_service_pb2 import (
    AttachRequest,
    AttachResponse,
    Backlog,
    DispatchedTask,
    Grant,
    HeldTask,
    Recall,
)
from flowmesh.api.worker.v1.task_pb2 import (
    RESULT_EXCEPTION_KIND_MOVED,
    ResultException,
    Task,
    TaskResult,
)

WAIT_S = 30.0


def spec_of(
    task_type: str, config: Any = None, *, dialect: int = DIALECT_NATIVE, **schemas: Any
) -> TaskSpec:
    """A spec with its digest; `input_schema` and `output_schema` are JSON values."""
    spec = TaskSpec(
        task_type=task_type,
        dialect=dialect,  # type: ignore[arg-type]
        config=orjson.dumps(config or {}),
    )
    for name, schema in schemas.items():
        setattr(spec, name, orjson.dumps(schema))
    spec.digest = hashlib.sha256(spec.SerializeToString(deterministic=True)).hexdigest()
    return spec


def task_of(token: str, spec: TaskSpec, value: Any = None, **fields: Any) -> Task:
    """A task of that spec; the input is JSON unless a Payload is given."""
    if not isinstance(value, Payload):
        value = Payload(data=orjson.dumps(value))
    fields = {"namespace": "default", "queue": "default", "attempt": 1, "epoch": 1, **fields}
    return Task(
        token=token,
        task_type=spec.task_type,
        spec_digest=spec.digest,
        input=value,
        idempotency_key=fields.pop("idempotency_key", f"key-{token}"),
        **fields,
    )


class Stream:
    """One attached worker service."""

    def __init__(self) -> None:
        self.out: asyncio.Queue[AttachResponse | None] = asyncio.Queue()
        self.received: list[AttachRequest] = []
        self.credit: dict[str, int] = {}
        self.grants: dict[str, Grant] = {}
        self.sent_specs: set[str] = set()
        self.open = True
        self.service_id = ""

    def send(self, response: AttachResponse) -> None:
        self.out.put_nowait(response)

    def close(self) -> None:
        self.open = False
        self.out.put_nowait(None)


class Orchestrator(dispatch_grpc.DispatchServiceServicer, execution_grpc.PayloadServiceServicer):
    RenewPayloads: Any = None

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.results: dict[str, TaskResult] = {}
        self.deliveries: list[str] = []
        self.lost: list[str] = []
        self.returned: list[str] = []
        self.refused: list[tuple[str, int]] = []
        self.held: dict[int, list[HeldTask]] = {}
        self.claimed: list[HeldTask] = []
        self.heartbeats: list[str] = []
        self.payloads: dict[str, bytes] = {}
        self.acknowledges = True
        self.answers_recalls = True
        self.moves: set[str] = set()
        self._ready: list[tuple[Task, TaskSpec]] = []
        # What is out, and at which worker service.
        self._out: dict[str, tuple[Task, TaskSpec, str]] = {}
        self._changed = asyncio.Condition()
        self._server: grpc.aio.Server | None = None
        self.address = ""

    # what tests do

    async def start(self, address: str = "127.0.0.1:0") -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        dispatch_grpc.add_DispatchServiceServicer_to_server(self, self._server)
        execution_grpc.add_PayloadServiceServicer_to_server(self, self._server)
        port = self._server.add_insecure_port(address)
        await self._server.start()
        self.address = f"127.0.0.1:{port}"

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)
            self._server = None

    def submit(self, task: Task, spec: TaskSpec) -> None:
        """Makes a task ready; it leaves as soon as there is credit for its type."""
        self._ready.append((task, spec))
        self.dispatch()

    async def run(self, task: Task, spec: TaskSpec) -> TaskResult:
        self.submit(task, spec)
        return await self.result(task.token)

    async def result(self, token: str) -> TaskResult:
        await self.until(lambda: token in self.results)
        return self.results[token]

    async def until(self, reached: Callable[[], bool]) -> None:
        """Waits for something that a frame of the worker brings about."""
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(reached)

    async def attached(self, count: int = 1) -> Stream:
        """The newest stream, once so many were opened and it has granted credit."""
        await self.until(lambda: len(self.streams) >= count and bool(self.streams[-1].grants))
        return self.streams[-1]

    def credit(self, task_type: str) -> int:
        return sum(
            stream.credit.get(set_id, 0)
            for stream in self.streams
            if stream.open
            for set_id, grant in stream.grants.items()
            if task_type in grant.task_types
        )

    # the contract

    async def Attach(
        self, request_iterator: AsyncIterator[AttachRequest], context: Any
    ) -> AsyncIterator[AttachResponse]:
        stream = Stream()
        self.streams.append(stream)
        reader = asyncio.create_task(self._read(stream, request_iterator))
        try:
            while (response := await stream.out.get()) is not None:
                yield response
        finally:
            stream.open = False
            reader.cancel()

    async def PutPayload(
        self, request_iterator: AsyncIterator[execution_pb.PutPayloadRequest], context: Any
    ) -> execution_pb.PutPayloadResponse:
        data = b"".join([request.chunk async for request in request_iterator])
        digest = hashlib.sha256(data).hexdigest()
        self.payloads[digest] = data
        reference = PayloadReference(digest=digest, size_bytes=len(data))
        return execution_pb.PutPayloadResponse(payload=Payload(reference=reference))

    async def GetPayload(
        self, request: execution_pb.GetPayloadRequest, context: Any
    ) -> AsyncIterator[execution_pb.GetPayloadResponse]:
        data = self.payloads[request.digest]
        for start in range(0, len(data), 65_536):
            yield execution_pb.GetPayloadResponse(chunk=data[start : start + 65_536])

    async def _read(self, stream: Stream, requests: AsyncIterator[AttachRequest]) -> None:
        try:
            async for request in requests:
                stream.received.append(request)
                self._take(stream, request)
                async with self._changed:
                    self._changed.notify_all()
        finally:
            stream.close()

    def _take(self, stream: Stream, request: AttachRequest) -> None:
        self.claimed.extend(request.hello.held)
        if request.HasField("hello") and not stream.service_id:
            stream.service_id = request.hello.worker_service_id
            self._send_again(stream, {held.token for held in request.hello.held})
        for grant in request.grants:
            stream.grants[grant.set_id] = grant
            stream.credit[grant.set_id] = stream.credit.get(grant.set_id, 0) + grant.slots
        for held in request.held:
            self.held[held.partition] = list(held.tasks)
        self.lost += [lost.token for lost in request.lost]
        self.returned += request.returned
        self.refused += [(refused.token, refused.epoch_seen) for refused in request.refused]
        self.heartbeats += [heartbeat.token for heartbeat in request.heartbeats]
        response = AttachResponse()
        for set_id in request.recalls:
            if self.answers_recalls:
                left = stream.credit.pop(set_id, 0)
                response.recalled.append(Recall(set_id=set_id, slots=left))
        for set_id in request.gone_sets:
            stream.grants.pop(set_id, None)
        for result in request.results:
            if result.token in self.moves:
                kind = RESULT_EXCEPTION_KIND_MOVED
                response.exceptions.append(ResultException(token=result.token, kind=kind))
            else:
                self.results[result.token] = result
                self._out.pop(result.token, None)
        if self.acknowledges and request.results_frame:
            response.acknowledged_frame = request.results_frame
        if response.ByteSize():
            stream.send(response)
        self.dispatch()

    def _send_again(self, stream: Stream, held: set[str]) -> None:
        """Tasks that went to this worker service and did not arrive go out anew."""
        for token, (task, spec, service_id) in list(self._out.items()):
            if service_id == stream.service_id and token not in held:
                del self._out[token]
                self._ready.append((task, spec))

    def dispatch(self) -> None:
        """One frame per stream with all that its credit allows, and the backlog of the rest."""
        for stream in [stream for stream in self.streams if stream.open]:
            response = AttachResponse()
            waiting: list[tuple[Task, TaskSpec]] = []
            backlog: dict[str, int] = {}
            for task, spec in self._ready:
                sets = [s for s, g in stream.grants.items() if task.task_type in g.task_types]
                with_credit = [set_id for set_id in sets if stream.credit.get(set_id, 0) > 0]
                if not with_credit:
                    waiting.append((task, spec))
                    for set_id in sets:
                        backlog[set_id] = backlog.get(set_id, 0) + 1
                    continue
                stream.credit[with_credit[0]] -= 1
                if spec.digest not in stream.sent_specs:
                    stream.sent_specs.add(spec.digest)
                    response.specs.append(spec)
                response.tasks.append(DispatchedTask(set_id=with_credit[0], task=task))
                self.deliveries.append(task.token)
                self._out[task.token] = (task, spec, stream.service_id)
            self._ready = waiting
            for set_id, tasks in backlog.items():
                response.backlogs.append(Backlog(set_id=set_id, tasks=tasks))
            if response.ByteSize():
                stream.send(response)
