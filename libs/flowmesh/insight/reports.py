"""Shapes of the reports that clients read: a comparison, the inputs of nodes, a watch.

How they are made is in `comparison`, `inputs` and `watching`, which need the engine.
"""

from datetime import datetime
from typing import Literal

from msgspec import UNSET, UnsetType

from flowmesh.insight.differences import Difference
from flowmesh.insight.parts import ErrorPart, ExecutionWord, Json, NodeWord, Part

What = Literal["version", "input", "presence", "status", "nodeInput", "output", "attempts"]


class Side(Part, kw_only=True):
    """One of the two executions."""

    execution_id: str
    workflow: str
    version: int
    plan_digest: str
    status: ExecutionWord
    started_at: datetime | UnsetType = UNSET
    duration_ms: float
    attempts: int
    error: ErrorPart | UnsetType = UNSET


class NodeSide(Part, kw_only=True):
    """A task in one of them."""

    status: NodeWord
    attempts: int
    duration_ms: float | UnsetType = UNSET
    error: ErrorPart | UnsetType = UNSET


class NodeComparison(Part, kw_only=True):
    """A task of both, or of one; `differs` says in what."""

    id: str
    left: NodeSide | UnsetType = UNSET
    right: NodeSide | UnsetType = UNSET
    differs: list[What]
    input: list[Difference] | UnsetType = UNSET
    output: list[Difference] | UnsetType = UNSET


class Divergence(Part, kw_only=True):
    """Where they first part: in what they are, or at a task."""

    what: What
    task_id: str | UnsetType = UNSET
    text: str


class Comparison(Part, kw_only=True):
    """Two executions side by side. Durations are shown and never make a difference."""

    left: Side
    right: Side
    same: bool
    first_divergence: Divergence | UnsetType = UNSET
    left_path: list[str]
    right_path: list[str]
    input: list[Difference]
    output: list[Difference]
    # As they were in the end.
    variables: list[Difference]
    nodes: list[NodeComparison]
    truncated: bool


class NodeInputs(Part, kw_only=True):
    """What nodes got as their input in their last attempt; `truncated` leaves later ones out."""

    execution_id: str
    inputs: dict[str, Json]
    truncated: bool


class WatchStep(Part, kw_only=True):
    """A moment in which a task set the value, read it, or ended (`pass`).

    `value` is what it was then, left out where there was none; `changed` says whether it had
    been another before.
    """

    sequence: int
    at: datetime
    event: str
    action: Literal["set", "read", "pass"]
    task_id: str | UnsetType = UNSET
    value: Json | UnsetType = UNSET
    changed: bool


class Watch(Part, kw_only=True):
    """The history of one value; `readers` are all tasks whose templates refer to it."""

    execution_id: str
    path: str
    steps: list[WatchStep]
    readers: list[str]
    truncated: bool
