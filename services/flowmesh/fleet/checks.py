"""Checks of specs and policies; every refusal names the field."""

import math
import re
import shutil
from collections.abc import Mapping
from os import defpath
from pathlib import PurePosixPath

from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.errors import Invalid, Overloaded, Violation
from flowmesh.fleet import limits
from flowmesh.fleet.scaling import decide
from flowmesh.fleet.scaling.schedules import schedule_of
from flowmesh.rpc.requests import check_enum_values
from flowmesh.triggers import ScheduleInvalid, check_zone

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
# Variables of the suite, of the fleet and of the folder.
_RESERVED = re.compile(r"FLOWMESH_.*|HOME|TMPDIR|PWD|USER|LD_.*")
_GAUGE = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
_SECRET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_ENDPOINT = re.compile(r"(?:\[[0-9a-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]{0,252}):(\d{1,5})")
_QUEUE = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def check_name(name: str, field: str, reason: str) -> None:
    if len(name) > limits.NAME_CHARACTERS_MAX or not _NAME.fullmatch(name):
        text = f"{name[:80]!r} is not 1 to 63 small letters, digits and hyphens"
        raise _refused(reason, field, text)


def check_spec(spec: pb.AgentSpec) -> None:
    """Raise Invalid for a spec that cannot be stored."""
    check_enum_values((spec.isolation,), pb.Isolation, "isolation")
    check_enum_values((spec.health,), pb.AgentHealth, "health")
    check_name(spec.spec, "spec", "AGENT_SPEC_INVALID")
    _check_command(spec)
    _check_files(spec)
    _check_environment(spec)
    for field in ("queues", "task_types"):
        values = getattr(spec, field)
        if len(values) > limits.QUEUES_MAX or len(set(values)) != len(values):
            raise wrong(field, f"at most {limits.QUEUES_MAX}, each once")
        for value in values:
            if not _QUEUE.fullmatch(value):
                raise wrong(field, f"{value[:80]!r} is no name")
    _check_secrets(spec)
    _check_connections(spec)
    _within("slots", spec.slots, 0, limits.SLOTS_MAX)
    _within("replicas", spec.replicas, 0, limits.AGENTS_MAX)
    _within("start_timeout_ms", spec.start_timeout_ms, 0, limits.TIMEOUT_MS_MAX)
    _within("drain_timeout_ms", spec.drain_timeout_ms, 0, limits.TIMEOUT_MS_MAX)
    _check_limits(spec.limits)


def check_policy(policy: pb.ScalingPolicy) -> None:
    """Raise Invalid for a policy that cannot be stored."""
    check_enum_values((policy.strategy,), pb.ScalingStrategy, "strategy")
    check_name(policy.policy, "policy", "SCALING_POLICY_INVALID")
    if policy.strategy == pb.SCALING_STRATEGY_UNSPECIFIED:
        raise wrong_policy("strategy", "is missing")
    if policy.min > policy.max:
        raise wrong_policy("min", f"{policy.min} is above max, which is {policy.max}")
    if policy.strategy != pb.SCALING_STRATEGY_FIXED and not policy.max:
        raise wrong_policy("max", "is at least 1")
    if policy.max > limits.AGENTS_MAX:
        raise wrong_policy("max", f"{policy.max} is above {limits.AGENTS_MAX}")
    if policy.utilization_percent > 100:
        raise wrong_policy("utilization_percent", f"{policy.utilization_percent} is above 100")
    for field in (
        "wait_target_ms",
        "up_cooldown_ms",
        "down_cooldown_ms",
        "window_ms",
        "idle_after_ms",
    ):
        if getattr(policy, field) > limits.TIMEOUT_MS_MAX:
            raise wrong_policy(field, f"is above {limits.TIMEOUT_MS_MAX}")
    _check_gauge(policy)
    _check_schedule(policy)


def check_gauges(gauges: Mapping[str, float]) -> None:
    """Raise Invalid for figures of an agent that no policy could use."""
    if len(gauges) > limits.GAUGES_MAX:
        raise _refused("REQUEST_INVALID", "gauges", f"more than {limits.GAUGES_MAX}")
    for name, value in gauges.items():
        if not _GAUGE.fullmatch(name):
            raise _refused("REQUEST_INVALID", "gauges", f"{name[:80]!r} is no name")
        if not 0 <= value <= limits.GAUGE_MAX:
            text = f"{name} is {value:g}, not 0 to {limits.GAUGE_MAX:g}"
            raise _refused("REQUEST_INVALID", "gauges", text)


def check_quota(quota: pb.AgentQuota) -> None:
    """Raise Invalid for a quota that cannot be stored."""
    if not 0 <= quota.cpu <= limits.CPU_MAX * limits.AGENTS_MAX:
        raise _refused("REQUEST_INVALID", "cpu", f"{quota.cpu:g} is out of range")


def _check_gauge(policy: pb.ScalingPolicy) -> None:
    if not policy.gauge:
        if policy.gauge_target:
            raise wrong_policy("gauge_target", "is of no gauge; name it in gauge")
        return
    if policy.strategy != pb.SCALING_STRATEGY_AUTO:
        raise wrong_policy("gauge", "only the strategy AUTO looks at gauges")
    if not _GAUGE.fullmatch(policy.gauge):
        raise wrong_policy("gauge", f"{policy.gauge[:80]!r} is no name")
    if not (math.isfinite(policy.gauge_target) and policy.gauge_target > 0):
        raise wrong_policy("gauge_target", f"{policy.gauge_target:g} is not above 0")


def _check_schedule(policy: pb.ScalingPolicy) -> None:
    if policy.schedule and policy.strategy == pb.SCALING_STRATEGY_FIXED:
        raise wrong_policy(
            "schedule", "the strategy FIXED has the replicas of the spec at all times"
        )
    if len(policy.schedule) > limits.SCHEDULES_MAX:
        raise wrong_policy("schedule", f"more than {limits.SCHEDULES_MAX}")
    for each in policy.schedule:
        try:
            check_zone(each.time_zone)
            never = schedule_of(each.cron, each.time_zone).next_after(0) is None
        except ScheduleInvalid as error:
            raise wrong_policy("schedule", str(error)) from error
        if never:
            raise wrong_policy("schedule", f"{each.cron!r} has no instant")
        if not 60_000 <= each.duration_ms <= limits.SCHEDULE_MS_MAX:
            raise wrong_policy(
                "schedule", f"duration_ms {each.duration_ms} is not a minute to a week"
            )
        if not 1 <= each.min <= policy.max:
            raise wrong_policy("schedule", f"min {each.min} is not 1 to max, which is {policy.max}")


def _check_command(spec: pb.AgentSpec) -> None:
    if not spec.command or not spec.command[0].strip():
        raise wrong("command", "is missing: a program and its arguments")
    size = sum(map(len, spec.command))
    if len(spec.command) > limits.WORDS_MAX or size > limits.COMMAND_CHARACTERS_MAX:
        most = limits.COMMAND_CHARACTERS_MAX
        raise wrong("command", f"at most {limits.WORDS_MAX} words of {most} characters")
    if any("\0" in word for word in spec.command):
        raise wrong("command", "holds a NUL character")
    program = spec.command[0]
    if program == "python" or program.removeprefix("./") in spec.files:
        return
    if shutil.which(program, path=defpath) is None:
        raise wrong("command", f"there is no program {program[:200]!r} on the machine of the fleet")


def _check_files(spec: pb.AgentSpec) -> None:
    if len(spec.files) > limits.FILES_MAX:
        raise wrong("files", f"more than {limits.FILES_MAX}")
    if sum(len(text.encode()) for text in spec.files.values()) > limits.FILE_BYTES_MAX:
        raise wrong("files", f"more than {limits.FILE_BYTES_MAX >> 20} MiB in all")
    for name in spec.files:
        path = PurePosixPath(name)
        inside = name and not path.is_absolute() and ".." not in path.parts and "\0" not in name
        if not inside or str(path) != name or len(name) > 200:
            raise wrong("files", f"{name[:80]!r} is no relative path within a folder")
        if any(str(each) in spec.files for each in list(path.parents)[:-1]):
            raise wrong("files", f"{name[:80]!r} is below a file")


def _check_environment(spec: pb.AgentSpec) -> None:
    if len(spec.environment) > limits.VARIABLES_MAX:
        raise wrong("environment", f"more than {limits.VARIABLES_MAX} variables")
    for name, value in spec.environment.items():
        if not _VARIABLE.fullmatch(name) or _RESERVED.fullmatch(name):
            raise wrong("environment", f"{name[:80]!r} is no variable that a spec may set")
        if len(value.encode()) > limits.VARIABLE_BYTES_MAX or "\0" in value:
            raise wrong("environment", f"the value of {name} is too long, or holds NUL")


def _check_secrets(spec: pb.AgentSpec) -> None:
    if len(spec.secrets) > limits.SECRETS_MAX:
        raise wrong("secrets", f"more than {limits.SECRETS_MAX}")
    for name in spec.secrets:
        if not _SECRET.fullmatch(name):
            raise wrong("secrets", f"{name[:80]!r} is no name of a secret")


def _check_connections(spec: pb.AgentSpec) -> None:
    endpoints = spec.connections.endpoints
    if len(endpoints) > limits.ENDPOINTS_MAX:
        raise wrong("connections.endpoints", f"more than {limits.ENDPOINTS_MAX}")
    for each in endpoints:
        match = _ENDPOINT.fullmatch(each)
        if match is None or not 1 <= int(match[1]) <= 65_535:
            raise wrong("connections.endpoints", f"{each[:80]!r} is not host:port")


def _check_limits(wanted: pb.AgentLimits) -> None:
    if wanted.cpu and not limits.CPU_MIN <= wanted.cpu <= limits.CPU_MAX:
        raise wrong("limits.cpu", f"{wanted.cpu:g} is not {limits.CPU_MIN} to {limits.CPU_MAX:g}")
    if wanted.memory_bytes and not limits.MEMORY_BYTES_MIN <= wanted.memory_bytes < 2**50:
        raise wrong("limits.memory_bytes", "is not 16 MiB to 1 PiB")
    if wanted.disk_bytes >= 2**50:
        raise wrong("limits.disk_bytes", "is above 1 PiB")
    if wanted.files and not 16 <= wanted.files <= 2**20:
        raise wrong("limits.files", f"{wanted.files} is not 16 to 1048576")
    if wanted.pids > 2**20:
        raise wrong("limits.pids", f"{wanted.pids} is above 1048576")


def _within(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise wrong(field, f"{value} is not {least} to {most}")


def wrong(field: str, problem: str) -> Invalid:
    """Return the refusal of a field of a spec."""
    return _refused("AGENT_SPEC_INVALID", field, problem)


def wrong_policy(field: str, problem: str) -> Invalid:
    """Return the refusal of a field of a policy."""
    return _refused("SCALING_POLICY_INVALID", field, problem)


def quota_exceeded(field: str, text: str) -> Overloaded:
    """Return the refusal of a field whose value the quota of the namespace has no room for."""
    reason = "AGENT_QUOTA_EXCEEDED"
    return Overloaded(reason, text, violations=(Violation(field, text, reason),))


def _refused(reason: str, field: str, problem: str) -> Invalid:
    found = Violation(field, problem, reason)
    return Invalid(reason, f"{field}: {problem}", violations=(found,))


def completed(policy: pb.ScalingPolicy) -> pb.ScalingPolicy:
    """Return a policy with its defaults."""
    found = pb.ScalingPolicy()
    found.CopyFrom(policy)
    found.wait_target_ms = policy.wait_target_ms or decide.WAIT_TARGET_MS
    found.utilization_percent = policy.utilization_percent or decide.UTILIZATION_PERCENT
    found.up_cooldown_ms = policy.up_cooldown_ms or decide.UP_COOLDOWN_MS
    found.down_cooldown_ms = policy.down_cooldown_ms or decide.DOWN_COOLDOWN_MS
    found.window_ms = policy.window_ms or decide.WINDOW_MS
    found.idle_after_ms = policy.idle_after_ms or decide.IDLE_AFTER_MS
    return found
