"""Specs of agents and scaling policies of a project that moves."""

from flowmesh.api.fleet.v1 import agent_pb2
from flowmesh.api.fleet.v1 import fleet_service_pb2 as pb
from flowmesh.api.fleet.v1.fleet_service_pb2_grpc import FleetServiceStub
from flowmesh.cells import Move
from flowmesh.errors import Invalid, WrongState
from flowmesh.suite.cells.calls import CellCalls
from flowmesh.suite.cells.parts import Part
from flowmesh.suite.cells.plugins import PLUGINS


class Agents(Part):
    """Specs and policies. Agents of the source go on until the executions there have ended."""

    async def problems(self, move: Move) -> list[str]:
        """Return what other systems manage, which apply it at the target, and what that refuses."""
        found = []
        stub = FleetServiceStub(self._target.channel)
        for each in await _specs(self._source):
            name = f"the spec of agents {each.spec.spec}"
            if each.owner not in ("", PLUGINS):
                found.append(f"{name}, which {each.owner} manages")
                continue
            try:
                check = pb.ApplyAgentSpecRequest(spec=each.spec, dry_run=True)
                await self._target.call(stub.ApplyAgentSpec, check)
            except (Invalid, WrongState) as error:
                found.append(f"{name}: {error.message}")
        owners = (await _policies(self._source)).owners
        found += [f"the scaling policy {name}, which {owners[name]} manages" for name in owners]
        return found

    async def start(self, move: Move) -> None:
        """Apply the specs and policies at the target, and delete others there."""
        stub = FleetServiceStub(self._target.channel)
        specs = {each.spec.spec: each.spec for each in await _own_specs(self._source)}
        policies = {each.policy: each for each in (await _policies(self._source)).policies}
        for policy in (await _policies(self._target)).policies:
            if policy.policy not in policies:
                removal = pb.DeleteScalingPolicyRequest(policy=policy.policy)
                await self._target.call(stub.DeleteScalingPolicy, removal)
        for name in {each.spec.spec for each in await _own_specs(self._target)} - specs.keys():
            await _delete(self._target, name)
        for spec in specs.values():
            await self._target.call(stub.ApplyAgentSpec, pb.ApplyAgentSpecRequest(spec=spec))
        for policy in policies.values():
            change = pb.ApplyScalingPolicyRequest(policy=policy)
            await self._target.call(stub.ApplyScalingPolicy, change)

    async def end(self) -> None:
        """Delete the policies and specs of the source."""
        stub = FleetServiceStub(self._source.channel)
        for policy in (await _policies(self._source)).policies:
            removal = pb.DeleteScalingPolicyRequest(policy=policy.policy)
            await self._source.call(stub.DeleteScalingPolicy, removal)
        for each in await _own_specs(self._source):
            await _delete(self._source, each.spec.spec)


async def _specs(calls: CellCalls) -> list[agent_pb2.AgentSpecState]:
    stub = FleetServiceStub(calls.channel)
    return list((await calls.call(stub.ListAgentSpecs, pb.ListAgentSpecsRequest())).specs)


async def _own_specs(calls: CellCalls) -> list[agent_pb2.AgentSpecState]:
    """Return the specs that no other system manages."""
    return [each for each in await _specs(calls) if not each.owner]


async def _policies(calls: CellCalls) -> pb.ListScalingPoliciesResponse:
    stub = FleetServiceStub(calls.channel)
    return await calls.call(stub.ListScalingPolicies, pb.ListScalingPoliciesRequest())


async def _delete(calls: CellCalls, spec: str) -> None:
    stub = FleetServiceStub(calls.channel)
    request = pb.DeleteAgentSpecRequest(spec=spec, stop_agents=True)
    await calls.call(stub.DeleteAgentSpec, request)
