"""Specs and policies that a cluster manages, taken over at every door."""

from typing import Any

import grpc.aio
import pytest

from flowmesh.api.fleet.v1 import agent_pb2
from flowmesh.api.fleet.v1 import fleet_service_pb2 as pb
from flowmesh.api.fleet.v1.fleet_service_pb2_grpc import FleetServiceStub
from flowmesh.errors import WrongState
from flowmesh.sdk import AgentOrchestrator, Client
from tests.features.agents.crew import Crew
from tests.features.commands import command

CLUSTER, OTHER = "kubernetes/c1/default", "kubernetes/c2/default"
SPEC: dict[str, Any] = {"command": ["python", "-V"], "health": "process"}
POLICY = {"spec": "packers", "strategy": "fixed"}
FIXED = agent_pb2.SCALING_STRATEGY_FIXED


class Cluster:
    """Stores a spec and a policy as the operator of a cluster does."""

    def __init__(self, channel: grpc.aio.Channel, namespace: str, owner: str) -> None:
        self._fleet: Any = FleetServiceStub(channel)
        self._at: dict[str, Any] = {"namespace": namespace, "owner": owner}

    async def apply(self, *, most: int) -> None:
        spec = agent_pb2.AgentSpec(
            spec="packers", command=["python", "-V"], health=agent_pb2.AGENT_HEALTH_PROCESS
        )
        await self._fleet.ApplyAgentSpec(pb.ApplyAgentSpecRequest(spec=spec, **self._at))
        policy = agent_pb2.ScalingPolicy(policy="p", spec="packers", strategy=FIXED, max=most)
        await self._fleet.ApplyScalingPolicy(
            pb.ApplyScalingPolicyRequest(policy=policy, **self._at)
        )

    async def delete(self) -> None:
        await self._fleet.DeleteScalingPolicy(pb.DeleteScalingPolicyRequest(policy="p", **self._at))
        await self._fleet.DeleteAgentSpec(pb.DeleteAgentSpecRequest(spec="packers", **self._at))


async def refused_to(crew: Crew, method: str, path: str, body: Any = None) -> None:
    """Assert that a call without an owner is refused."""
    answer = await crew.call(method, path, body)
    assert (answer.status, "OWNED_ELSEWHERE" in answer.text) == (409, True), answer.text
    assert f"is managed by {CLUSTER}" in answer.text


@pytest.mark.long
@pytest.mark.parametrize("door", ["rest", "sdk", "command"])
async def test_managed_agents_are_taken_over_on_request(
    crew: Crew, channel: grpc.aio.Channel, door: str
) -> None:
    """And belong to nobody then."""
    await Cluster(channel, crew.namespace, CLUSTER).apply(most=1)
    changed = {**SPEC, "slots": 2}
    if door == "rest":
        for path, body in (("agent-specs/packers", changed), ("scaling-policies/p", POLICY)):
            await refused_to(crew, "PUT", path, body)
            taken = await crew.call("PUT", f"{path}?takeOver=true", body)
            assert taken.status in (200, 201), taken.text
    elif door == "sdk":
        async with Client(crew.suite.grpc_address, crew.namespace) as client:
            agents = AgentOrchestrator(client=client)
            with pytest.raises(WrongState, match="managed by kubernetes/c1"):
                await agents.apply("packers", **changed)
            with pytest.raises(WrongState, match="managed by kubernetes/c1"):
                await agents.set_policy("p", "packers", "FIXED")
            await agents.apply("packers", take_over=True, **changed)
            await agents.set_policy("p", "packers", "FIXED", take_over=True)
    else:
        to = ("--namespace", crew.namespace)
        shown = await command(crew.suite, "agent", "spec", "show", "packers", *to)
        assert f"managed by {CLUSTER}" in shown.out
        health = ("--health", "process", "--replicas", "0")
        for call in (
            ("agent", "spec", "apply", "packers", "--run", "python -V -V", *health, *to),
            ("agent", "policy", "set", "p", "packers", "fixed", "--most", "3", *to),
        ):
            failed = await command(crew.suite, *call)
            assert (failed.code, "managed by kubernetes/c1" in failed.err) == (1, True), failed.err
            done = await command(crew.suite, *call, "--take-over")
            assert done.code == 0, done.err
    after = await crew.call("PUT", "agent-specs/packers", {**SPEC, "slots": 3})
    assert (after.status, "owner" in after.json) == (201, False), after.text
    assert (await crew.call("GET", "scaling-policies")).json["owners"] == {}


async def test_of_two_clusters_the_first_keeps_what_it_stored(
    crew: Crew, channel: grpc.aio.Channel
) -> None:
    """The other one can neither change nor delete it; the same content stays everybody's."""
    first, second = (Cluster(channel, crew.namespace, each) for each in (CLUSTER, OTHER))
    await first.apply(most=1)
    with pytest.raises(grpc.aio.AioRpcError, match=f"managed by {CLUSTER}"):
        await second.apply(most=2)
    with pytest.raises(grpc.aio.AioRpcError, match=f"managed by {CLUSTER}"):
        await second.delete()
    for path in ("agent-specs/packers?stopAgents=true", "scaling-policies/p"):
        await refused_to(crew, "DELETE", path)
    await Cluster(channel, crew.namespace, "").apply(most=1)
    assert (await crew.spec("packers"))["owner"] == CLUSTER
    await first.apply(most=3)
    listed = (await crew.call("GET", "scaling-policies")).json
    assert (listed["policies"][0]["max"], listed["owners"]) == (3, {"p": CLUSTER})
    await first.delete()
    gone = await crew.call("GET", "agent-specs/packers")
    assert gone.status == 404 or gone.json["version"] == 1


@pytest.mark.parametrize("first", ["rest", "grpc"])
async def test_the_same_spec_at_both_doors_is_one_version(
    crew: Crew, channel: grpc.aio.Channel, first: str
) -> None:
    """Bodies of REST have limits without a bound, messages of gRPC none."""
    cluster = Cluster(channel, crew.namespace, "")

    async def apply(door: str) -> None:
        if door == "grpc":
            await cluster.apply(most=1)
        else:
            answer = await crew.call("PUT", "agent-specs/packers", SPEC)
            assert answer.status in (200, 201), answer.text

    for door in (first, "grpc", "rest", "grpc"):
        await apply(door)
    assert (await crew.spec("packers"))["version"] == 1
