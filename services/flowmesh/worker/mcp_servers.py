"""MCP servers in the registry, found by capability."""

from itertools import count
from typing import Any, Final, Protocol

from flowmesh.api.registry.v1 import registry_service_pb2 as pb

MCP_SERVER: Final = "MCP_SERVER"
SERVERS_MAX: Final = 100
_USABLE: Final = (pb.INSTANCE_STATUS_HEALTHY, pb.INSTANCE_STATUS_DEGRADED)


class RegistryLists(Protocol):
    """The call of RegistryService that finds servers."""

    async def ListInstances(self, request: pb.ListInstancesRequest) -> Any: ...


class McpServers:
    """Chooses among the usable servers with a capability in turn, healthy ones first."""

    def __init__(self, registry: RegistryLists) -> None:
        self._registry = registry
        self._turns = count()

    async def find(self, namespace: str, capability: str) -> str:
        """Return the endpoint of a server; empty without one."""
        request = pb.ListInstancesRequest(
            namespace=namespace,
            type=MCP_SERVER,
            capability=capability,
            statuses=_USABLE,
            page_size=SERVERS_MAX,
        )
        found = (await self._registry.ListInstances(request)).instances
        best = [each for each in found if each.status == pb.INSTANCE_STATUS_HEALTHY] or list(found)
        return str(best[next(self._turns) % len(best)].endpoint) if best else ""
