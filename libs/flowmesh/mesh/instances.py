"""The instances of one service: followed in the registry, with a connection to each."""

import asyncio
import logging
from collections.abc import Collection
from typing import Any

import grpc
import grpc.aio

from flowmesh.errors import FlowmeshError, Unavailable
from flowmesh.mesh.limits import APPEAR_S, DRAIN_GRACE_S, WATCH_AGAIN_S
from flowmesh.mesh.tls import MeshTls
from flowmesh.rpc import CHANNEL_OPTIONS
from flowmesh.rpc.endpoints import Address
from flowmesh.rpc.instances.balancing import RANKS, Backend, Balancer, Place
from flowmesh.sdk import Client, Service

ZONE = "zone"
_log = logging.getLogger("flowmesh.mesh")


class Connection:
    """The gRPC channel to an instance, replaced when the certificate of this process changes."""

    def __init__(self, service: str, address: str, tls: MeshTls | None) -> None:
        self._service = service
        self._address = address
        self._tls = tls
        self._generation = tls.generation if tls else 0
        self._channel = self._opened()
        self._callables: dict[str, Any] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def callable(self, kind: str, path: str, serialize: Any, deserialize: Any) -> Any:
        """Return the callable of a method."""
        if self._tls is not None and self._tls.generation != self._generation:
            self._generation = self._tls.generation
            self.close()
            self._channel = self._opened()
            self._callables.clear()
        found = self._callables.get(path)
        if found is None:
            made = getattr(self._channel, kind)
            found = self._callables[path] = made(
                path, request_serializer=serialize, response_deserializer=deserialize
            )
        return found

    def close(self) -> None:
        """Close the channel after its calls, which have some time to end."""
        task = asyncio.ensure_future(self._channel.close(DRAIN_GRACE_S))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def closed(self) -> None:
        """Close the channel now."""
        await self._channel.close()

    def _opened(self) -> grpc.aio.Channel:
        options = [*CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0)]
        if self._tls is None:
            return grpc.aio.insecure_channel(self._address, options=options)
        # The certificate names the service, wherever its instances are.
        options.append(("grpc.ssl_target_name_override", self._service))
        credentials = self._tls.channel_credentials()
        return grpc.aio.secure_channel(self._address, credentials, options=options)


class Instances:
    """The instances of a service with their connections. The last known ones stay in use while
    the registry is away.
    """

    def __init__(self, client: Client, service: str, *, zone: str, tls: MeshTls | None) -> None:
        self.service = service
        self.balancer = Balancer(zone=zone)
        self._client = client
        self._tls = tls
        self._connections: dict[str, Connection] = {}
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._follow(), name=f"mesh-{service}")

    async def pick(self, tried: Collection[str], timeout_s: float) -> Backend:
        """Return the instance of the next call; wait for the first one to appear."""
        found = self.balancer.pick(tried)
        if found is not None:
            return found
        if not tried:
            try:
                async with asyncio.timeout(min(APPEAR_S, timeout_s)):
                    while (found := self.balancer.pick(tried)) is None:
                        await self.until_changed()
                return found
            except TimeoutError:
                pass
        text = f"no instance of {self.service} is registered"
        raise Unavailable("SERVICE_UNAVAILABLE", text)

    async def until_changed(self) -> None:
        """Wait for the next change of the instances."""
        self._changed.clear()
        await self._changed.wait()

    def connection(self, backend: Backend) -> Connection:
        """Return the connection to an instance."""
        address = backend.place.address
        found = self._connections.get(address)
        if found is None:
            found = self._connections[address] = Connection(self.service, address, self._tls)
        return found

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(each.closed() for each in self._connections.values()))
        self._connections.clear()

    async def _follow(self) -> None:
        while True:
            try:
                async for services in self._client.registry.follow(name=self.service):
                    self._update(services)
            except FlowmeshError as error:
                _log.warning("the instances of %s cannot be followed: %s", self.service, error)
            await asyncio.sleep(WATCH_AGAIN_S)

    def _update(self, services: tuple[Service, ...]) -> None:
        places = [place for each in services if (place := _place(each)) is not None]
        for backend in self.balancer.update(places):
            gone = self._connections.pop(backend.place.address, None)
            if gone is not None:
                gone.close()
        self._changed.set()


def _place(service: Service) -> Place | None:
    """Return an instance as the balancer takes it; None if it does not speak gRPC."""
    address = Address.parse(str(service.endpoint))
    if address.scheme not in ("", "grpc", "grpcs"):
        return None
    return Place(
        id=service.id,
        address=f"{address.host}:{address.port}",
        rank=RANKS.get(str(service.status), 1),
        zone=service.metadata.get(ZONE, ""),
    )
