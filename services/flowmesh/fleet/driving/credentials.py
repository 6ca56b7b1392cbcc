"""The variables by which agents reach the suite, with a key of their own in a closed one."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from flowmesh.access import acting_as
from flowmesh.access.roles import Role
from flowmesh.api.identity.v1 import access_service_pb2 as pb
from flowmesh.fleet.storage.records import AgentRow, SpecRow
from flowmesh.runtime import Runtime
from flowmesh.runtime.directory import LOCAL
from flowmesh.runtime.names import GATEWAY

if TYPE_CHECKING:
    from flowmesh.api.identity.v1.access_service_pb2_grpc import AccessServiceAsyncStub


class Credentials:
    """Names the suite to agents; each has a key of role worker for the queues of its spec."""

    def __init__(self, runtime: Runtime, access: "AccessServiceAsyncStub") -> None:
        self._runtime, self._access = runtime, access

    async def gateways(self) -> Sequence[str]:
        """Return the addresses of the gateways of this suite."""
        async for found in self._runtime.instances(GATEWAY):
            own = self._runtime.address
            return [own if each.address == LOCAL else each.address for each in found]
        return []

    async def of(self, agent: AgentRow, spec: SpecRow) -> Mapping[str, str]:
        """Return the variables of an agent. Raises Forbidden if the maker may not give the key.

        A spec that a cluster stored has an owner and no maker; its agents have a key if it names
        their queues.
        """
        content = spec.content
        gateways = await self.gateways()
        found = {
            "FLOWMESH_ADDRESS": gateways[0] if gateways else "",
            "FLOWMESH_NAMESPACE": agent.namespace,
            "FLOWMESH_AGENT_ID": agent.id,
            "FLOWMESH_AGENT_QUEUES": ",".join(content.queues),
            "FLOWMESH_AGENT_SLOTS": str(content.slots or 1),
        }
        if self._runtime.keys is None or not (spec.maker or (spec.owner and content.queues)):
            return found
        request = pb.IssueAppKeyRequest(
            namespace=agent.namespace,
            app=_key_of(agent),
            maker_id=spec.maker,
            role=Role.WORKER,
            queues=sorted(content.queues),
            task_types=sorted(content.task_types),
            permissions=[f"secrets.{each}" for each in sorted(content.secrets)],
            owner="" if spec.maker else spec.owner,
        )
        with acting_as(None):
            issued = await self._access.IssueAppKey(request)
        return {**found, "FLOWMESH_API_KEY": issued.secret}

    async def revoke(self, agent: AgentRow) -> None:
        """Delete the key of an agent that has ended."""
        if self._runtime.keys is not None:
            with acting_as(None):
                await self._access.RevokeAppKey(
                    pb.RevokeAppKeyRequest(namespace=agent.namespace, app=_key_of(agent))
                )


def _key_of(agent: AgentRow) -> str:
    """Return the name of a key; no application has one with a dot."""
    return f"agent.{agent.id}"
