"""The report of an optimization: one shape for REST, the SDK and the command line."""

from typing import Literal

from msgspec import UNSET, UnsetType

from flowmesh.insight.parts import Part

ProposalKind = Literal["parallel", "cache", "timeout", "retry", "concurrency", "workers"]


class Proposal(Part, kw_only=True):
    """A change of a task. `gainMs` is the estimated part of an execution's duration that it saves;
    0 is a gain in reliability only. `edits` is false if the change is not one of the definition.
    """

    kind: ProposalKind
    task: str
    text: str
    evidence: str
    gain_ms: float
    edits: bool


class Replay(Part, kw_only=True):
    """An input of the past, rehearsed with both definitions and the recorded results of tasks."""

    execution_id: str
    same: bool
    before_ms: float
    after_ms: float
    problem: str | UnsetType = UNSET


class Optimization(Part, kw_only=True):
    """Proposals, the largest gain first, and the definition with all edits.

    `verified` is true if there are replays and the output and status of all are the same.
    """

    workflow: str
    version: int
    executions: int
    proposals: list[Proposal]
    replays: list[Replay]
    verified: bool
    diff: str
    source: str
