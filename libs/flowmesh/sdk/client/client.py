"""The client: registers workflows, starts executions, finds them again. Talks gRPC only."""

from typing import TYPE_CHECKING

from flowmesh.sdk.client.definition_calls import DefinitionCalls
from flowmesh.sdk.client.insight_calls import InsightCalls
from flowmesh.sdk.client.limit_calls import LimitCalls
from flowmesh.sdk.client.link_calls import LinkCalls
from flowmesh.sdk.client.search_calls import SearchCalls
from flowmesh.sdk.client.template_calls import TemplateCalls
from flowmesh.sdk.client.trigger_calls import TriggerCalls
from flowmesh.sdk.client.version_calls import VersionCalls
from flowmesh.sdk.services import ServiceCalls

if TYPE_CHECKING:
    from flowmesh.sdk.client.sync import SyncClient


class Client(
    DefinitionCalls,
    VersionCalls,
    TemplateCalls,
    LinkCalls,
    TriggerCalls,
    SearchCalls,
    LimitCalls,
    InsightCalls,
    ServiceCalls,
):
    """`async with Client("127.0.0.1:7450") as client: await client.run("workflow", input)`."""

    @staticmethod
    def sync(address: str = "", namespace: str = "") -> "SyncClient":
        """The same client with blocking calls, for code without an event loop."""
        from flowmesh.sdk.client.sync import SyncClient  # it is built on this class

        return SyncClient(address, namespace)
