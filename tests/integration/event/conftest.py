"""The event service on real servers, with a stand-in for the orchestrator."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import pytest

from flowmesh.api.event.v1 import event_service_pb2 as pb
from flowmesh.api.event.v1 import event_service_pb2_grpc
from flowmesh.embedded import EmbeddedServers
from flowmesh.event.intake.stream import EventStream
from flowmesh.rpc import RemoteTarget, channel_to
from flowmesh.runtime import Process, Runtime, Settings
from flowmesh.suite import event

from .orchestrator import Book, Owner, serve
from .receiver import Receiver

PATIENCE_S = 20


class Events:
    """A running event service and an orchestrator, reached over a socket."""

    def __init__(self, settings: Settings, book: Book) -> None:
        self.book = book
        self.settings = settings
        self._process = Process(settings, {"event": event.run, "orchestrator": self._run})
        self._ready = asyncio.Event()
        self._runtime: Runtime | None = None
        self._task: asyncio.Task[None] | None = None
        self._targets: list[RemoteTarget] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._process.run(self._on_ready))
        async with asyncio.timeout(PATIENCE_S):
            await self._ready.wait()
            await self._process.bus.until_connected()
            await self.stream.ensure()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for target in self._targets:
            await target.close()
        self._process.stop()
        assert self._task is not None
        await self._task

    @property
    def stream(self) -> EventStream:
        return EventStream(bus=self._process.bus, prefix=self.settings.bus_prefix)

    def owner(self, incarnation: int) -> Owner:
        assert self._runtime is not None
        return Owner(self._runtime, self.book, incarnation)

    def stub(self) -> "event_service_pb2_grpc.EventServiceAsyncStub":
        """A stub with its own connection, so that readers do not share flow control windows."""
        target = RemoteTarget(f"127.0.0.1:{self._process.grpc_port}")
        self._targets.append(target)
        return event_service_pb2_grpc.EventServiceStub(channel_to(target))

    def metric(self, name: str, **labels: str) -> float:
        return self._process.metrics.registry.get_sample_value(name, labels) or 0.0

    def watch_execution(self, execution_id: str, **fields: Any) -> AsyncIterator[Any]:
        request = pb.WatchExecutionRequest(execution_id=execution_id, **fields)
        return aiter(self.stub().WatchExecution(request))

    def watch_events(self, **fields: Any) -> AsyncIterator[Any]:
        return aiter(self.stub().WatchEvents(pb.WatchEventsRequest(**fields)))

    async def _run(self, runtime: Runtime) -> None:
        self._runtime = runtime
        serve(runtime, self.book)
        await runtime.until_stopped()

    async def _on_ready(self, process: Process) -> None:
        self._ready.set()


@pytest.fixture
async def settings(servers: EmbeddedServers, migrated: str) -> Settings:
    return Settings(
        postgres=migrated,
        nats=servers.nats,
        redis=servers.redis,
        egress="open",
        grpc_port=0,
        http_port=0,
        bus_prefix=f"t{uuid.uuid4().hex[:8]}",
    )


@pytest.fixture
async def events(settings: Settings) -> AsyncIterator[Events]:
    async with Events(settings, Book()) as running:
        yield running
        await running.stream.bus.jetstream.delete_stream(running.stream.name)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running
