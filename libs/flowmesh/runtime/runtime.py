"""The interface of a service to its process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from flowmesh.rpc import channel_to, forwarding_handlers
from flowmesh.runtime.access import HttpAccess, OpenAccess
from flowmesh.runtime.http.server import ASGI3
from flowmesh.runtime.loop import Loop
from flowmesh.storage import open_database

if TYPE_CHECKING:
    import asyncpg
    import grpc.aio
    from google.protobuf.descriptor import ServiceDescriptor
    from redis.asyncio import Redis

    from flowmesh.access.keys import InstallationKeys
    from flowmesh.bus import Bus
    from flowmesh.rpc.handlers import Around
    from flowmesh.runtime.clock import Clock
    from flowmesh.runtime.directory import Endpoint
    from flowmesh.runtime.process import Process
    from flowmesh.runtime.settings import Settings
    from flowmesh.telemetry import Metrics, Spans

S = TypeVar("S")


class Runtime:
    """The process as a service uses it; valid during the `run` of the service."""

    def __init__(self, process: Process, service: str, instance_id: str) -> None:
        self.service = service
        self.instance_id = instance_id
        self.log: Any = structlog.get_logger(f"flowmesh.{service}").bind(service=service)
        self.served: list[str] = []
        self._process = process

    @property
    def settings(self) -> Settings:
        return self._process.settings

    @property
    def clock(self) -> Clock:
        return self._process.clock

    @property
    def bus(self) -> Bus:
        return self._process.bus

    @property
    def cache(self) -> Redis:
        return self._process.cache

    @property
    def metrics(self) -> Metrics:
        return self._process.metrics

    @property
    def spans(self) -> Spans:
        """Spans of work other than unary calls: task attempts, executions."""
        return self._process.spans[self.service]

    @property
    def address(self) -> str:
        """The `host:port` at which other processes reach this one."""
        return self._process.address

    @property
    def http_url(self) -> str:
        """The URL of the HTTP port of this process, at the host of `address`."""
        host = self.address.rpartition(":")[0]
        return f"{self._process.scheme}://{host}:{self._process.http_port}"

    @asynccontextmanager
    async def database(
        self, schema: str, migrations: Traversable, *, pool_max: int = 10
    ) -> AsyncIterator[asyncpg.Pool[asyncpg.Record]]:
        """Open and migrate the schema of the service; yield a pool with it as search path."""
        opened = open_database(
            self.settings.postgres,
            schema=schema,
            migrations=migrations,
            application=f"flowmesh-{self.service}",
            pool_max=pool_max,
        )
        async with opened as pool:

            async def answers() -> None:
                await pool.fetchval("select 1")

            self.add_check(f"postgres.{schema}", answers)
            yield pool

    def serve(
        self, servicer: Any, add_to_server: Callable[[Any, Any], None], *service_names: str
    ) -> None:
        """Serve a servicer; `service_names` are its full names for health and discovery."""
        before = set(self._process.handlers.services)
        add_to_server(servicer, self._process.handlers)
        added = self._process.handlers.services - before
        self._process.served_by.update(dict.fromkeys(added, self.service))
        self.served.extend(
            name for name in (*service_names, *sorted(added)) if name not in self.served
        )

    def forward(self, owner: str, service: ServiceDescriptor) -> None:
        """Forward the calls of a gRPC service to its owner, unless that is in this process.

        The service is not registered as a capability of this one: discovery returns its owner.
        """
        process = self._process
        if owner not in process.services:
            process.served_by[service.full_name] = self.service
            methods = forwarding_handlers(service, process.clients.channel(owner))
            process.handlers.add_registered_method_handlers(service.full_name, methods)

    def stub(self, stub_class: Callable[[grpc.aio.Channel], S], service: str) -> S:
        """Return a stub for a service: in this process, or rotating over its instances.

        Calls raise FlowmeshError instead of gRPC errors; unary calls time out after 10 s.
        """
        return stub_class(self._process.clients.channel(service))

    def stub_at(self, stub_class: Callable[[grpc.aio.Channel], S], address: str) -> S:
        """Return a stub for one instance: `host:port`, or `local`."""
        return stub_class(channel_to(self._process.clients.at(address)))

    def unproved(self, service: str) -> grpc.aio.Channel:
        """Return a channel to a service for calls with a credential of their own.

        They do not prove this process: the service takes them for those of a caller from outside.
        """
        return self._process.clients.unproved(service)

    def instances(self, service: str) -> AsyncIterator[tuple[Endpoint, ...]]:
        """Yield the instances of a service now, and after every change."""
        return self._process.directory.watch(service)

    def instance_ids(self, *services: str) -> set[str]:
        """Return the ids of the present instances of services."""
        directory = self._process.directory
        return {each.id for service in services for each in directory.endpoints(service)}

    @property
    def keys(self) -> InstallationKeys | None:
        """The keys of a closed installation."""
        return self._process.access.keys if self._process.access else None

    @property
    def access(self) -> HttpAccess:
        """Authentication of HTTP requests."""
        return self._process.access or OpenAccess()

    def serve_http(self, app: ASGI3) -> None:
        """Mount the app on the HTTP port, below the paths of the runtime.

        At the drain of this service, new requests are rejected and running ones have 1 s to end.
        """
        self._process.http.mount(app)
        self.on_drain(self._process.http.stop)

    def surround_calls(self, around: Around) -> None:
        """Serve the gRPC calls from sockets by what `around` returns; before they are served."""
        self._process.handlers.surround(around)

    def add_loop(self, loop: Loop) -> None:
        """Run a loop while the process serves."""
        self._process.add_loop(loop)

    def on_drain(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Register a callback for the drain; callbacks run in order of registration.

        Loops and services that were composed earlier still run then; later services have drained.
        """
        self._process.drain_callbacks.append((self.service, callback))

    def add_check(self, name: str, check: Callable[[], Awaitable[None]]) -> None:
        """Add a readiness check, which raises if the process is not ready."""
        self._process.checks.add(name, check)

    async def until_stopped(self) -> None:
        """Report that this service is composed; return when the process has drained."""
        await self._process.composed(self)
