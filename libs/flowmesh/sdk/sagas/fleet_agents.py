"""Agents of a provisioning saga under the care of the fleet: healed, limited, and listed."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

from flowmesh.api.fleet.v1 import agent_pb2
from flowmesh.api.fleet.v1 import fleet_service_pb2 as pb
from flowmesh.api.fleet.v1.fleet_service_pb2_grpc import FleetServiceStub
from flowmesh.contract.json_value import Json
from flowmesh.errors import NotFound, Unavailable
from flowmesh.sdk.client.client import Client

READY_S: Final = 30.0
END_S: Final = 40.0
POLL_S: Final = 0.1


class FleetAgents:
    """Starts each agent as a spec of its name with one replica.

    `files` are those of its folder, where the module of its handler can be; `limits` bound it.
    """

    def __init__(
        self,
        client: Client,
        *,
        files: Mapping[str, str] | None = None,
        limits: agent_pb2.AgentLimits | None = None,
    ) -> None:
        self._client, self._files, self._limits = client, dict(files or {}), limits

    async def spawn(self, client: Client, agent_id: str, task: str, handler: str) -> Json:
        """Return once the agent is ready. Raises Unavailable if it is not in time."""
        module = "flowmesh.sdk.sagas.agents"
        spec = agent_pb2.AgentSpec(
            spec=agent_id,
            command=["python", "-m", module, agent_id, task, *filter(None, (handler,))],
            files=self._files,
            environment={"PYTHONPATH": "."} if self._files else {},
            queues=[agent_id],
            replicas=1,
            limits=self._limits,
        )
        await self._call("ApplyAgentSpec", pb.ApplyAgentSpecRequest(namespace=self._of, spec=spec))
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            for agent in await self._agents(agent_id):
                if agent.state == agent_pb2.AGENT_STATE_READY:
                    return {"pid": agent.pid, "agentId": agent.agent_id}
            await asyncio.sleep(POLL_S)
        request = pb.GetAgentSpecRequest(namespace=self._of, spec=agent_id)
        problem = (await self._call("GetAgentSpec", request)).spec.problem
        text = f"{agent_id} is not ready within {READY_S:.0f} s: {problem or 'it starts'}"
        raise Unavailable("SERVICE_UNAVAILABLE", text)

    async def stop(self, agent_id: str) -> None:
        """Delete the spec, and wait for the end of its agent."""
        request = pb.DeleteAgentSpecRequest(namespace=self._of, spec=agent_id, stop_agents=True)
        try:
            await self._call("DeleteAgentSpec", request)
        except NotFound:
            return
        deadline = time.monotonic() + END_S
        while await self._agents(agent_id):
            if time.monotonic() > deadline:
                raise Unavailable("SERVICE_UNAVAILABLE", f"{agent_id} does not end")
            await asyncio.sleep(POLL_S)

    async def runs(self, agent_id: str) -> bool:
        """Return whether the agent is ready."""
        agents = await self._agents(agent_id)
        return any(each.state == agent_pb2.AGENT_STATE_READY for each in agents)

    @property
    def _of(self) -> str:
        return self._client.namespace

    async def _agents(self, spec: str) -> list[agent_pb2.Agent]:
        request = pb.ListAgentsRequest(namespace=self._of, spec=spec)
        return list((await self._call("ListAgents", request)).agents)

    async def _call(self, method: str, request: object) -> Any:
        stub = FleetServiceStub(self._client.caller.channel)
        return await self._client.caller.call(getattr(stub, method), request)
