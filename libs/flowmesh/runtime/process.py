"""A process with one or more services; its phases are starting, serving and draining."""

import asyncio
import contextlib
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from flowmesh import failpoints
from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.bus import Bus
from flowmesh.rpc import Handlers
from flowmesh.rpc.limits import PUBLIC_STREAMS_MAX, SUITE_STREAMS_MAX
from flowmesh.runtime.access import CLOSED, OpenAccess, access_of
from flowmesh.runtime.checks import Checks
from flowmesh.runtime.clients import Clients
from flowmesh.runtime.clock import Clock
from flowmesh.runtime.collector import tune_collector
from flowmesh.runtime.directory import Directory
from flowmesh.runtime.errors import StartError
from flowmesh.runtime.exporting.exports import TelemetryExport, measure_disk
from flowmesh.runtime.http.cors import Cors
from flowmesh.runtime.http.guard import guard_of
from flowmesh.runtime.http.server import HttpServer, listen
from flowmesh.runtime.loop import Loop
from flowmesh.runtime.membership import CORE_TYPE, Membership
from flowmesh.runtime.names import GATEWAY, IDENTITY, REGISTRY
from flowmesh.runtime.observing import HOME, observe_loops
from flowmesh.runtime.runtime import Runtime
from flowmesh.runtime.server import GrpcServer, Port
from flowmesh.runtime.settings import Settings
from flowmesh.runtime.sockets import InternalSockets, socket_service
from flowmesh.runtime.tracing import ServedBy
from flowmesh.storage.redis_cache import open_cache
from flowmesh.telemetry import VERSION, Metrics
from flowmesh.telemetry.signals import SignalQueues

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from flowmesh.runtime.tls.process import ProcessTls

START_TIMEOUT_S = 60.0
# A drain takes less than ten seconds in total, most of it for the callbacks of services.
DRAIN_TIMEOUT_S = 9.5
LEAVE_TIMEOUT_S = 1.0
CALLBACKS_TIMEOUT_S = 7.0
CALLBACK_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 2.0
# The minimum time of a drain step, even if earlier steps have used the whole limit.
STEP_TIMEOUT_MIN_S = 0.1

ServiceRun = Callable[[Runtime], Awaitable[None]]


class Process:
    """The shared parts of the services of a process, and its life cycle."""

    def __init__(self, settings: Settings, services: Mapping[str, ServiceRun]) -> None:
        self.settings = settings
        self.clock = Clock()
        self.metrics = Metrics(SignalQueues(settings.kept_slow_ms))
        self.log = structlog.get_logger("flowmesh.runtime")
        self._runtimes = {
            name: Runtime(self, name, f"{name}-{uuid.uuid4().hex[:12]}") for name in services
        }
        measure_disk(self.metrics, Path(settings.data_dir))
        instances = {name: runtime.instance_id for name, runtime in self._runtimes.items()}
        self._export = TelemetryExport(settings, self.metrics, instances, self.clock)
        self.spans = self._export.spans
        # The service of this process that answers each gRPC service.
        self.served_by: dict[str, str] = {}
        self.checks = Checks()
        self.tls = _tls_of(settings, services, self.metrics)
        named = self.tls if self.tls and self.tls.service else None
        # Without certificates, services of a closed installation call each other by sockets.
        by_sockets = settings.auth == CLOSED and named is None
        self._sockets = InternalSockets.of(settings.internal_dir) if by_sockets else None
        self.access = access_of(
            settings,
            named.service if named else "+".join(services),
            lambda: self.clients.channel(IDENTITY),
            self.metrics,
            named.peer_service if named else socket_service,
        )
        self.handlers = Handlers(self.metrics, self.access.authorization if self.access else None)
        self.directory = Directory()
        self.bus = _bus_of(settings, "+".join(services), self.metrics)
        self.cache: Redis = open_cache(settings.redis)
        self.drain_callbacks: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self.address = ""
        # Other processes reach the services beside a gateway here, if it has TLS.
        self.internal_address = ""
        self.clients = Clients(
            directory=self.directory,
            handlers=self.handlers,
            expected=frozenset(services),
            registry=settings.registry,
            own_addresses=lambda: (self.address, self.internal_address),
            interceptors=tuple(self._export.calling_spans.client_interceptors()),
            identify=self.access.metadata if self.access else None,
            security=self._sockets or (self.tls.channels if self.tls else None),
        )
        self.http = HttpServer(
            checks=self.checks,
            metrics=self.metrics,
            about=self._about,
            guard=guard_of(settings),
            cors=Cors(settings.cors_allowed_origins) if settings.cors_origins else None,
            trusted_proxy=settings.trusted_proxy,
            access=self.access or OpenAccess(),
            certificates_only=self.tls.verifies_clients if self.tls else False,
        )
        self.http_port = 0
        self.scheme = "https" if self.tls and self.tls.http_context else "http"  # of the HTTP port
        self._services = services
        self._waiting = set(services)
        self._all_composed = asyncio.Event()
        self._stop_wanted = asyncio.Event()
        self._stopped = asyncio.Event()
        guarding = [each.loop for each in (self.tls, self.access) if each is not None]
        observing = observe_loops(self.clients.channel(HOME), self.metrics, instances, self.clock)
        self._loops: list[Loop] = [*self._export.loops, *observing, *guarding]
        self._loop_tasks: list[asyncio.Task[None]] = []
        self._service_tasks: dict[str, asyncio.Task[None]] = {}
        self._membership: Membership | None = None
        self._drain_until = 0.0
        self._failure: BaseException | None = None

    @property
    def services(self) -> Collection[str]:
        """The names of the services in this process."""
        return self._services.keys()

    async def run(self, on_ready: Callable[["Process"], Awaitable[None]] | None = None) -> None:
        """Run until a signal or `stop`; raise the failure of a service."""
        self._listen_for_signals()
        self._arm_failpoints()
        grpc_server = self._bind()
        with self.metrics.signals.reading_logs():
            try:
                if await self._start(grpc_server):
                    if on_ready is not None:
                        await self._unless_stopped(on_ready(self))
                    await self._stop_wanted.wait()
            finally:
                await self._drain(grpc_server)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Start the drain."""
        self._stop_wanted.set()

    def add_loop(self, loop: Loop) -> None:
        self._loops.append(loop)
        if self.checks.phase == "serving":
            self._start_loop(loop)

    async def composed(self, runtime: Runtime) -> None:
        """Report that a service is composed; return when the process has drained."""
        self._waiting.discard(runtime.service)
        self.directory.add_local(runtime.service, runtime.instance_id)
        if not self._waiting:
            self._all_composed.set()
        await self._stopped.wait()

    def _bind(self) -> GrpcServer:
        """Bind both ports first, so that a port in use is reported immediately."""
        settings = self.settings
        try:
            self._listener = listen(settings.host, settings.http_port)
        except OSError as error:
            raise StartError(_port_taken("HTTP", settings.http_port, "--http-port")) from error
        self.http_port = self._listener.getsockname()[1]
        tls = self.tls
        try:
            server = GrpcServer(
                settings.host,
                Port(settings.grpc_port, tls.grpc_credentials() if tls else None),
                self.metrics,
                ServedBy.interceptors(self.spans, self.served_by),
                internal=Port(settings.internal_port, tls.internal_credentials())
                if tls and tls.has_internal_port
                else None,
                sockets=self._sockets,
                streams_max=PUBLIC_STREAMS_MAX if GATEWAY in self._services else SUITE_STREAMS_MAX,
            )
        except RuntimeError as error:
            self._listener.close()
            raise StartError(_port_taken("gRPC", settings.grpc_port, "--grpc-port")) from error
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
        host = f"[{host}]" if ":" in host else host
        self.address = self.internal_address = settings.advertise or f"{host}:{server.port}"
        if server.internal_port != server.port:
            self.internal_address = f"{self.address.rpartition(':')[0]}:{server.internal_port}"
        self.grpc_port = server.port
        return server

    async def _start(self, grpc_server: GrpcServer) -> bool:
        """Start to serve. Return False if the process was stopped before."""
        self.checks.add("nats", self._check_bus)
        self.checks.add("redis", self._check_cache)
        self.bus.start()
        if self.access is not None:
            await self.access.listen(self.bus, self.settings.bus_prefix)
        await self.http.start(self._listener, self.tls.http_context if self.tls else None)
        for name, run in self._services.items():
            task = asyncio.ensure_future(self._run_service(name, run))
            self._service_tasks[name] = task
        await self._until_composed()
        if self._stop_wanted.is_set():
            return False
        reflect = self.settings.reflection and self.access is None
        await grpc_server.start(self.handlers, reflect=reflect)
        await self.http.open_app()
        self.checks.phase = "serving"
        for loop in self._loops:
            self._start_loop(loop)
        self._join()
        tune_collector()
        self.log.info("serving", services=list(self._services), grpc=self.address)
        return True

    async def _until_composed(self) -> None:
        stop = asyncio.ensure_future(self._stop_wanted.wait())
        composed = asyncio.ensure_future(self._all_composed.wait())
        try:
            await asyncio.wait(
                {stop, composed},
                timeout=START_TIMEOUT_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            stop.cancel()
            composed.cancel()
        if self._failure is not None:
            raise self._failure
        if self._waiting and not self._stop_wanted.is_set():
            raise StartError(
                f"services not started within {START_TIMEOUT_S:.0f} s: {sorted(self._waiting)}"
            )

    async def _unless_stopped(self, work: Awaitable[None]) -> None:
        """Run until done or until the process is stopped."""
        doing = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stop_wanted.wait())
        try:
            await asyncio.wait({doing, stop}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                doing.result()
        finally:
            stop.cancel()
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)

    async def _run_service(self, name: str, run: ServiceRun) -> None:
        try:
            await run(self._runtimes[name])
        except StartError as error:
            # The message is one line with a remedy; a traceback adds nothing.
            self.log.error("service_failed", service=name, error=str(error))
            self._fail(error)
        except Exception as error:
            self.log.error("service_failed", service=name, exc_info=error)
            self._fail(error)
        else:
            if not self._stopped.is_set():
                self._fail(StartError(f"the {name} service ended by itself"))

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._stop_wanted.set()

    def _join(self) -> None:
        """Register the services if there is a registry."""
        if REGISTRY not in self._services and not self.settings.registry:
            return
        host, _, _ = self.address.rpartition(":")
        metadata = {"pid": str(os.getpid()), "http": f"{host}:{self.http_port}"}
        if self.scheme == "https":
            metadata["scheme"] = self.scheme
        instances = [
            pb.Instance(
                id=runtime.instance_id,
                name=name,
                type=CORE_TYPE,
                endpoint=self.address if name == GATEWAY else self.internal_address,
                capabilities=runtime.served,
                metadata=metadata,
                version=VERSION,
            )
            for name, runtime in self._runtimes.items()
        ]
        channel = self.clients.channel(REGISTRY)
        self._membership = Membership(
            directory=self.directory, channel=channel, instances=instances
        )
        self._membership.start()

    async def _drain(self, grpc_server: GrpcServer) -> None:
        """Drain and close in at most ten seconds, even if a step hangs."""
        serving = self.checks.phase == "serving"
        self.checks.phase = "draining"
        self._drain_until = time.monotonic() + DRAIN_TIMEOUT_S
        self.log.info("draining")
        if serving:
            await grpc_server.set_not_serving()
            await self._bounded("deregister", self._leave(), LEAVE_TIMEOUT_S)
            await self._bounded("callbacks", self._run_callbacks(), CALLBACKS_TIMEOUT_S)
        await self._bounded("http", self.http.stop(), CLOSE_TIMEOUT_S)
        await self._bounded("grpc", grpc_server.stop(), CLOSE_TIMEOUT_S)
        for task in self._loop_tasks:
            task.cancel()
        await asyncio.gather(*self._loop_tasks, return_exceptions=True)
        self._stopped.set()
        tasks = list(self._service_tasks.values())
        if not serving:
            for task in tasks:
                task.cancel()
        await self._bounded("services", _all(tasks), CLOSE_TIMEOUT_S)
        await self._bounded("connections", self._close_connections(), CLOSE_TIMEOUT_S)
        self.log.info("stopped")

    async def _leave(self) -> None:
        if self._membership is not None:
            await self._membership.leave()

    async def _run_callbacks(self) -> None:
        """Run the callbacks in reverse order of composition: later services use earlier ones."""
        for name in reversed(list(self._services)):
            for service, callback in self.drain_callbacks:
                if service == name:
                    await self._bounded(
                        f"callback of {name}", self._call(name, callback), CALLBACK_TIMEOUT_S
                    )

    async def _call(self, service: str, callback: Callable[[], Awaitable[None]]) -> None:
        try:
            await callback()
        except Exception as error:
            self.log.error("drain_callback_failed", service=service, exc_info=error)

    async def _close_connections(self) -> None:
        await self.clients.close()
        await self.bus.close()
        await self.cache.aclose()
        await asyncio.to_thread(self._export.close)

    async def _bounded(self, step: str, work: Awaitable[Any], timeout_s: float) -> None:
        left_s = max(self._drain_until - time.monotonic(), STEP_TIMEOUT_MIN_S)
        limit_s = min(timeout_s, left_s)
        try:
            async with asyncio.timeout(limit_s):
                await work
        except TimeoutError:
            self.log.warning("drain_step_cut_short", step=step, after_s=round(limit_s, 1))

    def _start_loop(self, loop: Loop) -> None:
        self._loop_tasks.append(asyncio.create_task(loop.run(self.metrics), name=loop.name))

    def _listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(ValueError, NotImplementedError):
                loop.add_signal_handler(number, self.stop)

    def _arm_failpoints(self) -> None:
        """Arm the failpoints of the settings; SIGUSR2 reads those of a file again."""
        configured = self.settings.failpoints
        if not configured.startswith("@"):
            failpoints.arm(configured)
            return
        path = Path(configured[1:])
        failpoints.arm_from(path)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR2, failpoints.arm_from, path)

    def _about(self) -> dict[str, Any]:
        return {"services": list(self._services), "version": VERSION}

    async def _check_bus(self) -> None:
        # A frozen server leaves its connections open.
        await self.bus.flush()

    async def _check_cache(self) -> None:
        await self.cache.ping()


def _tls_of(settings: Settings, services: Collection[str], metrics: Metrics) -> "ProcessTls | None":
    """Return the TLS of a process; plain text needs none of its libraries."""
    if not settings.has_tls:
        return None
    from flowmesh.runtime.tls.process import tls_of

    return tls_of(settings, services, metrics)


def _bus_of(settings: Settings, name: str, metrics: Metrics) -> Bus:
    try:
        return Bus(settings.nats, name=name, replicas=settings.nats_replicas, metrics=metrics)
    except ValueError as error:
        raise StartError(str(error)) from error


async def _all(tasks: list[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


def _port_taken(kind: str, port: int, flag: str) -> str:
    return f"{kind} port {port} is in use; choose another with {flag} (0 picks a free one)"


async def run_services(
    settings: Settings,
    services: Mapping[str, ServiceRun],
    *,
    on_ready: Callable[[Process], Awaitable[None]] | None = None,
) -> None:
    """Run the services in this process until it is stopped."""
    await Process(settings, services).run(on_ready)
