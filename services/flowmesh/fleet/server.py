"""FleetService and AgentService over gRPC: messages to calls, and back."""

from typing import Any

from flowmesh.access.owners import owner_of
from flowmesh.api.fleet.v1 import agent_pb2, fleet_service_pb2_grpc
from flowmesh.api.fleet.v1 import fleet_service_pb2 as pb
from flowmesh.errors import Invalid, NotFound
from flowmesh.fleet import checks, limits
from flowmesh.fleet.diagnosis import Diagnosis
from flowmesh.fleet.fleet import Fleet
from flowmesh.fleet.messages import agent_message, spec_message
from flowmesh.fleet.running.beats import BeatLoop
from flowmesh.fleet.storage.records import Beat
from flowmesh.fleet.storage.store import FleetStore
from flowmesh.rpc import namespace_of, valid_id

Context = Any


class FleetServer(fleet_service_pb2_grpc.FleetServiceServicer):
    """Turns messages into calls; decides nothing."""

    def __init__(self, *, fleet: Fleet, store: FleetStore, diagnosis: Diagnosis) -> None:
        self._fleet, self._store, self._diagnosis = fleet, store, diagnosis

    async def ApplyAgentSpec(
        self, request: pb.ApplyAgentSpecRequest, context: Context
    ) -> pb.ApplyAgentSpecResponse:
        namespace = namespace_of(request)
        if request.dry_run:
            await self._fleet.check(namespace, request.spec)
            return pb.ApplyAgentSpecResponse(spec=agent_pb2.AgentSpecState(spec=request.spec))
        row, created = await self._fleet.apply(namespace, request.spec, owner_of(request))
        return pb.ApplyAgentSpecResponse(spec=spec_message(row), created=created)

    async def GetAgentSpec(
        self, request: pb.GetAgentSpecRequest, context: Context
    ) -> pb.GetAgentSpecResponse:
        row = await self._fleet.spec(namespace_of(request), valid_id(request.spec, "spec"))
        return pb.GetAgentSpecResponse(spec=spec_message(row))

    async def ListAgentSpecs(
        self, request: pb.ListAgentSpecsRequest, context: Context
    ) -> pb.ListAgentSpecsResponse:
        found = await self._store.specs(namespace_of(request))
        return pb.ListAgentSpecsResponse(specs=[spec_message(each) for each in found])

    async def DeleteAgentSpec(
        self, request: pb.DeleteAgentSpecRequest, context: Context
    ) -> pb.DeleteAgentSpecResponse:
        spec = valid_id(request.spec, "spec")
        namespace, owner = namespace_of(request), owner_of(request)
        await self._fleet.delete(namespace, spec, owner, stop_agents=request.stop_agents)
        return pb.DeleteAgentSpecResponse()

    async def SpawnAgents(
        self, request: pb.SpawnAgentsRequest, context: Context
    ) -> pb.SpawnAgentsResponse:
        if request.count > limits.AGENTS_MAX:
            text = f"count: {request.count} is above {limits.AGENTS_MAX}"
            raise Invalid("REQUEST_INVALID", text)
        spec = valid_id(request.spec, "spec")
        found = await self._fleet.spawn(namespace_of(request), spec, request.count or 1)
        return pb.SpawnAgentsResponse(agents=[agent_message(each) for each in found])

    async def StopAgent(
        self, request: pb.StopAgentRequest, context: Context
    ) -> pb.StopAgentResponse:
        agent_id = valid_id(request.agent_id, "agent_id")
        found = await self._fleet.stop(namespace_of(request), agent_id, replace=False)
        return pb.StopAgentResponse(agent=agent_message(found))

    async def RestartAgent(
        self, request: pb.RestartAgentRequest, context: Context
    ) -> pb.RestartAgentResponse:
        agent_id = valid_id(request.agent_id, "agent_id")
        found = await self._fleet.stop(namespace_of(request), agent_id, replace=True)
        return pb.RestartAgentResponse(agent=agent_message(found))

    async def ScaleAgents(
        self, request: pb.ScaleAgentsRequest, context: Context
    ) -> pb.ScaleAgentsResponse:
        spec = valid_id(request.spec, "spec")
        found = await self._fleet.scale(namespace_of(request), spec, request.replicas)
        return pb.ScaleAgentsResponse(spec=spec_message(found))

    async def GetAgent(self, request: pb.GetAgentRequest, context: Context) -> pb.GetAgentResponse:
        agent_id = valid_id(request.agent_id, "agent_id")
        found = await self._fleet.agent(namespace_of(request), agent_id)
        return pb.GetAgentResponse(agent=agent_message(found))

    async def ListAgents(
        self, request: pb.ListAgentsRequest, context: Context
    ) -> pb.ListAgentsResponse:
        found = await self._store.agents(namespace_of(request), request.spec, ended=request.ended)
        return pb.ListAgentsResponse(agents=[agent_message(each) for each in found])

    async def ApplyScalingPolicy(
        self, request: pb.ApplyScalingPolicyRequest, context: Context
    ) -> pb.ApplyScalingPolicyResponse:
        namespace = namespace_of(request)
        if request.dry_run:
            await self._fleet.check_policy(namespace, request.policy)
            return pb.ApplyScalingPolicyResponse(policy=checks.completed(request.policy))
        found = await self._fleet.apply_policy(namespace, request.policy, owner_of(request))
        return pb.ApplyScalingPolicyResponse(policy=found)

    async def ListScalingPolicies(
        self, request: pb.ListScalingPoliciesRequest, context: Context
    ) -> pb.ListScalingPoliciesResponse:
        found = await self._store.policies(namespace_of(request))
        return pb.ListScalingPoliciesResponse(
            policies=[checks.completed(each.content) for each in found],
            owners={each.content.policy: each.owner for each in found if each.owner},
        )

    async def DeleteScalingPolicy(
        self, request: pb.DeleteScalingPolicyRequest, context: Context
    ) -> pb.DeleteScalingPolicyResponse:
        policy = valid_id(request.policy, "policy")
        await self._fleet.delete_policy(namespace_of(request), policy, owner_of(request))
        return pb.DeleteScalingPolicyResponse()

    async def ListScalingDecisions(
        self, request: pb.ListScalingDecisionsRequest, context: Context
    ) -> pb.ListScalingDecisionsResponse:
        found = await self._store.decisions(namespace_of(request), request.spec)
        return pb.ListScalingDecisionsResponse(decisions=found)

    async def DiagnoseAgents(
        self, request: pb.DiagnoseAgentsRequest, context: Context
    ) -> pb.DiagnoseAgentsResponse:
        found = await self._diagnosis.findings(namespace_of(request), request.spec)
        return pb.DiagnoseAgentsResponse(findings=found)

    async def GetAgentQuota(
        self, request: pb.GetAgentQuotaRequest, context: Context
    ) -> pb.GetAgentQuotaResponse:
        namespace = namespace_of(request)
        return pb.GetAgentQuotaResponse(
            quota=await self._store.quota(namespace), used=await self._fleet.used(namespace)
        )

    async def SetAgentQuota(
        self, request: pb.SetAgentQuotaRequest, context: Context
    ) -> pb.SetAgentQuotaResponse:
        checks.check_quota(request.quota)
        await self._store.set_quota(namespace_of(request), request.quota)
        return pb.SetAgentQuotaResponse(quota=request.quota)


class AgentServer(fleet_service_pb2_grpc.AgentServiceServicer):
    """Takes the calls of agents."""

    def __init__(self, store: FleetStore, beats: BeatLoop) -> None:
        self._store, self._beats = store, beats

    async def Attend(self, request: pb.AttendRequest, context: Context) -> pb.AttendResponse:
        agent_id = valid_id(request.agent_id, "agent_id")
        checks.check_gauges(request.gauges)
        found = await self._store.agent(namespace_of(request), agent_id)
        if found is None or found.ended_at_us:
            raise NotFound("AGENT_NOT_FOUND", f"there is no agent {agent_id!r}")
        slots, busy = min(request.slots, 2**20), min(request.busy, 2**20)
        self._beats.take(agent_id, Beat(slots, busy, dict(request.gauges)))
        return pb.AttendResponse(drain=found.state == agent_pb2.AGENT_STATE_DRAINING)
