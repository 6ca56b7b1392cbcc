"""Calls about agents on tables in memory: causes of few agents, refusals, and answers."""

from collections.abc import Sequence
from itertools import count
from typing import Any, cast

import pytest

from flowmesh.api.execution.v1 import limits_service_pb2 as limits
from flowmesh.api.fleet.v1 import agent_pb2
from flowmesh.api.fleet.v1 import fleet_service_pb2 as pb
from flowmesh.errors import Invalid, NotFound, Overloaded, Unavailable, WrongState
from flowmesh.fleet.diagnosis import Diagnosis
from flowmesh.fleet.driving.isolation import IsolationRules
from flowmesh.fleet.fleet import Fleet
from flowmesh.fleet.limits import AGENTS_MAX
from flowmesh.fleet.running.beats import BeatLoop
from flowmesh.fleet.running.figures import Figures
from flowmesh.fleet.server import AgentServer, FleetServer
from flowmesh.fleet.storage.memory import MemoryTables
from flowmesh.fleet.storage.store import FleetStore
from tests.stubs import Stub

NAMESPACE = "labs"
FIXED = agent_pb2.SCALING_STRATEGY_FIXED
WORKLOAD = agent_pb2.SCALING_STRATEGY_WORKLOAD_BASED


class Crew:
    """A fleet without processes: its calls, its queues, and the leader that a test plays."""

    def __init__(self) -> None:
        self.store = FleetStore(MemoryTables())
        self.queues = Stub(ListQueues=limits.ListQueuesResponse())
        numbers = count()
        isolation = IsolationRules(least=agent_pb2.ISOLATION_NONE, egress="open", allowed=())
        fleet = Fleet(
            store=self.store,
            isolation=isolation,
            announce=lambda: None,
            new_id=lambda: f"agent-{next(numbers)}",
        )
        diagnosis = Diagnosis(self.store, Figures(cast("Any", self.queues)))
        self.server = FleetServer(fleet=fleet, store=self.store, diagnosis=diagnosis)
        self.beats = BeatLoop(self.store)
        self.agents = AgentServer(self.store, self.beats)

    async def call(self, method: str, **members: Any) -> Any:
        request = getattr(pb, f"{method}Request")(namespace=NAMESPACE, **members)
        return await getattr(self.server, method)(request, None)

    async def apply(self, spec: str = "packers", replicas: int = 2, **content: Any) -> Any:
        known = {"command": ["cat"], "queues": ["parcels"], **content}
        wanted = agent_pb2.AgentSpec(spec=spec, replicas=replicas, **known)
        return (await self.call("ApplyAgentSpec", spec=wanted)).spec

    async def policy(self, strategy: Any, **more: Any) -> Any:
        policy = agent_pb2.ScalingPolicy(
            policy="more", spec="packers", strategy=strategy, max=9, **more
        )
        return await self.call("ApplyScalingPolicy", policy=policy)

    async def lead(self) -> int:
        return (await self.store.lead("one"))[0]

    async def note(self, wanted: int, problem: str = "") -> None:
        """Record what the leader wants, and why there are fewer agents."""
        async with self.store.leading(await self.lead()) as steps:
            await steps.note((NAMESPACE, "packers"), wanted, problem)

    async def causes(self, spec: str = "") -> list[tuple[str, str]]:
        findings: Sequence[agent_pb2.AgentFinding] = (
            await self.call("DiagnoseAgents", spec=spec)
        ).findings
        return [(each.spec, each.cause) for each in findings]


@pytest.fixture
def crew() -> Crew:
    return Crew()


def queue(name: str, ready: int, **more: Any) -> limits.ListQueuesResponse:
    stats = limits.QueueStats(queue=name, task_type="pack", ready=ready, **more)
    return limits.ListQueuesResponse(queues=[stats])


async def test_a_fleet_that_does_not_run_is_the_first_cause(crew: Crew) -> None:
    """Nothing else is looked at."""
    await crew.apply()
    assert await crew.causes("packers") == [("packers", "NO_LEADER")]


@pytest.mark.parametrize(
    ("wanted", "problem", "queues", "cause"),
    [
        (2, "", limits.ListQueuesResponse(), []),
        (2, "CRASH_LOOP: exit code 1", limits.ListQueuesResponse(), [("packers", "CRASH_LOOP")]),
        (2, "ended with code 1", limits.ListQueuesResponse(), [("packers", "AGENTS_FAIL")]),
        (1, "", limits.ListQueuesResponse(), [("packers", "QUOTA")]),
        (2, "", queue("parcels", 5), [("packers", "NO_POLICY")]),
        (2, "", queue("parcels", 5, waiting_for_limits=5), [("packers", "WAITS_FOR_LIMITS")]),
        (2, "", queue("letters", 5), [("", "NO_SPEC")]),
        (2, "", queue("letters", 5, worker_sets=1), []),
        (2, "", Unavailable("SERVICE_UNAVAILABLE", "no engine"), []),
    ],
    ids=["none", "crash", "fails", "quota", "policy", "limits", "spec", "worker", "no engine"],
)
async def test_each_spec_has_one_cause_of_few_agents(
    crew: Crew, wanted: int, problem: str, queues: Any, cause: list[tuple[str, str]]
) -> None:
    """By what the leader has noted, and what waits in the queues."""
    await crew.apply()
    await crew.note(wanted, problem)
    crew.queues.answers["ListQueues"] = queues
    assert await crew.causes() == cause
    assert await crew.causes("packers") == [each for each in cause if each[0]]
    assert await crew.causes("other") == []


@pytest.mark.parametrize(
    ("strategy", "held", "cause"),
    [
        (FIXED, [], "FIXED"),
        (WORKLOAD, [], ""),
        (WORKLOAD, ["MIN", "QUOTA"], "QUOTA"),
        (WORKLOAD, ["TOLERANCE"], ""),
    ],
)
async def test_a_policy_is_a_cause_by_what_holds_its_wish(
    crew: Crew, strategy: Any, held: list[str], cause: str
) -> None:
    """A lower bound and a tolerance hold nothing back."""
    await crew.apply()
    await crew.policy(strategy)
    await crew.note(2)
    decision = agent_pb2.ScalingDecision(
        spec="packers", at_us=1, before=2, wish=5, count=2, held=held, reason="load"
    )
    async with crew.store.leading(await crew.lead()) as steps:
        await steps.decided(NAMESPACE, decision)
    crew.queues.answers["ListQueues"] = queue("parcels", 5)
    assert await crew.causes() == ([("packers", cause)] if cause else [])
    (found,) = (await crew.call("ListScalingDecisions", spec="packers")).decisions
    assert (found.wish, list(found.held)) == (5, held)


async def test_agents_are_added_stopped_and_replaced(crew: Crew) -> None:
    """A stopped one leaves its spec with one agent less, a restarted one does not."""
    await crew.apply(replicas=1)
    added = (await crew.call("SpawnAgents", spec="packers", count=2)).agents
    first, second = (each.agent_id for each in added)
    assert [each.state for each in added] == [agent_pb2.AGENT_STATE_PENDING] * 2
    assert (await crew.call("GetAgentSpec", spec="packers")).spec.spec.replicas == 3
    stopped = (await crew.call("StopAgent", agent_id=first)).agent
    assert (stopped.state, stopped.reason) == (agent_pb2.AGENT_STATE_DRAINING, "STOPPED")
    again = (await crew.call("StopAgent", agent_id=first)).agent
    assert again.reason == "STOPPED"
    restarted = (await crew.call("RestartAgent", agent_id=second)).agent
    assert restarted.reason == "RESTARTED"
    assert (await crew.call("GetAgentSpec", spec="packers")).spec.spec.replicas == 2
    assert (await crew.call("GetAgent", agent_id=second)).agent.agent_id == second
    assert len((await crew.call("ListAgents", spec="packers")).agents) == 2


@pytest.mark.parametrize(
    ("method", "members", "error", "said"),
    [
        ("SpawnAgents", {"spec": "packers", "count": AGENTS_MAX + 1}, Invalid, "count: "),
        ("SpawnAgents", {"spec": "other"}, NotFound, "no spec 'other'"),
        ("ScaleAgents", {"spec": "packers", "replicas": AGENTS_MAX + 1}, Invalid, "is not 0 to"),
        ("ScaleAgents", {"spec": "packers", "replicas": 6}, Overloaded, "leaves 5 agents"),
        ("GetAgent", {"agent_id": "agent-9"}, NotFound, "no agent 'agent-9'"),
        ("StopAgent", {"agent_id": "agent-9"}, NotFound, "no agent 'agent-9'"),
        ("GetAgentSpec", {"spec": "other"}, NotFound, "no spec 'other'"),
        ("DeleteAgentSpec", {"spec": "packers"}, WrongState, "has 2 agents; scale it to 0"),
        ("DeleteScalingPolicy", {"policy": "other"}, NotFound, "no policy 'other'"),
    ],
)
async def test_a_wrong_call_says_what_would_be_right(
    crew: Crew, method: str, members: dict[str, Any], error: type[Exception], said: str
) -> None:
    """And changes nothing."""
    await crew.call("SetAgentQuota", quota=agent_pb2.AgentQuota(agents=5))
    await crew.apply()
    with pytest.raises(error, match=said):
        await crew.call(method, **members)
    assert (await crew.call("GetAgentSpec", spec="packers")).spec.spec.replicas == 2


async def test_the_quota_of_a_namespace_counts_its_wanted_agents(crew: Crew) -> None:
    """And is checked for a dry run, too."""
    await crew.call("SetAgentQuota", quota=agent_pb2.AgentQuota(agents=5))
    await crew.apply()
    await crew.note(2)
    found = await crew.call("GetAgentQuota")
    assert (found.quota.agents, found.used.agents) == (5, 2)
    wanted = agent_pb2.AgentSpec(spec="more", command=["cat"], replicas=4)
    with pytest.raises(Overloaded, match="leaves 3 agents to more"):
        await crew.call("ApplyAgentSpec", spec=wanted, dry_run=True)
    wanted.replicas = 3
    answer = await crew.call("ApplyAgentSpec", spec=wanted, dry_run=True)
    assert answer.spec.spec.health == agent_pb2.AGENT_HEALTH_HEARTBEAT
    assert [each.spec.spec for each in (await crew.call("ListAgentSpecs")).specs] == ["packers"]


async def test_a_policy_decides_alone_about_the_count(crew: Crew) -> None:
    """Unless it is fixed; a spec has one, and a policy one spec."""
    await crew.apply()
    await crew.policy(WORKLOAD)
    assert (await crew.policy(WORKLOAD)).policy.wait_target_ms == 5_000
    with pytest.raises(WrongState, match="a policy decides the count of packers"):
        await crew.call("ScaleAgents", spec="packers", replicas=1)
    listed = await crew.call("ListScalingPolicies")
    assert [each.policy for each in listed.policies] == ["more"]
    second = agent_pb2.ScalingPolicy(policy="second", spec="packers", strategy=FIXED, max=9)
    for dry_run in (True, False):
        with pytest.raises(Invalid, match="packers has the policy more already"):
            await crew.call("ApplyScalingPolicy", policy=second, dry_run=dry_run)
    await crew.apply("others")
    moved = agent_pb2.ScalingPolicy(policy="more", spec="others", strategy=FIXED, max=9)
    with pytest.raises(Invalid, match="the policy more is of packers"):
        await crew.call("ApplyScalingPolicy", policy=moved)
    missing = agent_pb2.ScalingPolicy(policy="none", spec="none", strategy=FIXED, max=9)
    with pytest.raises(NotFound, match="no spec 'none'"):
        await crew.call("ApplyScalingPolicy", policy=missing)
    await crew.policy(FIXED)
    await crew.call("ScaleAgents", spec="packers", replicas=1)
    await crew.call("DeleteScalingPolicy", policy="more")
    assert not (await crew.call("ListScalingPolicies")).policies


async def test_a_spec_that_is_being_deleted_is_not_stored_again(crew: Crew) -> None:
    """Before its agents have ended."""
    await crew.apply()
    await crew.call("DeleteAgentSpec", spec="packers", stop_agents=True)
    with pytest.raises(WrongState, match="packers is being deleted"):
        await crew.apply()


async def test_an_agent_that_attends_is_recorded_once_a_second(crew: Crew) -> None:
    """With its figures; it learns that it is to end, and one that is unknown is refused."""
    await crew.apply()
    (added,) = (await crew.call("SpawnAgents", spec="packers")).agents

    async def attend() -> bool:
        request = pb.AttendRequest(
            namespace=NAMESPACE, agent_id=added.agent_id, slots=4, busy=3, gauges={"depth": 2.5}
        )
        return bool((await crew.agents.Attend(request, None)).drain)

    assert not await attend()
    assert not await attend()
    assert (await crew.beats.run_once(), await crew.beats.run_once()) == (1, 0)
    found = await crew.store.agent(NAMESPACE, added.agent_id)
    assert found is not None
    assert (found.slots, found.busy, found.gauges) == (4, 3, {"depth": 2.5})
    await crew.call("StopAgent", agent_id=added.agent_id)
    assert await attend()
    with pytest.raises(NotFound):
        await crew.agents.Attend(pb.AttendRequest(namespace=NAMESPACE, agent_id="none"), None)
