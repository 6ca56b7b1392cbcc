"""Rows of the database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from flowmesh.api.fleet.v1 import agent_pb2 as pb

Key = tuple[str, str]
ALIVE = frozenset(
    {pb.AGENT_STATE_PENDING, pb.AGENT_STATE_STARTING, pb.AGENT_STATE_READY, pb.AGENT_STATE_DEGRADED}
)

# Columns of an agent that its record has under the same name.
_SAME = (
    "id", "namespace", "spec", "version", "state", "reason", "last_words", "exit_code", "pid",
    "node", "cpu", "memory_bytes", "slots", "busy", "isolation",
)  # fmt: skip


def _us(at: datetime | None) -> int:
    return 0 if at is None else round(at.timestamp() * 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecRow:
    """A spec, as callers want it and as its agents are."""

    namespace: str
    spec: str
    version: int
    content: pb.AgentSpec
    stable_version: int
    replicas: int
    wanted: int
    ready: int
    problem: str
    deleted: bool
    maker: str
    owner: str
    has_policy: bool
    created_at_us: int
    changed_at_us: int

    @property
    def key(self) -> Key:
        return self.namespace, self.spec

    @classmethod
    def of(cls, row: Any) -> "SpecRow":
        return cls(
            namespace=row["namespace"],
            spec=row["spec"],
            version=row["version"],
            content=pb.AgentSpec.FromString(row["content"]),
            stable_version=row["stable_version"],
            replicas=row["replicas"],
            wanted=row["wanted"],
            ready=row["ready"],
            problem=row["problem"],
            deleted=row["deleted"],
            maker=row["maker"],
            owner=row["owner"],
            has_policy=row["has_policy"],
            created_at_us=_us(row["created_at"]),
            changed_at_us=_us(row["changed_at"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """One life of an agent."""

    id: str
    namespace: str
    spec: str
    version: int
    state: pb.AgentState.ValueType
    reason: str = ""
    last_words: str = ""
    exit_code: int = 0
    pid: int = 0
    node: str = ""
    cpu: float = 0.0
    memory_bytes: int = 0
    slots: int = 1
    busy: int = 0
    isolation: pb.Isolation.ValueType = pb.ISOLATION_UNSPECIFIED
    enforcement: Mapping[str, str]
    gauges: Mapping[str, float] = field(default_factory=dict)
    created_at_us: int
    ready_at_us: int = 0
    beat_at_us: int = 0
    drain_at_us: int = 0
    ended_at_us: int = 0

    @property
    def alive(self) -> bool:
        """Whether it counts as one of the agents of its spec."""
        return self.state in ALIVE

    @classmethod
    def of(cls, row: Any) -> "AgentRow":
        at = ("created_at", "ready_at", "beat_at", "drain_at", "ended_at")
        others: dict[str, Any] = {name: row[name] for name in _SAME}
        others |= {f"{name}_us": _us(row[name]) for name in at}
        others |= {name: orjson.loads(row[name]) for name in ("enforcement", "gauges")}
        return cls(**others)


@dataclass(frozen=True, slots=True)
class Beat:
    """A call of an agent: its slots, its running tasks, and figures of its own."""

    slots: int
    busy: int
    gauges: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A policy with the memory of its decisions."""

    namespace: str
    owner: str
    content: pb.ScalingPolicy
    memory: Mapping[str, Any]

    @classmethod
    def of(cls, row: Any) -> "PolicyRow":
        return cls(
            row["namespace"],
            row["owner"],
            pb.ScalingPolicy.FromString(row["content"]),
            orjson.loads(row["memory"]),
        )
