"""Agents, their specs and the decisions on their number as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flowmesh.contract.json_value import Json


@dataclass(frozen=True, slots=True)
class AgentInstance:
    """One life of an agent."""

    agent_id: str
    spec: str
    version: int
    state: str
    reason: str
    last_words: str
    exit_code: int
    pid: int
    node: str
    cpu: float
    memory_bytes: int
    slots: int
    busy: int
    enforcement: Mapping[str, str]
    created_at: datetime | None
    ready_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class AgentDecision:
    """A decision of a policy on the number of agents, with what held it."""

    spec: str
    at: datetime | None
    before: int
    wish: int
    count: int
    reason: str
    held: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """The agents of one spec, as they are wanted and as they are."""

    spec: str
    version: int
    wanted: int
    ready: int
    problem: str
    content: Mapping[str, Json]
    agents: tuple[AgentInstance, ...]
