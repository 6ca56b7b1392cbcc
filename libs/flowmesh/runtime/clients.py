"""Channels to services in this process and in others."""

import asyncio
from collections.abc import Callable

import grpc.aio

from flowmesh.errors import Unavailable
from flowmesh.rpc import Channel, Handlers, Identify, LocalTarget, RemoteTarget, Target
from flowmesh.rpc.remote import Security
from flowmesh.runtime.directory import LOCAL, Directory
from flowmesh.runtime.names import REGISTRY

# The wait of a call for an instance of its service.
APPEAR_TIMEOUT_S = 2.0
# The same for a service of this process, which may still be starting.
LOCAL_TIMEOUT_S = 10.0
TARGETS_MAX = 512
RETRY_AFTER_MS = 1_000


class Clients:
    """One target per address, kept for the life of the process."""

    def __init__(
        self,
        *,
        directory: Directory,
        handlers: Handlers,
        expected: frozenset[str],
        registry: str,
        own_addresses: Callable[[], tuple[str, str]],
        interceptors: tuple[grpc.aio.ClientInterceptor, ...] = (),
        identify: Identify | None = None,
        security: Security | None = None,
    ) -> None:
        self._directory = directory
        self._local = LocalTarget(handlers)
        self._expected = expected
        self._registry = registry
        self._own_addresses = own_addresses
        self._interceptors = interceptors
        self._identify = identify
        self._security = security
        self._targets: dict[str, RemoteTarget] = {}
        # Without the proof of this process.
        self._unproved: dict[str, RemoteTarget] = {}

    def channel(self, service: str) -> Channel:
        """Return a channel that selects an instance of the service for each call."""
        return self._channel(service, self.at)

    def unproved(self, service: str) -> Channel:
        """Return a channel whose calls do not prove this process, and have another credential.

        They reach a service of this process by a socket too.
        """
        return self._channel(service, self._unproved_at)

    def _channel(self, service: str, at: Callable[[str], Target]) -> Channel:
        def pick() -> Target:
            found = self._find(service)
            if found is None:
                raise _absent(service)
            return at(found)

        async def wait(timeout_s: float | None) -> Target:
            return at(self._find(service) or await self._wait_for(service, timeout_s))

        return Channel(pick, wait)

    def at(self, address: str) -> Target:
        """Return the target for an address."""
        if address == LOCAL or address in self._own_addresses():
            return self._local
        return self._opened(self._targets, address, self._identify)

    def _unproved_at(self, address: str) -> Target:
        if address == LOCAL:
            address = self._own_addresses()[-1]
        return self._opened(self._unproved, address, None)

    def _opened(
        self, targets: dict[str, RemoteTarget], address: str, identify: Identify | None
    ) -> RemoteTarget:
        found = targets.get(address)
        if found is None:
            self._drop_unknown(targets)
            found = targets[address] = RemoteTarget(
                address, self._interceptors, identify, self._security
            )
        return found

    async def close(self) -> None:
        targets = [*self._targets.values(), *self._unproved.values()]
        await asyncio.gather(*(target.close() for target in targets))
        self._targets.clear()
        self._unproved.clear()

    def _find(self, service: str) -> str | None:
        """Return the address of the instance for the next call."""
        endpoint = self._directory.pick(service, self._answers)
        if endpoint is not None:
            return endpoint.address
        if service == REGISTRY and self._registry and service not in self._expected:
            return self._registry
        return None

    def _answers(self, address: str) -> bool:
        target = self._targets.get(address)
        return target is None or target.answers

    async def _wait_for(self, service: str, timeout_s: float | None) -> str:
        limit = LOCAL_TIMEOUT_S if service in self._expected else APPEAR_TIMEOUT_S
        if timeout_s is not None:
            limit = min(limit, timeout_s)
        try:
            async with asyncio.timeout(limit):
                while (found := self._find(service)) is None:
                    await self._directory.until_changed()
        except TimeoutError:
            raise _absent(service) from None
        return found

    def _drop_unknown(self, targets: dict[str, RemoteTarget]) -> None:
        """Bound the targets: drop the oldest one with an unregistered address."""
        if len(targets) < TARGETS_MAX:
            return
        known = self._directory.addresses()
        for address in list(targets):
            if address not in known:
                target = targets.pop(address)
                asyncio.get_running_loop().create_task(target.close())
                return


def _absent(service: str) -> Unavailable:
    return Unavailable(
        "SERVICE_UNAVAILABLE", f"no {service} service is available", retry_after_ms=RETRY_AFTER_MS
    )
