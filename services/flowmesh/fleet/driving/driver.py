"""The port of drivers, which start the processes of agents."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from flowmesh.fleet.storage.records import AgentRow, SpecRow


@dataclass(frozen=True, slots=True)
class Started:
    """A started process, and what enforces each of its limits."""

    pid: int
    enforcement: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A process as its driver sees it; `code` once it has ended."""

    pid: int
    code: int | None
    killed: str
    words: str
    cpu_s: float
    memory: int
    # Started; the pod of an agent waits for its node and image first.
    running: bool = True


class Driver(Protocol):
    """Starts and ends processes by the ids of their agents. Every call may be repeated."""

    node: str
    # Whether agents keep running without this instance, and any other may take them over.
    lasting: bool

    async def spawn(self, agent: AgentRow, spec: SpecRow) -> Started:
        """Start an agent that does not run. Raises FlowmeshError if it cannot be."""

    async def observe(self) -> Mapping[str, Observed]:
        """Return the agents that run, and those that have ended until they are forgotten."""

    async def drain(self, agent_id: str) -> None:
        """Let an agent complete its tasks and end."""

    async def kill(self, agent_id: str, reason: str) -> None:
        """End an agent at once."""

    async def forget(self, agent_id: str) -> None:
        """Drop an agent that has ended, with its folder."""

    async def alone(self) -> bool:
        """Whether agents may run here and no other instance attends to them."""

    async def end(self) -> None:
        """End all agents at once."""

    async def close(self) -> None:
        """Close connections; agents run on."""
