"""The client: registers workflows, starts executions, finds them again. Talks gRPC only."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.api.registry.v1 import registry_service_pb2_grpc as rpc
from flowmesh.sdk.definition_calls import DefinitionCalls
from flowmesh.sdk.executions import moment
from flowmesh.sdk.insight_calls import InsightCalls
from flowmesh.sdk.limit_calls import LimitCalls
from flowmesh.sdk.link_calls import LinkCalls
from flowmesh.sdk.search_calls import SearchCalls
from flowmesh.sdk.template_calls import TemplateCalls
from flowmesh.sdk.trigger_calls import TriggerCalls
from flowmesh.sdk.version_calls import VersionCalls

if TYPE_CHECKING:
    from flowmesh.sdk.sync import SyncClient

_STATUS = "INSTANCE_STATUS_"


@dataclass(frozen=True, slots=True)
class ServiceInstance:
    """A registered instance of a service and how it is."""

    id: str
    name: str
    type: str
    endpoint: str
    status: str
    capabilities: tuple[str, ...]
    metadata: dict[str, str]
    registered_at: datetime | None
    heartbeat_at: datetime | None
    version: str


class Client(
    DefinitionCalls,
    VersionCalls,
    TemplateCalls,
    LinkCalls,
    TriggerCalls,
    SearchCalls,
    LimitCalls,
    InsightCalls,
):
    """`async with Client("127.0.0.1:7450") as client: await client.run("workflow", input)`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.registry = rpc.RegistryServiceStub(self.caller.channel)

    @staticmethod
    def sync(address: str = "", namespace: str = "") -> "SyncClient":
        """The same client with blocking calls, for code without an event loop."""
        from flowmesh.sdk.sync import SyncClient  # it is built on this class

        return SyncClient(address, namespace)

    async def services(
        self,
        *,
        name: str = "",
        type: str = "",
        capability: str = "",
        statuses: Collection[str] = (),
    ) -> AsyncIterator[ServiceInstance]:
        """Registered instances that pass all filters; statuses as HEALTHY, DEGRADED …"""
        request = pb.ListInstancesRequest(
            namespace=self.namespace,
            name=name,
            type=type,
            capability=capability,
            statuses=[pb.InstanceStatus.Value(_STATUS + status.upper()) for status in statuses],
        )
        async for instance in self.pages(self.registry.ListInstances, request, "instances"):
            yield _instance(instance)


def _instance(message: pb.Instance) -> ServiceInstance:
    return ServiceInstance(
        id=message.id,
        name=message.name,
        type=message.type,
        endpoint=message.endpoint,
        status=pb.InstanceStatus.Name(message.status).removeprefix(_STATUS),
        capabilities=tuple(message.capabilities),
        metadata=dict(message.metadata),
        registered_at=moment(message.registered_at_us),
        heartbeat_at=moment(message.heartbeat_at_us),
        version=message.version,
    )
