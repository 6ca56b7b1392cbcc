"""Specs of agents and scaling policies as the operator registers and deletes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from google.protobuf.json_format import ParseDict, ParseError

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.fleet.v1 import agent_pb2
from flowmesh.api.fleet.v1 import fleet_service_pb2 as pb
from flowmesh.definitions.editor.agents import WORDS
from flowmesh.definitions.editor.kubernetes import AGENT_LABEL
from flowmesh.errors import FlowmeshError, Invalid, NotFound, Overloaded, Violation, WrongState
from flowmesh.operator.kinds import Key, Object, owner_of
from flowmesh.operator.objects import condition
from flowmesh.operator.status import Outcome

if TYPE_CHECKING:
    from flowmesh.api.fleet.v1.fleet_service_pb2_grpc import FleetServiceAsyncStub

Parsed = TypeVar("Parsed", agent_pb2.AgentSpec, agent_pb2.ScalingPolicy)
OWNED_ELSEWHERE = "OWNED_ELSEWHERE"
# The reason of Ready for states of the suite that stay until someone changes something.
_REASONS: Final = {OWNED_ELSEWHERE: "OwnedElsewhere", "AGENT_ISOLATION_UNAVAILABLE": "Invalid"}
# Refusals that a review tells of, and their fields; others may pass.
_PLACES: Final = {
    "AGENT_ISOLATION_UNAVAILABLE": "isolation",
    "AGENT_QUOTA_EXCEEDED": "replicas",
    "AGENT_SPEC_NOT_FOUND": "spec",
}


class Agents:
    """Calls of the fleet as the owner of what this cluster manages."""

    def __init__(self, fleet: FleetServiceAsyncStub, *, cluster: str) -> None:
        self._fleet, self._cluster = fleet, cluster

    async def register(self, key: Key, found: Object, namespace: str) -> Outcome:
        """Store what has changed; return the state. Raises errors that may pass."""
        try:
            if key.kind == "ScalingPolicy":
                return await self._policy(key, found, namespace)
            return _state(await self._spec(key, found, namespace))
        except NotFound as error:
            return Outcome(False, "AgentSpecMissing", error.message)
        except Overloaded as error:
            return Outcome(False, "QuotaExceeded", error.message)
        except Invalid as error:
            return Outcome(False, "Invalid", error.message)
        except WrongState as error:
            if error.reason in _REASONS:
                return Outcome(False, _REASONS[error.reason], error.message)
            raise

    async def check(
        self, key: Key, found: Object, namespace: str
    ) -> Sequence[definition_pb2.Problem]:
        """Return why the fleet would refuse an object. Raises errors that may pass."""
        try:
            if key.kind == "ScalingPolicy":
                policy = policy_of(key, found)
                await self._fleet.ApplyScalingPolicy(
                    pb.ApplyScalingPolicyRequest(namespace=namespace, policy=policy, dry_run=True)
                )
            else:
                spec = spec_of(key, found)
                await self._fleet.ApplyAgentSpec(
                    pb.ApplyAgentSpecRequest(namespace=namespace, spec=spec, dry_run=True)
                )
        except (Invalid, NotFound, Overloaded, WrongState) as error:
            if not (isinstance(error, Invalid) or error.reason in _PLACES):
                raise
            return problems(key.kind, error)
        return ()

    async def unregister(self, key: Key, namespace: str) -> Outcome | None:
        """Delete a policy, or a spec with its agents; return why it stays, None once it is gone."""
        owner = owner_of(self._cluster, key)
        try:
            if key.kind == "ScalingPolicy":
                gone = pb.DeleteScalingPolicyRequest(
                    namespace=namespace, policy=key.name, owner=owner
                )
                await self._fleet.DeleteScalingPolicy(gone)
                return None
            ended = pb.DeleteAgentSpecRequest(
                namespace=namespace, spec=key.name, stop_agents=True, owner=owner
            )
            await self._fleet.DeleteAgentSpec(ended)
            await self._fleet.GetAgentSpec(
                pb.GetAgentSpecRequest(namespace=namespace, spec=key.name)
            )
        except NotFound:
            return None
        except WrongState as error:
            if error.reason == OWNED_ELSEWHERE:
                return None  # it was never this object's
            raise
        return Outcome(False, "InUse", "its agents complete their tasks")

    async def _spec(self, key: Key, found: Object, namespace: str) -> agent_pb2.AgentSpecState:
        """Return the state of a spec, which is stored if it changed, or is not of this cluster."""
        owner = owner_of(self._cluster, key)
        if _is_stored(found):
            try:
                request = pb.GetAgentSpecRequest(namespace=namespace, spec=key.name)
                state = (await self._fleet.GetAgentSpec(request)).spec
            except NotFound:
                pass
            else:
                if state.owner == owner:
                    return state
        wanted = pb.ApplyAgentSpecRequest(
            namespace=namespace, spec=spec_of(key, found), owner=owner
        )
        return (await self._fleet.ApplyAgentSpec(wanted)).spec

    async def _policy(self, key: Key, found: Object, namespace: str) -> Outcome:
        owner = owner_of(self._cluster, key)
        if _is_stored(found):
            request = pb.ListScalingPoliciesRequest(namespace=namespace)
            if (await self._fleet.ListScalingPolicies(request)).owners.get(key.name) == owner:
                return Outcome(True, "Registered")
        policy = policy_of(key, found)
        await self._fleet.ApplyScalingPolicy(
            pb.ApplyScalingPolicyRequest(namespace=namespace, policy=policy, owner=owner)
        )
        return Outcome(True, "Registered")


def _is_stored(found: Object) -> bool:
    """Return whether the suite took this generation."""
    ready = condition(found, "Ready")
    taken = ready.get("reason") in ("Registered", "Running", "Progressing", "Unready")
    return taken and ready.get("observedGeneration") == found["metadata"]["generation"]


def spec_of(key: Key, found: Object) -> agent_pb2.AgentSpec:
    """Return the spec of an AgentSpec. Raises AGENT_SPEC_INVALID for a value of no such type."""
    return _parsed(found["spec"], agent_pb2.AgentSpec(spec=key.name), "AGENT_SPEC_INVALID")


def policy_of(key: Key, found: Object) -> agent_pb2.ScalingPolicy:
    """Return the policy of a ScalingPolicy. Raises SCALING_POLICY_INVALID as `spec_of` does."""
    content = {**found["spec"], "spec": found["spec"]["agentSpec"]}
    del content["agentSpec"]
    return _parsed(content, agent_pb2.ScalingPolicy(policy=key.name), "SCALING_POLICY_INVALID")


def problems(kind: str, error: FlowmeshError) -> list[definition_pb2.Problem]:
    """Return an error of the fleet as problems with paths of the resource."""
    found = error.violations or (
        Violation(_PLACES.get(error.reason, ""), error.message, error.reason),
    )
    return [
        definition_pb2.Problem(
            path=_path(kind, each.field),
            message=each.description,
            code=each.code or error.reason,
            severity=definition_pb2.SEVERITY_ERROR,
        )
        for each in found
    ]


def _path(kind: str, field: str) -> str:
    """Return the path of a field of a message in the resource."""
    if field == ("policy" if kind == "ScalingPolicy" else "spec"):
        return "metadata.name"
    if field == "spec":
        return "agentSpec"
    first, *others = field.split("_")
    return first + "".join(each.capitalize() for each in others)


def _parsed(spec: Mapping[str, Any], message: Parsed, reason: str) -> Parsed:
    """Return a message with the members of a spec, whose enums are words."""
    named = dict(spec)
    for name in WORDS.keys() & spec.keys():
        names = WORDS[name].keys()
        prefix = names[0].removesuffix("UNSPECIFIED")
        named[name] = f"{prefix}{str(spec[name]).upper()}"
    try:
        return ParseDict(named, message)
    except ParseError as error:
        raise Invalid(reason, str(error)) from error


def _state(state: agent_pb2.AgentSpecState) -> Outcome:
    more = {
        "replicas": state.wanted,
        "readyReplicas": state.ready,
        "selector": f"{AGENT_LABEL}={state.spec.spec}",
    }
    ready = not state.problem and state.ready >= state.wanted
    reason = "Running" if ready else "Unready" if state.problem else "Progressing"
    message = state.problem or f"{state.ready} of {state.wanted} agents are ready"
    return Outcome(ready, reason, message, version=state.version, more=more)
