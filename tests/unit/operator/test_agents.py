"""AgentSpecs and ScalingPolicies of a cluster in the fleet: stored, read, deleted, checked."""

from typing import Any, cast

import pytest

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.api.fleet.v1 import agent_pb2
from flowmesh.api.fleet.v1 import fleet_service_pb2 as pb
from flowmesh.errors import (
    FlowmeshError,
    Invalid,
    NotFound,
    Overloaded,
    Unavailable,
    Violation,
    WrongState,
)
from flowmesh.operator.agents import Agents, policy_of, spec_of
from tests.stubs import Stub
from tests.unit.operator.made import key, made, ready

OWNER = "kubernetes/c1/shop"
SPEC = made("AgentSpec", "packer", {"command": ["python", "x.py"], "isolation": "sandbox"})
POLICY = made(
    "ScalingPolicy", "more", {"agentSpec": "packer", "strategy": "performance_based", "max": 5}
)
ELSEWHERE = WrongState("OWNED_ELSEWHERE", "git has it")
GONE = NotFound("AGENT_SPEC_NOT_FOUND", "no packer")
AWAY = Unavailable("SERVICE_UNAVAILABLE", "away")


def state(owner: str = OWNER, **more: Any) -> agent_pb2.AgentSpecState:
    return agent_pb2.AgentSpecState(
        spec=agent_pb2.AgentSpec(spec="packer"), version=2, owner=owner, **more
    )


def agents(**answers: Any) -> tuple[Agents, Stub]:
    stub = Stub(**answers)
    return Agents(cast("Any", stub), cluster="c1"), stub


@pytest.mark.parametrize(
    ("more", "is_ready", "reason", "message"),
    [
        ({"wanted": 2, "ready": 2}, True, "Running", "2 of 2 agents are ready"),
        ({"wanted": 2, "ready": 1}, False, "Progressing", "1 of 2 agents are ready"),
        ({"wanted": 2, "problem": "it crashes"}, False, "Unready", "it crashes"),
    ],
)
async def test_a_spec_has_the_state_of_its_agents(
    more: dict[str, Any], is_ready: bool, reason: str, message: str
) -> None:
    """With the counts and the selector that an autoscaler reads."""
    calls, stub = agents(ApplyAgentSpec=pb.ApplyAgentSpecResponse(spec=state(**more)))
    outcome = await calls.register(key(SPEC), SPEC, "labs")
    assert (outcome.ready, outcome.reason, outcome.message) == (is_ready, reason, message)
    assert outcome.version == 2
    assert outcome.more == {
        "replicas": 2,
        "readyReplicas": more.get("ready", 0),
        "selector": "workflow.io/agent-spec=packer",
    }
    request = stub.last("ApplyAgentSpec")
    assert (request.namespace, request.owner, request.spec.spec) == ("labs", OWNER, "packer")
    assert request.spec.isolation == agent_pb2.ISOLATION_SANDBOX


@pytest.mark.parametrize(
    ("answer", "methods"),
    [
        (pb.GetAgentSpecResponse(spec=state()), ["GetAgentSpec"]),
        (pb.GetAgentSpecResponse(spec=state("git")), ["GetAgentSpec", "ApplyAgentSpec"]),
        (GONE, ["GetAgentSpec", "ApplyAgentSpec"]),
    ],
    ids=["stored", "of another", "gone"],
)
async def test_a_stored_spec_is_only_read(answer: Any, methods: list[str]) -> None:
    """Unless it is not that of this cluster any more."""
    calls, stub = agents(
        GetAgentSpec=answer, ApplyAgentSpec=pb.ApplyAgentSpecResponse(spec=state())
    )
    found = ready(SPEC, "Running")
    assert (await calls.register(key(found), found, "labs")).ready
    assert stub.methods == methods


@pytest.mark.parametrize(
    ("owner", "methods"),
    [(OWNER, ["ListScalingPolicies"]), ("git", ["ListScalingPolicies", "ApplyScalingPolicy"])],
)
async def test_a_stored_policy_is_only_read(owner: str, methods: list[str]) -> None:
    """A new one is stored as its owner."""
    listed = pb.ListScalingPoliciesResponse(owners={"more": owner})
    answers = {
        "ListScalingPolicies": listed,
        "ApplyScalingPolicy": pb.ApplyScalingPolicyResponse(),
    }
    calls, stub = agents(**answers)
    found = ready(POLICY, "Registered")
    assert (await calls.register(key(found), found, "labs")).reason == "Registered"
    assert stub.methods == methods
    calls, stub = agents(**answers)
    await calls.register(key(POLICY), POLICY, "labs")
    request = stub.last("ApplyScalingPolicy")
    assert (request.owner, request.policy.policy, request.policy.spec) == (OWNER, "more", "packer")
    assert request.policy.strategy == agent_pb2.SCALING_STRATEGY_PERFORMANCE_BASED


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (GONE, "AgentSpecMissing"),
        (Overloaded("AGENT_QUOTA_EXCEEDED", "10 at most"), "QuotaExceeded"),
        (Invalid("AGENT_SPEC_INVALID", "wrong"), "Invalid"),
        (ELSEWHERE, "OwnedElsewhere"),
        (WrongState("AGENT_ISOLATION_UNAVAILABLE", "no walls"), "Invalid"),
        (WrongState("AGENT_SPEC_ENDING", "it ends"), None),
        (AWAY, None),
    ],
    ids=lambda each: getattr(each, "reason", each),
)
async def test_a_refusal_is_an_outcome_or_may_pass(
    error: FlowmeshError, reason: str | None
) -> None:
    """What stays until someone changes something has a reason of its own."""
    calls, _ = agents(ApplyAgentSpec=error)
    if reason is None:
        with pytest.raises(type(error)):
            await calls.register(key(SPEC), SPEC, "labs")
        return
    outcome = await calls.register(key(SPEC), SPEC, "labs")
    assert (outcome.ready, outcome.reason, outcome.message) == (False, reason, error.message)


def found_at(problem: definition_pb2.Problem) -> tuple[str, str]:
    return problem.path, problem.code


@pytest.mark.parametrize(
    ("found", "error", "path"),
    [
        (SPEC, Overloaded("AGENT_QUOTA_EXCEEDED", "10 at most"), "replicas"),
        (SPEC, WrongState("AGENT_ISOLATION_UNAVAILABLE", "no walls"), "isolation"),
        (POLICY, NotFound("AGENT_SPEC_NOT_FOUND", "no packer"), "agentSpec"),
        (
            SPEC,
            Invalid("X", "x", violations=(Violation("start_timeout_ms", "too long", "X"),)),
            "startTimeoutMs",
        ),
        (
            SPEC,
            Invalid("X", "x", violations=(Violation("spec", "a bad name", "X"),)),
            "metadata.name",
        ),
        (
            POLICY,
            Invalid("X", "x", violations=(Violation("policy", "a bad name"),)),
            "metadata.name",
        ),
    ],
    ids=["quota", "isolation", "spec", "field", "name", "name of a policy"],
)
async def test_a_check_names_the_field_of_the_resource(
    found: Any, error: FlowmeshError, path: str
) -> None:
    """Of the message it has other names."""
    calls, stub = agents(ApplyAgentSpec=error, ApplyScalingPolicy=error)
    (problem,) = await calls.check(key(found), found, "labs")
    assert found_at(problem) == (path, error.reason)
    assert stub.calls[-1][1].dry_run


async def test_a_check_without_findings_stores_nothing() -> None:
    """And one that cannot be answered raises."""
    calls, stub = agents(ApplyAgentSpec=pb.ApplyAgentSpecResponse())
    assert await calls.check(key(SPEC), SPEC, "labs") == ()
    assert stub.last("ApplyAgentSpec").dry_run
    for error in (AWAY, ELSEWHERE, Overloaded("OVERLOADED", "busy")):
        stub.answers["ApplyAgentSpec"] = error
        with pytest.raises(type(error)):
            await calls.check(key(SPEC), SPEC, "labs")


@pytest.mark.parametrize(
    ("answers", "kept"),
    [
        ({"GetAgentSpec": GONE}, ""),
        ({"DeleteAgentSpec": GONE}, ""),
        ({"DeleteAgentSpec": ELSEWHERE}, ""),
        ({}, "its agents complete their tasks"),
    ],
    ids=["ended", "never there", "of another", "draining"],
)
async def test_a_deleted_spec_stays_until_its_agents_have_ended(
    answers: dict[str, Any], kept: str
) -> None:
    """They complete their tasks."""
    known = {
        "DeleteAgentSpec": pb.DeleteAgentSpecResponse(),
        "GetAgentSpec": pb.GetAgentSpecResponse(spec=state()),
    }
    calls, stub = agents(**(known | answers))
    outcome = await calls.unregister(key(SPEC), "labs")
    assert (outcome.message if outcome else "") == kept
    request = stub.last("DeleteAgentSpec")
    assert (request.owner, request.stop_agents) == (OWNER, True)


async def test_a_deleted_policy_is_gone_at_once() -> None:
    """As its owner; an error that may pass is raised."""
    calls, stub = agents(DeleteScalingPolicy=pb.DeleteScalingPolicyResponse())
    assert await calls.unregister(key(POLICY), "labs") is None
    request = stub.last("DeleteScalingPolicy")
    assert (request.policy, request.owner) == ("more", OWNER)
    stub.answers["DeleteScalingPolicy"] = WrongState("AGENT_SPEC_ENDING", "it ends")
    with pytest.raises(WrongState):
        await calls.unregister(key(POLICY), "labs")


def test_a_value_of_another_type_is_refused() -> None:
    """Where the API server has no schema yet."""
    with pytest.raises(Invalid, match="replicas"):
        spec_of(key(SPEC), {**SPEC, "spec": {"command": ["x"], "replicas": "many"}})
    with pytest.raises(Invalid, match="SCALING_POLICY_INVALID"):
        policy_of(key(POLICY), {**POLICY, "spec": {"agentSpec": "packer", "strategy": "moon"}})
