"""`agent policy …`, `agent decisions`, `agent diagnose`, `agent quota`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter

from flowmesh.api.fleet.v1 import agent_pb2
from flowmesh.api.fleet.v1 import fleet_service_pb2 as pb
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.agents.common import OfSpec, SpecName, put_number, strategy_of, stub_of
from flowmesh.cli.arguments import Flag
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.refusals import Refused
from flowmesh.contract.durations import duration_ms

Strategy = Literal["fixed", "workload_based", "performance_based", "auto"]
PolicyName = Annotated[str, Parameter(help="Name of the policy.")]
MIB = 1024 * 1024


@Parameter(name="*")
@dataclass(frozen=True)
class Bounds:
    """Bounds of a policy; 0 is the default."""

    wait_target_ms: Annotated[int, Parameter(help="Longest wait of a task; 5,000.")] = 0
    utilization_percent: Annotated[int, Parameter(help="Wanted use of the limits; 70.")] = 0
    up_cooldown_ms: Annotated[int, Parameter(help="Pause after a step up; 5,000.")] = 0
    down_cooldown_ms: Annotated[int, Parameter(help="Pause before a step down; 60,000.")] = 0
    window_ms: Annotated[int, Parameter(help="Time whose highest wish holds; 300,000.")] = 0
    idle_after_ms: Annotated[int, Parameter(help="Idle time before none is left; 60,000.")] = 0
    gauge_target: Annotated[float, Parameter(help="Wanted mean of the gauge.")] = 0


BOUNDS = Bounds()


def _scheduled(text: str) -> agent_pb2.ScheduledMinimum:
    """Return a part of a schedule. Raises Refused for another form."""
    cron, time, least, zone = ([each.strip() for each in text.split(";")] + ["", "", ""])[:4]
    milliseconds = duration_ms(time)
    if text.count(";") not in (2, 3) or not milliseconds or not least.isdecimal():
        form = "CRON;TIME;AGENTS or CRON;TIME;AGENTS;ZONE, such as '0 8 * * 1-5;10h;5'"
        raise Refused(f"--schedule {text!r} is not {form}", code=exit_codes.USAGE)
    found = agent_pb2.ScheduledMinimum(cron=cron, time_zone=zone)
    put_number(found, "duration_ms", "--schedule", milliseconds)
    put_number(found, "min", "--schedule", int(least))
    return found


@command
async def set_policy(
    policy: PolicyName,
    spec: SpecName,
    strategy: Strategy,
    /,
    *,
    least: int = 0,
    most: int,
    bounds: Bounds = BOUNDS,
    gauge: str = "",
    schedule: Annotated[list[str] | None, Parameter(negative="")] = None,
    take_over: Flag = False,
    common: Common = COMMON,
) -> None:
    """Store a policy, which decides the number of agents of a spec.

    Args:
        strategy: fixed: the replicas of the spec; workload_based: arrivals and waiting tasks;
            performance_based: processors and memory; auto: the highest wish of both and of the
            gauge.
        least: Least agents; with 0, none is left when nothing is to do.
        most: Most agents.
        gauge: Figure that the agents report; only with auto.
        schedule: Least agents for a time: CRON;TIME;AGENTS, or CRON;TIME;AGENTS;ZONE.
        take_over: Take the policy from the system that manages it, such as a cluster.
    """
    content = agent_pb2.ScalingPolicy(
        policy=policy,
        spec=spec,
        strategy=agent_pb2.ScalingStrategy.Value(f"SCALING_STRATEGY_{strategy.upper()}"),
        gauge=gauge,
        schedule=map(_scheduled, schedule or ()),
    )
    if least > most:
        raise Refused(f"--least {least} is above --most {most}", code=exit_codes.USAGE)
    put_number(content, "min", "--least", least)
    put_number(content, "max", "--most", most)
    for name, value in vars(bounds).items():
        put_number(content, name, f"--{name.replace('_', '-')}", value)
    async with connected(common) as client:
        request = pb.ApplyScalingPolicyRequest(
            namespace=client.namespace, policy=content, take_over=take_over
        )
        found = (await client.caller.call(stub_of(client).ApplyScalingPolicy, request)).policy
    text = f"{policy}: {spec} has {found.min} to {found.max} agents, {strategy}"
    output.result(document_of(found), text)


@command
async def list_policies(*, common: Common = COMMON) -> None:
    """List the scaling policies."""
    async with connected(common) as client:
        request = pb.ListScalingPoliciesRequest(namespace=client.namespace)
        found = (await client.caller.call(stub_of(client).ListScalingPolicies, request)).policies
    output.table(
        found,
        document_of,
        "POLICY SPEC STRATEGY MIN MAX",
        none="There are no scaling policies.",
        STRATEGY=strategy_of,
        MIN=lambda each: str(each.min),
        MAX=lambda each: str(each.max),
    )


@command
async def delete_policy(policy: PolicyName, /, *, common: Common = COMMON) -> None:
    """Delete a scaling policy; its spec keeps its agents."""
    async with connected(common) as client:
        request = pb.DeleteScalingPolicyRequest(namespace=client.namespace, policy=policy)
        await client.caller.call(stub_of(client).DeleteScalingPolicy, request)
    output.result({"policy": policy, "deleted": True}, f"{policy} is deleted")


@command
async def decisions(spec: OfSpec = "", /, *, common: Common = COMMON) -> None:
    """List the decisions of policies, with what held them, the newest first."""
    async with connected(common) as client:
        request = pb.ListScalingDecisionsRequest(namespace=client.namespace, spec=spec)
        found = (await client.caller.call(stub_of(client).ListScalingDecisions, request)).decisions
    output.table(
        found,
        document_of,
        "AGE=at_us SPEC BEFORE WISH COUNT HELD REASON",
        none="No policy has decided anything.",
        BEFORE=lambda each: str(each.before),
        WISH=lambda each: str(each.wish),
        COUNT=lambda each: str(each.count),
        HELD=lambda each: ", ".join(each.held) or "-",
    )


@command
async def diagnose(spec: OfSpec = "", /, *, common: Common = COMMON) -> None:
    """Explain why there are fewer agents than tasks need."""
    async with connected(common) as client:
        request = pb.DiagnoseAgentsRequest(namespace=client.namespace, spec=spec)
        found = (await client.caller.call(stub_of(client).DiagnoseAgents, request)).findings
    output.table(
        found,
        document_of,
        "SPEC CAUSE EVIDENCE",
        none="Nothing holds the agents.",
        SPEC=lambda each: each.spec or "-",
    )


@command
async def quota(*, common: Common = COMMON) -> None:
    """Show the quota of agents of the namespace, and its use."""
    async with connected(common) as client:
        request = pb.GetAgentQuotaRequest(namespace=client.namespace)
        found = await client.caller.call(stub_of(client).GetAgentQuota, request)
    if common.structured:
        output.document({name: document_of(getattr(found, name)) for name in ("quota", "used")})
        return
    rows = []
    for name in ("agents", "cpu", "memory_bytes", "starts_per_minute"):
        most = getattr(found.quota, name)
        used = "-" if name == "starts_per_minute" else f"{getattr(found.used, name):,}"
        rows.append((name.replace("_", " "), used, f"{most:,}" if most else "unlimited"))
    output.columns(("", "USED", "QUOTA"), rows)


@command
async def set_quota(
    *,
    agents: int = 0,
    cpu: float = 0.0,
    memory_mib: int = 0,
    starts_per_minute: int = 0,
    common: Common = COMMON,
) -> None:
    """Set the quota of agents of the namespace; 0 is unlimited.

    Args:
        agents: Most agents.
        cpu: Processors of all agents.
        memory_mib: Memory of all agents in MiB.
        starts_per_minute: Starts of agents a minute.
    """
    wanted = agent_pb2.AgentQuota()
    put_number(wanted, "agents", "--agents", agents)
    put_number(wanted, "cpu", "--cpu", cpu)
    put_number(wanted, "memory_bytes", "--memory-mib", memory_mib, MIB)
    put_number(wanted, "starts_per_minute", "--starts-per-minute", starts_per_minute)
    async with connected(common) as client:
        request = pb.SetAgentQuotaRequest(namespace=client.namespace, quota=wanted)
        found = (await client.caller.call(stub_of(client).SetAgentQuota, request)).quota
    output.result(document_of(found), f"{client.namespace}: the quota holds")
