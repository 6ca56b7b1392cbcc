"""Calls of registered services: the balancer of a service chooses the instance of each."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from flowmesh.executors import failures
from flowmesh.executors.failures import TaskFailure
from flowmesh.executors.rpc.calls import Caller, Rpc, RpcAnswer
from flowmesh.rpc.instances.balancing import Balancer

# The outcomes that count against an instance, and those that are errors of a service.
_FAILED = frozenset({failures.NETWORK, failures.TIMEOUT})
ERRORS = _FAILED | {failures.SERVER, failures.RATE_LIMIT}
# The source of calls of drafts and dry runs.
UNNAMED: Final = "workflows"
# Counts a call of a namespace: source, target, seconds, whether it failed.
Count = Callable[[str, str, str, float, bool], None]


class Services(Protocol):
    """The instances of registered services."""

    def balancer(self, namespace: str, service: str) -> Awaitable[Balancer]:
        """Return the balancer of a service, after its instances were read once."""


@dataclass(frozen=True, slots=True)
class ServiceCaller:
    """A Caller that resolves services by name; the address is subject to the egress policy."""

    caller: Caller
    services: Services
    count: Count

    async def call(self, rpc: Rpc) -> RpcAnswer:
        if not rpc.service:
            return await self.caller.call(rpc)
        balancer = await self.services.balancer(rpc.namespace, rpc.service)
        backend = balancer.pick()
        if backend is None:
            message = f"no instance of the service {rpc.service} is registered"
            raise TaskFailure(failures.NETWORK, message, details={"service": rpc.service})
        address, secure = _address(backend.place.address)
        target = replace(rpc.target, address=address, tls=rpc.target.tls or secure)
        began = balancer.begin(backend)
        began_s = time.monotonic()
        # The outcome of a canceled or rejected call says nothing about the instance.
        outcome: str | None = None
        failed: bool | None = None
        try:
            answer = await self.caller.call(replace(rpc, target=target))
            outcome, failed = "", False
            return answer
        except TaskFailure as failure:
            outcome, failed = failure.class_, failure.class_ in _FAILED
            raise
        finally:
            balancer.end(backend, began, failed=failed)
            if outcome is not None:
                seconds = time.monotonic() - began_s
                source = rpc.workflow_id or UNNAMED
                self.count(rpc.namespace, source, rpc.service, seconds, outcome in ERRORS)


def _address(address: str) -> tuple[str, bool]:
    """Return host:port of an instance, and whether its endpoint asks for TLS."""
    scheme, found, rest = address.rpartition("://")
    return rest, bool(found) and scheme == "grpcs"
