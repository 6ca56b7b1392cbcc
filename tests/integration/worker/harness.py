"""A worker service put together as its main does it, but against addresses the test names."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any

import grpc
import structlog

from flowmesh.api.common.v1.payload_pb2 import Payload
from flowmesh.api.execution.v1.execution_service_pb2_grpc import PayloadServiceStub
from flowmesh.api.worker.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from flowmesh.api.worker.v1.task_pb2 import Task, TaskResult
from flowmesh.api.worker.v1.worker_service_pb2 import WorkHello, WorkRequest, WorkResponse
from flowmesh.api.worker.v1.worker_service_pb2_grpc import (
    WorkerServiceStub,
    add_WorkerServiceServicer_to_server,
)
from flowmesh.egress import OPEN, Egress, Policy
from flowmesh.executors.builtin import builtin_executors
from flowmesh.executors.collaborators import Collaborators
from flowmesh.executors.specs import ReadySpecs
from flowmesh.rpc import Channel, Handlers, RemoteTarget, channel_to
from flowmesh.runtime import Clock
from flowmesh.sandbox import Sandbox
from flowmesh.telemetry import Metrics, Spans
from flowmesh.worker.attempts.payloads import Payloads
from flowmesh.worker.pool import BuiltinPool
from flowmesh.worker.relay import Relay
from flowmesh.worker.streams.orchestrator_stream import OrchestratorStream
from flowmesh.worker.streams.orchestrators import Orchestrators
from flowmesh.worker.telemetry import PoolTelemetry
from flowmesh.worker.work import WorkServer
from tests.integration.worker.orchestrator import Orchestrator, Stream

_numbers = itertools.count(1)


class Worker:
    """The service; `clock_ms` is its monotonic clock, which tests may push on."""

    def __init__(self, *, policy: Policy = OPEN, slots: int = 8) -> None:
        self._stack = AsyncExitStack()
        self._policy = policy
        self._slots = slots
        self._channels: dict[str, Channel] = {}
        self._targets: list[RemoteTarget] = []
        self._ahead_ms = 0.0
        self.address = ""

    async def __aenter__(self) -> "Worker":
        clock, metrics = Clock(), Metrics()
        self._clock = clock
        egress = await self._stack.enter_async_context(Egress(self._policy))
        self.sandbox = sandbox = await self._stack.enter_async_context(Sandbox())
        service_id = f"worker-{next(_numbers)}"
        self.relay = Relay(worker_service_id=service_id, monotonic_ms=self.now_ms)
        self.pool = BuiltinPool(
            worker_id=service_id,
            specs=ReadySpecs(
                builtin_executors(
                    Collaborators(egress=egress, sandbox=sandbox, now_us=clock.now_us)
                ),
                clock.now_us,
            ),
            payloads=Payloads(self),
            sink=self.relay,
            monotonic_ms=self.now_ms,
            telemetry=PoolTelemetry(metrics, Spans(), structlog.get_logger()),
            slots=self._slots,
        )
        self.relay.add_set(self.pool)
        self.server = WorkServer(
            relay=self.relay, monotonic_ms=self.now_ms, new_id=lambda: f"s{next(_numbers)}"
        )
        self.orchestrators = Orchestrators(make_stream=self._stream)
        self._stack.push_async_callback(self.pool.stop)
        self._stack.push_async_callback(self.orchestrators.close)
        await self._serve(metrics)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()
        for target in self._targets:
            await target.close()

    def now_ms(self) -> float:
        return self._clock.monotonic_ms() + self._ahead_ms

    def pass_time(self, ms: float) -> None:
        """Lets the service believe that time has passed."""
        self._ahead_ms += ms
        self.relay.tick()

    def follow(self, *orchestrators: Orchestrator) -> None:
        self._followed = orchestrators
        self.orchestrators.update({o.address: o.address for o in orchestrators})

    # calls of PayloadService go to the first orchestrator

    async def PutPayload(self, requests: Any) -> Any:
        return await self._payload_stub().PutPayload(requests)

    async def GetPayload(self, request: Any) -> AsyncIterator[Any]:
        async for response in self._payload_stub().GetPayload(request):
            yield response

    def _payload_stub(self) -> Any:
        return PayloadServiceStub(self._channel(self._followed[0].address))

    def _channel(self, address: str) -> Channel:
        if address not in self._channels:
            target = RemoteTarget(address)
            self._targets.append(target)
            self._channels[address] = channel_to(target)
        return self._channels[address]

    def _stream(self, instance_id: str, address: str) -> OrchestratorStream:
        stub: Any = DispatchServiceStub(self._channel(address))
        return OrchestratorStream(
            stream_id=instance_id,
            attach=stub.Attach,
            listener=self.relay,
            monotonic_ms=self.now_ms,
            log=structlog.get_logger(),
        )

    async def _serve(self, metrics: Metrics) -> None:
        handlers = Handlers(metrics)
        add_WorkerServiceServicer_to_server(self.server, handlers)  # type: ignore[arg-type]
        server = grpc.aio.server()
        handlers.install(server)
        self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        self._stack.push_async_callback(server.stop, 0)


class RemoteClient:
    """A remote worker as some other language would write it: frames in, frames out."""

    def __init__(self, address: str, worker_id: str = "w1", **hello: Any) -> None:
        self._address = address
        self.hello = WorkHello(
            worker_id=worker_id, **{"task_types": ["custom"], "slots": 2, **hello}
        )
        self.tasks: list[Task] = []
        self.specs: dict[str, Any] = {}
        self.responses: list[WorkResponse] = []
        self._changed = asyncio.Condition()
        self._frame = 0

    async def __aenter__(self) -> "RemoteClient":
        self._channel = grpc.aio.insecure_channel(self._address)
        stub: Any = WorkerServiceStub(self._channel)
        self._call = stub.Work()
        await self._call.write(WorkRequest(hello=self.hello))
        self._reader = asyncio.create_task(self._read())
        await self.until(lambda: bool(self.responses))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Breaks the stream, as a crash would."""
        self._call.cancel()
        self._reader.cancel()
        await self._channel.close()

    async def send(self, **fields: Any) -> None:
        await self._call.write(WorkRequest(**fields))

    async def complete(self, *tokens: str, data: bytes = b"1") -> int:
        """Sends results in one frame; answers its number."""
        return await self.end(
            *(TaskResult(token=token, output=Payload(data=data)) for token in tokens)
        )

    async def end(self, *results: TaskResult) -> int:
        self._frame += 1
        await self.send(results_frame=self._frame, results=results)
        return self._frame

    async def task(self, token: str) -> Task:
        await self.until(lambda: any(task.token == token for task in self.tasks))
        return next(task for task in self.tasks if task.token == token)

    async def acknowledged(self, frame: int) -> None:
        await self.until(
            lambda: any(response.acknowledged_frame >= frame for response in self.responses)
        )

    async def until(self, reached: Any) -> None:
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: reached() or self._reader.done())
        if not reached():
            self._reader.result()
            raise AssertionError("the stream ended first")

    async def _read(self) -> None:
        try:
            async for response in self._call:
                self.responses.append(response)
                self.tasks += response.tasks
                self.specs.update({spec.digest: spec for spec in response.specs})
                async with self._changed:
                    self._changed.notify_all()
        finally:
            async with self._changed:
                self._changed.notify_all()


__all__ = ["RemoteClient", "Stream", "Worker"]
