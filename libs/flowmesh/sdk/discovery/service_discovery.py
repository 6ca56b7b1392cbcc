"""Service discovery as one object with blocking calls: register, discover, react to changes."""

import logging
import queue
import threading
import time
import weakref
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.errors import FlowmeshError, Invalid, NotFound, Unavailable
from flowmesh.records import value_from, values_from
from flowmesh.sdk.discovery.blocking import RegistryConnection
from flowmesh.sdk.transport.credentials import TokenSource
from flowmesh.sdk.transport.endpoint import Tls
from flowmesh.sdk.transport.environment import namespace_or_default
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.ids import new_request_id
from flowmesh.sdk.values.service_view import View
from flowmesh.sdk.values.services import (
    Service,
    ServiceChange,
    ServiceStatus,
    ServiceType,
    instance_request,
    status_number,
)

# Changes that wait for slow callbacks; further ones are dropped, with a warning.
CHANGES_MAX: Final = 10_000
FIRST_ANSWER_S: Final = 10.0
RETRY_S: Final = 0.5
_PRESENT: Final = (ServiceStatus.HEALTHY, ServiceStatus.DEGRADED, ServiceStatus.UNHEALTHY)
_log = logging.getLogger("flowmesh.sdk")

Callback = Callable[[str, Service, Service | None], object]


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """The use of the cache: lookups that it served, and those that asked the registry."""

    hits: int
    misses: int
    instances: int
    # Seconds since the connection to the registry broke; 0 while it is connected.
    stale_s: float


@dataclass(frozen=True, slots=True)
class _Listener:
    callback: Callback
    service_type: str
    name: str

    def wants(self, service: Service) -> bool:
        return (not self.service_type or service.type == self.service_type) and (
            not self.name or service.name == self.name
        )


class ServiceDiscovery:
    """`discovery = ServiceDiscovery()`; connects to FLOWMESH_ADDRESS.

    Registered services are kept alive by heartbeats of a background thread until they are
    deregistered or `close` is called. Lookups are answered by a cache that follows the registry;
    if the registry is away for longer than a heartbeat they raise Unavailable, or with `stale_ok`
    return the last known instances.
    """

    def __init__(
        self,
        address: str = "",
        namespace: str = "",
        *,
        token: TokenSource | None = None,
        api_key: str = "",
        tls: Tls | bool | None = None,
        stale_ok: bool = False,
    ) -> None:
        self._registry = RegistryConnection(address, token=token, api_key=api_key, tls=tls)
        has_credential = self._registry.has_credential
        self.namespace = namespace_or_default(namespace, has_credential=has_credential)
        self._cache = _Cache(self._registry, self.namespace, stale_ok)
        self._heartbeats = _Heartbeats(self._registry, self.namespace)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def register_service(self, service: Service) -> Service:
        """Register a service, or replace it; return it with its id, endpoint and status.

        Raises Invalid if a field is out of range.
        """
        named = replace(service, id=service.id or f"service-{new_request_id()}")
        return self._heartbeats.add(named)

    def deregister_service(self, service_id: str) -> None:
        """End the heartbeats of a service and turn it OFFLINE; repeating it changes nothing."""
        self._heartbeats.remove(service_id)

    def update_status(self, service_id: str, status: ServiceStatus | str) -> None:
        """Report the health of a service that was registered here, now and with heartbeats."""
        self._heartbeats.report(service_id, status)

    def discover_services(
        self,
        service_type: ServiceType | str | None = None,
        status: ServiceStatus | str | None = None,
        capabilities: Collection[str] = (),
        *,
        name: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> list[Service]:
        """Return the services that match all filters and have all capabilities, by name and id.

        Without a status all are returned that are not OFFLINE.
        """
        if isinstance(capabilities, str):
            text = f"capabilities: a list of names, not the text {capabilities!r}"
            raise Invalid("REQUEST_INVALID", text)
        if status is not None:
            status_number(status)
        if status == ServiceStatus.OFFLINE:
            kind = service_type or ""
            return self._cache.listed(status, capabilities, metadata, type=kind, name=name)
        pairs = (metadata or {}).items()
        return [
            each
            for each in self._cache.services()
            if (service_type is None or each.type == service_type)
            and (status is None or each.status == status)
            and (not name or each.name == name)
            and all(capability in each.capabilities for capability in capabilities)
            and all(each.metadata.get(key) == value for key, value in pairs)
        ]

    def get_service(self, service_id: str) -> Service:
        """Return a service by its id; raises NotFound."""
        for each in self._cache.services():
            if each.id == service_id:
                return each
        request = pb.GetInstanceRequest(namespace=self.namespace, id=service_id)
        response = self._registry.call(self._registry.stub.GetInstance, request)
        return value_from(Service, response.instance)

    def on_change(
        self, callback: Callback, service_type: ServiceType | str = "", *, name: str = ""
    ) -> Callable[[], None]:
        """Call `callback(event, service, before)` for each change; return a function that ends it.

        The event is `registered`, `changed` or `left`. Callbacks run one after the other in a
        thread of their own; an exception is logged.
        """
        if not callable(callback):
            raise Invalid("REQUEST_INVALID", "the callback of on_change is not callable")
        return self._cache.listen(_Listener(callback, service_type, name))

    def cache_info(self) -> CacheInfo:
        """Return the use and the age of the cache."""
        return self._cache.info()

    def close(self) -> None:
        """Deregister the services of this object and disconnect."""
        self._heartbeats.close()
        self._registry.close()
        self._cache.close()


class _Cache:
    """The instances of a namespace, fed by a watch in a background thread."""

    def __init__(self, registry: RegistryConnection, namespace: str, stale_ok: bool) -> None:
        self._registry = registry
        self._namespace = namespace
        self._stale_ok = stale_ok
        self._services: tuple[Service, ...] = ()
        self._lock = threading.Lock()
        self._filled = threading.Event()
        self._lost_at = 0.0
        self._refusal: FlowmeshError | None = None
        self._threads: list[threading.Thread] = []
        self._listeners: tuple[_Listener, ...] = ()
        self._changes: queue.Queue[ServiceChange | None] = queue.Queue(CHANGES_MAX)
        self._hits = self._misses = 0

    def services(self) -> tuple[Service, ...]:
        """Return all instances that are not offline; from the cache while it is current."""
        if self._filled.is_set() and self._stale_s() <= limits.SERVICE_HEARTBEAT_S:
            self._hits += 1
            return self._services
        self._misses += 1
        self._start()
        if not self._filled.is_set():
            if not self._filled.wait(FIRST_ANSWER_S) and not self._stale_ok:
                raise self._refusal or Unavailable(
                    "SERVICE_UNAVAILABLE", f"no registry responds at {self._registry.address}"
                )
            return self._services
        if self._stale_ok:
            _log.warning("the registry is away; its instances are %.0f s old", self._stale_s())
            return self._services
        return tuple(self.listed(None, (), None))

    def listed(
        self,
        status: str | None,
        capabilities: Collection[str],
        metadata: Mapping[str, str] | None,
        *,
        type: str = "",
        name: str = "",
    ) -> list[Service]:
        """Ask the registry."""
        request = pb.ListInstancesRequest(
            namespace=self._namespace,
            capabilities=sorted(capabilities),
            metadata=metadata,
            statuses=[status_number(each) for each in ([status] if status else _PRESENT)],
            type=type,
            name=name,
        )
        found: list[Service] = []
        while True:
            response = self._registry.call(self._registry.stub.ListInstances, request)
            found += values_from(Service, response.instances)
            if not response.next_page_token:
                return found
            request.page_token = response.next_page_token

    def listen(self, listener: _Listener) -> Callable[[], None]:
        with self._lock:
            self._listeners = (*self._listeners, listener)
        self._start()

        def stop() -> None:
            with self._lock:
                self._listeners = tuple(each for each in self._listeners if each is not listener)

        return stop

    def info(self) -> CacheInfo:
        return CacheInfo(self._hits, self._misses, len(self._services), self._stale_s())

    def close(self) -> None:
        with suppress(queue.Full):
            self._changes.put_nowait(None)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout=1.0)

    def _stale_s(self) -> float:
        lost_at = self._lost_at
        return time.monotonic() - lost_at if lost_at else 0.0

    def _start(self) -> None:
        with self._lock:
            if not self._threads:
                for work in (self._follow, self._call_back):
                    thread = threading.Thread(target=work, name="flowmesh-discovery", daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def _follow(self) -> None:
        view = View()
        request = pb.WatchInstancesRequest(namespace=self._namespace)
        while True:
            try:
                for message in self._registry.watch(request):
                    changes = view.apply(message)
                    self._services = view.services
                    self._lost_at = 0.0
                    self._filled.set()
                    for change in changes:
                        self._offer(change)
            except FlowmeshError as error:
                self._refusal = error
            except ValueError:
                return  # the channel is closed
            self._lost_at = self._lost_at or time.monotonic()
            if not self._registry.pause(RETRY_S):
                return

    def _offer(self, change: ServiceChange) -> None:
        if not self._listeners:
            return
        try:
            self._changes.put_nowait(change)
        except queue.Full:
            _log.warning("a callback of on_change is too slow; a change is dropped")

    def _call_back(self) -> None:
        while (change := self._changes.get()) is not None:
            for listener in self._listeners:
                if not listener.wants(change.service):
                    continue
                try:
                    listener.callback(change.event, change.service, change.before)
                except Exception:  # noqa: BLE001 any failure of a callback
                    _log.exception("a callback of on_change failed")


class _Heartbeats:
    """Services registered here, renewed by a background thread."""

    def __init__(self, registry: RegistryConnection, namespace: str) -> None:
        self._registry = registry
        self._namespace = namespace
        self._services: dict[str, tuple[Service, str]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, service: Service) -> Service:
        registered = self._register(service)
        with self._lock:
            self._services[service.id] = (service, ServiceStatus.HEALTHY)
            if self._thread is None:
                me = weakref.ref(self)
                self._thread = threading.Thread(
                    target=_beat, args=(me, self._registry), name="flowmesh-heartbeat", daemon=True
                )
                self._thread.start()
        return registered

    def remove(self, service_id: str) -> None:
        with self._lock:
            self._services.pop(service_id, None)
        request = pb.DeregisterInstanceRequest(namespace=self._namespace, id=service_id)
        self._registry.call(self._registry.stub.DeregisterInstance, request)

    def report(self, service_id: str, status: ServiceStatus | str) -> None:
        number = status_number(status)
        with self._lock:
            if service_id not in self._services:
                raise NotFound("INSTANCE_NOT_FOUND", f"no service {service_id} is registered here")
            self._services[service_id] = (self._services[service_id][0], status)
        self._heartbeat(service_id, number)

    def beat(self) -> None:
        """Renew every service once."""
        with self._lock:
            services = list(self._services.values())
        for service, status in services:
            try:
                self._heartbeat(service.id, status_number(status))
            except NotFound:
                self._register(service)

    def close(self) -> None:
        with self._lock:
            services, self._services = list(self._services), {}
        for service_id in services:
            try:
                request = pb.DeregisterInstanceRequest(namespace=self._namespace, id=service_id)
                self._registry.call(self._registry.stub.DeregisterInstance, request, patience_s=0.0)
            except FlowmeshError as error:
                _log.warning("cannot deregister service %s: %s", service_id, error)
                return

    def _register(self, service: Service) -> Service:
        heartbeat_s = 0 if service.check else limits.SERVICE_HEARTBEAT_S
        request = instance_request(service, self._namespace, service.id, heartbeat_s)
        response = self._registry.call(self._registry.stub.RegisterInstance, request)
        return value_from(Service, response.instance)

    def _heartbeat(self, service_id: str, status: Any) -> None:
        request = pb.HeartbeatRequest(namespace=self._namespace, id=service_id, status=status)
        self._registry.call(self._registry.stub.Heartbeat, request, patience_s=0.0)


def _beat(me: "weakref.ref[_Heartbeats]", registry: RegistryConnection) -> None:
    """Renew services until the connection closes or the object is gone."""
    while registry.pause(limits.SERVICE_HEARTBEAT_S):
        heartbeats = me()
        if heartbeats is None:
            return
        try:
            heartbeats.beat()
        except FlowmeshError as error:
            _log.warning("cannot send heartbeats: %s", error)
        except ValueError:
            return  # the channel is closed
        del heartbeats
