"""Checks of specs and policies."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.errors import Invalid, Overloaded
from flowmesh.fleet import limits
from flowmesh.fleet.checks import check_gauges, check_policy, check_spec
from flowmesh.fleet.driving.isolation import IsolationRules
from flowmesh.fleet.fleet import Fleet

CASES: dict[str, Callable[[pb.AgentSpec], Any]] = {
    "replicas": lambda spec: setattr(spec, "replicas", limits.AGENTS_MAX + 1),
    "command": lambda spec: spec.command.extend(["a"] * limits.WORDS_MAX),
    "command ": lambda spec: spec.command.append("a" * limits.COMMAND_CHARACTERS_MAX),
    "files": lambda spec: spec.files.update({f"f{n}": "" for n in range(limits.FILES_MAX + 1)}),
    "files ": lambda spec: spec.files.update({"a": "a" * (limits.FILE_BYTES_MAX + 1)}),
    "environment": lambda spec: spec.environment.update(
        {f"V{n}": "" for n in range(limits.VARIABLES_MAX + 1)}
    ),
    "environment ": lambda spec: spec.environment.update(
        {"V": "a" * (limits.VARIABLE_BYTES_MAX + 1)}
    ),
    "queues": lambda spec: spec.queues.extend(f"q{n}" for n in range(limits.QUEUES_MAX + 1)),
    "task_types": lambda spec: spec.task_types.extend(["a", "a"]),
    "secrets": lambda spec: spec.secrets.extend(f"s{n}" for n in range(limits.SECRETS_MAX + 1)),
    "secrets ": lambda spec: spec.secrets.append("a b"),
    "connections.endpoints": lambda spec: spec.connections.endpoints.extend(
        f"h:{n + 1}" for n in range(limits.ENDPOINTS_MAX + 1)
    ),
    "connections.endpoints ": lambda spec: spec.connections.endpoints.append("h:65536"),
    "slots": lambda spec: setattr(spec, "slots", limits.SLOTS_MAX + 1),
    "start_timeout_ms": lambda spec: setattr(spec, "start_timeout_ms", limits.TIMEOUT_MS_MAX + 1),
    "limits.cpu": lambda spec: setattr(spec.limits, "cpu", limits.CPU_MAX + 1),
    "limits.cpu ": lambda spec: setattr(spec.limits, "cpu", -1),
    "limits.memory_bytes": lambda spec: setattr(spec.limits, "memory_bytes", 1),
    "spec": lambda spec: setattr(spec, "spec", "a" * (limits.NAME_CHARACTERS_MAX + 1)),
}


def spec() -> pb.AgentSpec:
    return pb.AgentSpec(spec="packers", command=["python", "worker.py"], replicas=2)


@pytest.mark.parametrize("field", CASES)
def test_bounds_of_specs(field: str) -> None:
    """A field out of range is refused by name."""
    check_spec(spec())
    wrong = spec()
    CASES[field](wrong)
    with pytest.raises(Invalid, match=rf": {field.strip()}: "):
        check_spec(wrong)


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../b", "", "a//b"])
def test_files_stay_in_their_folder(name: str) -> None:
    """A path that leads outside is refused."""
    wrong = spec()
    wrong.files[name] = "x"
    with pytest.raises(Invalid, match=": files: "):
        check_spec(wrong)


@pytest.mark.parametrize("name", ["FLOWMESH_POSTGRES", "HOME", "LD_PRELOAD", "1A"])
def test_variables_of_the_suite_are_refused(name: str) -> None:
    """A spec cannot replace what the fleet tells an agent."""
    wrong = spec()
    wrong.environment[name] = "x"
    with pytest.raises(Invalid, match=": environment: "):
        check_spec(wrong)


@pytest.mark.parametrize(
    "change",
    [{"min": 4}, {"max": 0, "min": 0}, {"max": 501}, {"strategy": 0}, {"utilization_percent": 101},
     {"window_ms": limits.TIMEOUT_MS_MAX + 1}],
    ids=str,
)  # fmt: skip
def test_bounds_of_policies(change: dict[str, int]) -> None:
    """A bound out of range is refused by name."""
    good: dict[str, Any] = {"policy": "p", "spec": "s", "strategy": 2, "min": 1, "max": 3}
    check_policy(pb.ScalingPolicy(**good))
    with pytest.raises(Invalid, match=rf": {next(iter(change))}: "):
        check_policy(pb.ScalingPolicy(**{**good, **change}))


AUTO: dict[str, Any] = {"policy": "p", "spec": "s", "strategy": 4, "min": 1, "max": 3}
MORNING = pb.ScheduledMinimum(cron="0 8 * * 1-5", duration_ms=3_600_000, min=2)
ENDLESS = pb.ScheduledMinimum(cron="0 8 * * *", duration_ms=limits.SCHEDULE_MS_MAX + 1, min=2)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("gauge", {"gauge": "lag", "gauge_target": 2, "strategy": 2}),
        ("gauge", {"gauge": "a b", "gauge_target": 2}),
        ("gauge_target", {"gauge": "lag"}),
        ("gauge_target", {"gauge": "lag", "gauge_target": float("nan")}),
        ("gauge_target", {"gauge_target": 2}),
        ("schedule", {"schedule": [MORNING], "strategy": 1}),
        ("schedule", {"schedule": [MORNING] * (limits.SCHEDULES_MAX + 1)}),
        ("schedule", {"schedule": [ENDLESS]}),
        ("schedule", {"schedule": [pb.ScheduledMinimum(cron="0 0 30 2 *", duration_ms=60_000)]}),
    ],
    ids=str,
)
def test_rules_of_policies(field: str, change: dict[str, Any]) -> None:
    """A rule that could not be followed is refused by name."""
    check_policy(pb.ScalingPolicy(**AUTO, gauge="lag", gauge_target=2, schedule=[MORNING]))
    with pytest.raises(Invalid, match=rf": {field}: "):
        check_policy(pb.ScalingPolicy(**{**AUTO, **change}))


@pytest.mark.parametrize(
    "gauges",
    [{"a b": 1.0}, {"a": -1.0}, {"a": 2 * limits.GAUGE_MAX}, {"a": float("nan")}],
    ids=str,
)
def test_gauges_of_agents(gauges: dict[str, float]) -> None:
    """Names and numbers that no policy could use are refused."""
    check_gauges({"open-orders": 2.5})
    with pytest.raises(Invalid, match=": gauges: "):
        check_gauges(gauges)
    with pytest.raises(Invalid, match="more than"):
        check_gauges({f"a{n}": 1.0 for n in range(limits.GAUGES_MAX + 1)})


class _Full:
    """A store whose namespace has its specs."""

    @asynccontextmanager
    async def changing(self, _: str) -> AsyncIterator["_Full"]:
        yield self

    async def spec(self, _: str) -> None:
        return None

    async def specs(self) -> list[Any]:
        return [spec()] * limits.SPECS_MAX

    async def quota(self) -> pb.AgentQuota:
        return pb.AgentQuota()


async def test_specs_of_a_namespace_are_bounded() -> None:
    """One spec more is refused."""
    rules = IsolationRules(least=pb.ISOLATION_NONE, egress="open", allowed=())
    fleet = Fleet(
        store=cast("Any", _Full()), isolation=rules, announce=lambda: None, new_id=lambda: "a"
    )
    more = spec()
    more.spec = "others"
    with pytest.raises(Overloaded, match="at most"):
        await fleet.apply("default", more)
