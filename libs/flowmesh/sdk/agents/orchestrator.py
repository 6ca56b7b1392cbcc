"""AgentOrchestrator: specs, agents and scaling policies as one object, with or without a suite."""

import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from flowmesh.api.fleet.v1 import agent_pb2
from flowmesh.api.fleet.v1 import fleet_service_pb2 as pb
from flowmesh.api.fleet.v1.fleet_service_pb2_grpc import FleetServiceStub
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid, Unavailable
from flowmesh.records import value_from, values_from
from flowmesh.sdk.agents.state import RedisState
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.values.agents import AgentDecision, AgentInstance, AgentStatus

OPTIONS: Final = {"kubernetes_enabled": bool, "redis_enabled": bool, "redis_url": str}
Strategy = Literal["FIXED", "AUTO", "PERFORMANCE_BASED", "WORKLOAD_BASED"]
Parsed = TypeVar("Parsed", agent_pb2.AgentSpec, agent_pb2.ScalingPolicy)
NEED_QUEUES: Final = ("AUTO", "WORKLOAD_BASED")


class AgentOrchestrator:
    """`orchestrator = AgentOrchestrator({"kubernetes_enabled": False, "redis_enabled": False})`.

    With a client, or with `kubernetes_enabled`, the fleet of that suite runs the agents; without
    either, this program does, as processes of this machine that end with it. With `redis_enabled`
    the specs are in Redis at `redis_url`, and another program with the same Redis and namespace
    begins with them; otherwise they are in memory. It connects at the first call; end it by
    `close`, or as `async with`.
    """

    def __init__(
        self, config: Mapping[str, Json] | None = None, client: Client | str | None = None
    ) -> None:
        found = _checked(config or {})
        self._remote = bool(client) or bool(found.get("kubernetes_enabled"))
        self._own = None if isinstance(client, Client) else Client(client or "")
        self.client = client if isinstance(client, Client) else self._own or Client()
        self.namespace = self.client.namespace or "default"
        url = str(found.get("redis_url") or "redis://localhost:6379")
        self._state = RedisState(url, self.namespace) if found.get("redis_enabled") else None
        self._local: Any = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    async def __aenter__(self) -> Self:
        await self._connected()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the agents of this program, and disconnect; those of a suite run on."""
        if self._local is not None:
            await self._local.close()
            self._local = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        if self._state is not None:
            await self._state.close()
        if self._own is not None:
            await self._own.close()

    async def apply(self, spec: str, *, take_over: bool = False, **content: Json) -> AgentStatus:
        """Store a spec, or a new version of it; members are those of `agent-specs` of REST.

        `command`, `files`, `environment`, `queues`, `slots`, `replicas`, `limits`, `isolation`,
        `health`. Without a suite, `health` is `process`. `take_over` takes the spec from the
        system that manages it, such as a cluster.
        """
        if not self._remote:
            content = {"health": "process", **content}
        message = _spec_of(spec, content)
        request = pb.ApplyAgentSpecRequest(
            namespace=self.namespace, spec=message, take_over=take_over
        )
        await self._call("ApplyAgentSpec", request)
        await self._note(spec)
        return await self.status(spec)

    async def spawn(self, spec: str, count: int = 1) -> tuple[AgentInstance, ...]:
        """Start further agents; return them before they are ready."""
        request = pb.SpawnAgentsRequest(namespace=self.namespace, spec=spec, count=count)
        found = (await self._call("SpawnAgents", request)).agents
        await self._note(spec)
        return values_from(AgentInstance, found)

    async def scale(self, spec: str, replicas: int) -> AgentStatus:
        """Set the number of agents of a spec."""
        request = pb.ScaleAgentsRequest(namespace=self.namespace, spec=spec, replicas=replicas)
        await self._call("ScaleAgents", request)
        await self._note(spec)
        return await self.status(spec)

    async def status(self, spec: str) -> AgentStatus:
        """Return a spec with its agents."""
        found = (await self._call("GetAgentSpec", self._of(pb.GetAgentSpecRequest, spec))).spec
        return AgentStatus(
            spec=spec,
            version=found.version,
            wanted=found.wanted,
            ready=found.ready,
            problem=found.problem,
            content=MessageToDict(found.spec, preserving_proto_field_name=True),
            agents=await self.agents(spec),
        )

    async def agents(self, spec: str = "", *, ended: bool = False) -> tuple[AgentInstance, ...]:
        """Return the agents, newest first; with `ended` the last 100 others too."""
        request = pb.ListAgentsRequest(namespace=self.namespace, spec=spec, ended=ended)
        return values_from(AgentInstance, (await self._call("ListAgents", request)).agents)

    async def specs(self) -> tuple[str, ...]:
        """Return the names of the specs."""
        request = pb.ListAgentSpecsRequest(namespace=self.namespace)
        found = (await self._call("ListAgentSpecs", request)).specs
        return tuple(each.spec.spec for each in found)

    async def stop(self, agent_id: str) -> AgentInstance:
        """Stop an agent after its tasks; its spec has one agent less."""
        request = pb.StopAgentRequest(namespace=self.namespace, agent_id=agent_id)
        found = (await self._call("StopAgent", request)).agent
        await self._note(found.spec)
        return value_from(AgentInstance, found)

    async def restart(self, agent_id: str) -> AgentInstance:
        """Replace an agent after its tasks."""
        request = pb.RestartAgentRequest(namespace=self.namespace, agent_id=agent_id)
        return value_from(AgentInstance, (await self._call("RestartAgent", request)).agent)

    async def delete(self, spec: str) -> None:
        """Delete a spec with its agents and its policy."""
        request = pb.DeleteAgentSpecRequest(namespace=self.namespace, spec=spec, stop_agents=True)
        await self._call("DeleteAgentSpec", request)
        if self._state is not None:
            await self._state.remove(spec)

    async def set_policy(
        self,
        policy: str,
        spec: str,
        strategy: Strategy,
        *,
        take_over: bool = False,
        **bounds: Json,
    ) -> None:
        """Let a policy decide the number of agents: `min`, `max` and times as in REST.

        `take_over` takes the policy from the system that manages it, such as a cluster.
        Without a suite there are no queues, and so no WORKLOAD_BASED and AUTO.
        """
        if not self._remote and strategy in NEED_QUEUES:
            text = f"strategy: {strategy} needs the queues of a suite; give its client"
            raise Invalid("SCALING_POLICY_INVALID", text)
        given = {"policy": policy, "spec": spec, "strategy": f"SCALING_STRATEGY_{strategy}"}
        message = _parsed(agent_pb2.ScalingPolicy(), given | bounds, "SCALING_POLICY_INVALID")
        request = pb.ApplyScalingPolicyRequest(
            namespace=self.namespace, policy=message, take_over=take_over
        )
        await self._call("ApplyScalingPolicy", request)

    async def decisions(self, spec: str) -> tuple[AgentDecision, ...]:
        """Return the last decisions of policies, newest first."""
        request = self._of(pb.ListScalingDecisionsRequest, spec)
        found = (await self._call("ListScalingDecisions", request)).decisions
        return values_from(AgentDecision, found)

    def _of(self, request: Any, spec: str) -> Any:
        return request(namespace=self.namespace, spec=spec)

    async def _call(self, method: str, request: Any) -> Any:
        await self._connected()
        return await self._send(method, request)

    async def _send(self, method: str, request: Any) -> Any:
        if self._remote:
            stub = FleetServiceStub(self.client.caller.channel)
            return await self.client.caller.call(getattr(stub, method), request)
        return await self._local.call(method, request)

    async def _connected(self) -> None:
        """Start the fleet of this program, with the specs of the one before."""
        if self._remote or self._local is not None:
            return
        kept = await self._state.specs() if self._state is not None else ()
        try:
            # A client alone has no fleet.
            fleet = import_module("flowmesh.fleet.local")
        except ImportError as error:
            text = "agents without a suite need the package of the suite, not the client alone"
            raise Unavailable("SERVICE_UNAVAILABLE", text) from error
        self._folder = tempfile.TemporaryDirectory(prefix="flowmesh-agents-")
        self._local = fleet.LocalFleet(Path(self._folder.name))
        for content in kept:
            message = agent_pb2.AgentSpec.FromString(content)
            request = pb.ApplyAgentSpecRequest(namespace=self.namespace, spec=message)
            await self._send("ApplyAgentSpec", request)

    async def _note(self, spec: str) -> None:
        """Keep a spec in Redis, with its number of agents."""
        if self._state is not None:
            found = await self._call("GetAgentSpec", self._of(pb.GetAgentSpecRequest, spec))
            await self._state.put(spec, found.spec.spec.SerializeToString())


def _checked(config: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return the options. Raises Invalid for others, and for values of another type."""
    for name, value in config.items():
        kind = OPTIONS.get(name)
        if kind is None:
            text = f"{name}: there is no such option; there are {', '.join(OPTIONS)}"
            raise Invalid("REQUEST_INVALID", text)
        if not isinstance(value, kind):
            raise Invalid("REQUEST_INVALID", f"{name}: {value!r} is no {kind.__name__}")
    return config


def _spec_of(spec: str, content: Mapping[str, Json]) -> agent_pb2.AgentSpec:
    """Return the message of a spec. Raises Invalid for a member that is unknown or wrong."""
    given = dict(content)
    for name, prefix in (("isolation", "ISOLATION"), ("health", "AGENT_HEALTH")):
        if name in given:
            given[name] = f"{prefix}_{str(given[name]).upper()}"
    return _parsed(agent_pb2.AgentSpec(), {**given, "spec": spec}, "AGENT_SPEC_INVALID")


def _parsed(message: Parsed, given: dict[str, Json], reason: str) -> Parsed:
    try:
        return ParseDict(given, message)
    except ParseError as error:
        raise Invalid(reason, str(error)) from error
