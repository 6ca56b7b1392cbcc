"""Bodies about agents."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flowmesh.gateway.bodies.answers import Answer, Instant
from flowmesh.gateway.bodies.envelopes import Envelope

COUNT_MAX = 500
Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
Milliseconds = Annotated[int, Meta(ge=0, le=3_600_000)]
Bytes = Annotated[int, Meta(ge=0, le=2**50)]
Cpu = Annotated[float, Meta(ge=0, le=256, description="Processors, such as 0.5; 0 is unlimited.")]
IsolationWord = Literal["none", "user", "sandbox"]
HealthWord = Literal["heartbeat", "process"]
StateWord = Literal["pending", "starting", "ready", "degraded", "draining", "stopped", "failed"]
StrategyWord = Literal["fixed", "workload_based", "performance_based", "auto"]


class LimitsBody(Envelope, frozen=True, kw_only=True):
    """Upper bounds of one agent; 0 is unlimited."""

    cpu: Cpu = 0
    memory_bytes: Bytes = 0
    pids: Annotated[int, Meta(ge=0, le=2**20, description="Processes.")] = 0
    files: Annotated[int, Meta(ge=0, le=2**20, description="Open files of a process.")] = 0
    disk_bytes: Annotated[Bytes, Meta(description="Files of its folder.")] = 0


class ConnectionsBody(Envelope, frozen=True, kw_only=True):
    """The only connections of an agent beside those to the suite."""

    endpoints: Annotated[
        list[str],
        Meta(max_length=20, description="As `host:port`; the egress policy holds for them, too."),
    ] = msgspec.field(default_factory=list)


class SpecBody(Envelope, frozen=True, kw_only=True):
    """A template of agents."""

    command: Annotated[
        list[str],
        Meta(min_length=1, description="Program and arguments; `python` is that of the fleet."),
    ]
    files: Annotated[
        dict[str, str], Meta(description="Files in the folder of the agent, by relative path.")
    ] = msgspec.field(default_factory=dict)
    environment: dict[str, str] = msgspec.field(default_factory=dict)
    queues: Annotated[
        list[str], Meta(description="Queues of its tasks, for which its credential is.")
    ] = msgspec.field(default_factory=list)
    task_types: list[str] = msgspec.field(default_factory=list)
    slots: Annotated[int, Meta(ge=0, le=1_000, description="Tasks at once; 0 is 1.")] = 0
    replicas: Count = 0
    limits: LimitsBody = LimitsBody()
    isolation: IsolationWord | UnsetType = UNSET
    health: HealthWord | UnsetType = UNSET
    start_timeout_ms: Annotated[Milliseconds, Meta(description="0 is 30 s.")] = 0
    drain_timeout_ms: Annotated[Milliseconds, Meta(description="0 is 30 s.")] = 0
    secrets: Annotated[
        list[str], Meta(max_length=20, description="Secrets that its tasks may hand to it.")
    ] = msgspec.field(default_factory=list)
    connections: Annotated[
        ConnectionsBody | UnsetType,
        Meta(description="Needs the isolation `sandbox`; absent, the egress policy decides."),
    ] = UNSET


class SpawnBody(Envelope, frozen=True, kw_only=True):
    """Further agents of a spec."""

    spec: str
    count: Annotated[Count, Meta(description="0 is 1.")] = 0


class ScaleBody(Envelope, frozen=True, kw_only=True):
    """The number of agents of a spec."""

    replicas: Count


class ScheduledMinimumBody(Envelope, frozen=True, kw_only=True):
    """At least so many agents for a time from each instant of a cron expression on."""

    cron: Annotated[str, Meta(max_length=256)]
    time_zone: Annotated[str, Meta(max_length=64, description="Empty is UTC.")] = ""
    duration_ms: Annotated[int, Meta(ge=60_000, le=7 * 24 * 3_600_000)]
    min: Annotated[int, Meta(ge=1, le=COUNT_MAX)]


class PolicyBody(Envelope, frozen=True, kw_only=True):
    """A policy of one spec."""

    spec: str
    strategy: StrategyWord
    min: Count = 0
    max: Count = 0
    wait_target_ms: Annotated[Milliseconds, Meta(description="0 is 5 s.")] = 0
    utilization_percent: Annotated[int, Meta(ge=0, le=100, description="0 is 70.")] = 0
    up_cooldown_ms: Annotated[Milliseconds, Meta(description="0 is 5 s.")] = 0
    down_cooldown_ms: Annotated[Milliseconds, Meta(description="0 is 60 s.")] = 0
    window_ms: Annotated[Milliseconds, Meta(description="0 is 300 s.")] = 0
    idle_after_ms: Annotated[Milliseconds, Meta(description="0 is 60 s.")] = 0
    gauge: Annotated[
        str, Meta(max_length=64, description="Of `auto`: a gauge that agents report.")
    ] = ""
    gauge_target: Annotated[float, Meta(ge=0, description="Wanted mean of the gauge.")] = 0
    schedule: Annotated[
        list[ScheduledMinimumBody],
        Meta(max_length=10, description="Least agents at times of the day or week."),
    ] = msgspec.field(default_factory=list)


class QuotaBody(Envelope, frozen=True, kw_only=True):
    """Upper bounds of a namespace; 0 is unlimited."""

    agents: Annotated[int, Meta(ge=0, le=100_000)] = 0
    cpu: Annotated[float, Meta(ge=0, le=100_000)] = 0
    memory_bytes: Bytes = 0
    starts_per_minute: Annotated[int, Meta(ge=0, le=100_000)] = 0


class LimitsValue(Answer, kw_only=True):
    """Upper bounds of one agent; 0 is unlimited."""

    cpu: float
    memory_bytes: int
    pids: int
    files: int
    disk_bytes: int


class ConnectionsValue(Answer, kw_only=True):
    """The only connections of an agent beside those to the suite."""

    endpoints: list[str]


class SpecContent(Answer, kw_only=True):
    """A template of agents."""

    spec: str
    command: list[str]
    files: dict[str, str]
    environment: dict[str, str]
    queues: list[str]
    task_types: list[str]
    slots: int
    replicas: int
    limits: LimitsValue | UnsetType = UNSET
    isolation: IsolationWord
    health: HealthWord
    start_timeout_ms: int
    drain_timeout_ms: int
    secrets: list[str]
    connections: ConnectionsValue | UnsetType = UNSET


class SpecValue(Answer, kw_only=True):
    """A stored spec."""

    spec: SpecContent
    version: int
    stable_version: int
    wanted: int
    ready: int
    problem: str | UnsetType = UNSET
    created_at: Instant
    changed_at: Instant
    # The system that manages it.
    owner: str | UnsetType = UNSET


class SpecList(Answer, kw_only=True):
    """Specs by name."""

    specs: list[SpecValue]


class AgentValue(Answer, kw_only=True):
    """One life of an agent."""

    agent_id: str
    spec: str
    version: int
    state: StateWord
    reason: str | UnsetType = UNSET
    last_words: str | UnsetType = UNSET
    exit_code: int
    pid: int
    node: str
    cpu: float
    memory_bytes: int
    slots: int
    busy: int
    isolation: IsolationWord
    # What enforces each limit.
    enforcement: dict[str, str]
    created_at: Instant
    ready_at: Instant | UnsetType = UNSET
    ended_at: Instant | UnsetType = UNSET


class AgentList(Answer, kw_only=True):
    """Agents, the newest first."""

    agents: list[AgentValue]


class ScheduledMinimumValue(Answer, kw_only=True):
    """At least so many agents for a time from each instant of a cron expression on."""

    cron: str
    time_zone: str
    duration_ms: int
    min: int


class ScalingPolicyValue(Answer, kw_only=True):
    """A scaling policy."""

    policy: str
    spec: str
    strategy: StrategyWord
    min: int
    max: int
    wait_target_ms: int
    utilization_percent: int
    up_cooldown_ms: int
    down_cooldown_ms: int
    window_ms: int
    idle_after_ms: int
    gauge: str
    gauge_target: float
    schedule: list[ScheduledMinimumValue]


class PolicyList(Answer, kw_only=True):
    """Policies by name."""

    policies: list[ScalingPolicyValue]
    # The systems that manage policies, by policy.
    owners: dict[str, str]


class ScalingDecisionValue(Answer, kw_only=True):
    """A decision of a policy, with the bounds that held its wish."""

    spec: str
    at: Instant
    before: int
    wish: int
    count: int
    reason: str
    held: list[str]


class DecisionList(Answer, kw_only=True):
    """Decisions, the newest first."""

    decisions: list[ScalingDecisionValue]


class AgentFinding(Answer, kw_only=True):
    """A cause of fewer agents than tasks need."""

    spec: str
    cause: str
    evidence: str


class AgentFindings(Answer, kw_only=True):
    """One cause for each spec that has one."""

    findings: list[AgentFinding]


class AgentBounds(Answer, kw_only=True):
    """Bounds of a namespace, or what it uses of them."""

    agents: int
    cpu: float
    memory_bytes: int
    starts_per_minute: int


class QuotaAnswer(Answer, kw_only=True):
    """The quota of a namespace and its use."""

    quota: AgentBounds
    used: AgentBounds
