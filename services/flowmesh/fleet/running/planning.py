"""The steps that bring the agents of a spec in line with it, without input or output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.fleet import limits
from flowmesh.fleet.driving.driver import Observed
from flowmesh.fleet.storage.records import AgentRow, SpecRow

LOST = "LOST"


@dataclass(frozen=True, slots=True)
class End:
    """The end of an agent."""

    agent: AgentRow
    state: pb.AgentState.ValueType
    reason: str
    code: int = 0
    words: str = ""

    def row(self, at_us: int) -> AgentRow:
        """Return the agent as it is once its end is stored."""
        return replace(
            self.agent,
            state=self.state,
            reason=self.reason,
            exit_code=self.code,
            last_words=self.words,
            ended_at_us=at_us,
        )


@dataclass(slots=True)
class Lives:
    """Changes of agents that follow from what is seen of them."""

    ends: list[End] = field(default_factory=list)
    ready: list[AgentRow] = field(default_factory=list)
    degraded: list[AgentRow] = field(default_factory=list)
    kills: list[tuple[AgentRow, str]] = field(default_factory=list)
    present: list[AgentRow] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Changes of the agents of one spec."""

    starts: int = 0
    drains: Sequence[tuple[AgentRow, str]] = ()
    problem: str = ""
    settled: bool = False
    # Cause for which the version before comes back.
    returned: str = ""


def lives_of(
    spec: SpecRow | None,
    agents: Sequence[AgentRow],
    seen: Mapping[str, Observed],
    now_us: int,
) -> Lives:
    """Return the changes of agents that have not ended."""
    found = Lives()
    for agent in agents:
        process = seen.get(agent.id)
        if process is None:
            if agent.state != pb.AGENT_STATE_PENDING:
                found.ends.append(End(agent, pb.AGENT_STATE_FAILED, f"{LOST}: its process is gone"))
                continue
        elif process.code is not None:
            found.ends.append(_end(agent, process))
            continue
        found.present.append(agent)
        running = process is not None and process.running
        _health(found, spec, agent, now_us, running=running)
    return found


def _end(agent: AgentRow, process: Observed) -> End:
    code, words = process.code or 0, process.words[-limits.LAST_WORDS_BYTES :]
    if agent.state == pb.AGENT_STATE_DRAINING:
        return End(agent, pb.AGENT_STATE_STOPPED, process.killed or agent.reason, code, words)
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return End(agent, pb.AGENT_STATE_FAILED, process.killed or f"ended with {how}", code, words)


def _health(
    found: Lives,
    spec: SpecRow | None,
    agent: AgentRow,
    now_us: int,
    *,
    running: bool,
) -> None:
    """Judge an agent by its heartbeats."""
    content = spec.content if spec else pb.AgentSpec()
    attends = content.health != pb.AGENT_HEALTH_PROCESS
    silent_ms = (now_us - agent.beat_at_us) // 1_000 if agent.beat_at_us else 0
    if agent.state == pb.AGENT_STATE_STARTING:
        started_ms = (now_us - agent.created_at_us) // 1_000
        if agent.beat_at_us or (running and not attends):
            found.ready.append(agent)
        elif started_ms > (content.start_timeout_ms or limits.START_TIMEOUT_MS):
            found.kills.append(
                (agent, f"START_TIMEOUT: not ready within {started_ms / 1_000:.0f} s")
            )
    elif agent.state == pb.AGENT_STATE_DRAINING:
        drained_ms = (now_us - agent.drain_at_us) // 1_000
        if drained_ms > (content.drain_timeout_ms or limits.DRAIN_TIMEOUT_MS):
            found.kills.append(
                (agent, f"DRAIN_TIMEOUT: still ran after {drained_ms / 1_000:.0f} s")
            )
    elif agent.state in (pb.AGENT_STATE_READY, pb.AGENT_STATE_DEGRADED):
        if silent_ms > limits.SILENT_MS:
            found.kills.append((agent, f"HEARTBEAT_LOST: silent for {silent_ms / 1_000:.0f} s"))
        elif silent_ms > limits.DEGRADED_MS:
            found.degraded.append(agent)
        elif agent.state == pb.AGENT_STATE_DEGRADED:
            found.ready.append(agent)


def steps_of(
    spec: SpecRow, alive: Sequence[AgentRow], ended: Sequence[AgentRow], wanted: int, now_us: int
) -> Steps:
    """Return the changes of a spec that wants so many agents."""
    new = [each for each in alive if each.version == spec.version]
    old = [each for each in alive if each.version != spec.version]
    crashes = _crashes(spec, ended)
    unproven = spec.stable_version not in (0, spec.version)
    if unproven and len(crashes) >= limits.UPDATE_FAILURES_MAX and not _settled(new, wanted):
        text = f"UPDATE_WENT_BACK: version {spec.version}: {_how(crashes[-1])}"
        return Steps(returned=text)
    starts, drains = _rolled(new, old, wanted) if old else _counted(new, wanted)
    problem = ""
    if crashes and not _settled(new, wanted):
        left_ms = (_restart_at_us(ended, crashes) - now_us) // 1_000
        if len(crashes) >= limits.CRASHES_MAX:
            problem = f"CRASH_LOOP: {len(crashes)} ends in 10 minutes; {_how(crashes[-1])}"
            starts = min(starts, 1)
        else:
            problem = _how(crashes[-1])
        if left_ms > 0:
            starts = 0
    elif ended and (_restart_at_us(ended, crashes) > now_us):
        starts = 0 if ended[-1].state == pb.AGENT_STATE_FAILED else starts
    if not problem and spec.problem.startswith("UPDATE_WENT_BACK"):
        # Until the next version: who looks later has to see it, too.
        problem = spec.problem
    settled = bool(wanted) and not old and _settled(new, wanted)
    return Steps(
        starts=starts,
        drains=drains,
        problem=problem,
        settled=settled and spec.stable_version != spec.version,
    )


def victims(agents: Sequence[AgentRow], count: int) -> list[AgentRow]:
    """Return agents to drain: those that are not ready, then the least busy, then the youngest.

    The oldest of `agents` is the first.
    """

    def cost(agent: AgentRow) -> tuple[bool, int]:
        return agent.state == pb.AGENT_STATE_READY, agent.busy

    youngest_first = agents[::-1]
    return sorted(youngest_first, key=cost)[:count]


def _counted(new: Sequence[AgentRow], wanted: int) -> tuple[int, list[tuple[AgentRow, str]]]:
    surplus = victims(new, max(len(new) - wanted, 0))
    return max(wanted - len(new), 0), [(each, "SCALED_DOWN") for each in surplus]


def _rolled(
    new: Sequence[AgentRow], old: Sequence[AgentRow], wanted: int
) -> tuple[int, list[tuple[AgentRow, str]]]:
    """Replace agents of a former version: one new, and once it is ready, one old drained."""
    starting = sum(each.state != pb.AGENT_STATE_READY for each in new)
    total = len(new) + len(old)
    starts = max(wanted - total, 0)
    if not starts and not starting and total == wanted and len(new) < wanted:
        starts = 1
    surplus = total - wanted - min(starting, 1)
    drained = victims(old, max(surplus, 0))
    more = victims(new, max(surplus - len(drained), 0))
    return starts, [
        *((each, "UPDATED") for each in drained),
        *((each, "SCALED_DOWN") for each in more),
    ]


def _settled(new: Sequence[AgentRow], wanted: int) -> bool:
    ready = sum(each.state == pb.AGENT_STATE_READY for each in new)
    return ready >= wanted and len(new) == wanted


def _crashes(spec: SpecRow, ended: Sequence[AgentRow]) -> list[AgentRow]:
    """Return the ends of short lives, by time; an agent that the fleet lost has not crashed."""
    return [
        each
        for each in ended
        if each.state == pb.AGENT_STATE_FAILED
        and each.version == spec.version
        and each.ended_at_us > spec.changed_at_us
        and not each.reason.startswith(LOST)
        and (not each.ready_at_us or each.ended_at_us - each.ready_at_us < limits.STEADY_MS * 1_000)
    ]


def _restart_at_us(ended: Sequence[AgentRow], crashes: Sequence[AgentRow]) -> int:
    """Return the time of the next start."""
    pause_ms: int = limits.RESTART_MS * 2 ** max(len(crashes) - 1, 0)
    if len(crashes) >= limits.CRASHES_MAX:
        pause_ms = limits.RESTART_MS_MAX
    last = crashes[-1] if crashes else ended[-1]
    return last.ended_at_us + min(pause_ms, limits.RESTART_MS_MAX) * 1_000


def _how(agent: AgentRow) -> str:
    """Return how an agent ended, with the last line of its output."""
    lines = agent.last_words.strip().splitlines()
    return f"{agent.reason}: {lines[-1][:300]}" if lines else agent.reason
