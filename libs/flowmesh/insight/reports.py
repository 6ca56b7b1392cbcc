"""Shapes of the reports for clients: a comparison, the inputs of nodes, a watch.

The modules `comparison`, `inputs` and `watching` create them; those need the engine.
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
    """A task in one of the two executions."""

    status: NodeWord
    attempts: int
    duration_ms: float | UnsetType = UNSET
    error: ErrorPart | UnsetType = UNSET


class NodeComparison(Part, kw_only=True):
    """A task of one or both executions; `differs` lists the differing aspects."""

    id: str
    left: NodeSide | UnsetType = UNSET
    right: NodeSide | UnsetType = UNSET
    differs: list[What]
    input: list[Difference] | UnsetType = UNSET
    output: list[Difference] | UnsetType = UNSET


class Divergence(Part, kw_only=True):
    """The first difference: in version or input, or at a task."""

    what: What
    task_id: str | UnsetType = UNSET
    text: str


class Comparison(Part, kw_only=True):
    """Two executions side by side. Durations are shown but not compared."""

    left: Side
    right: Side
    same: bool
    first_divergence: Divergence | UnsetType = UNSET
    left_path: list[str]
    right_path: list[str]
    input: list[Difference]
    output: list[Difference]
    # The final values.
    variables: list[Difference]
    nodes: list[NodeComparison]
    truncated: bool


class NodeInputs(Part, kw_only=True):
    """Inputs of nodes in their last attempt; with `truncated` later ones are left out."""

    execution_id: str
    inputs: dict[str, Json]
    truncated: bool


class WatchStep(Part, kw_only=True):
    """An event at which a task set the value, read it, or ended (`pass`).

    `value` is the value at that event, left out if absent; `changed` is true if it differs from
    the value before.
    """

    sequence: int
    at: datetime
    event: str
    action: Literal["set", "read", "pass"]
    task_id: str | UnsetType = UNSET
    value: Json | UnsetType = UNSET
    changed: bool


class Watch(Part, kw_only=True):
    """The history of one value; `readers` are the tasks with templates that refer to it."""

    execution_id: str
    path: str
    steps: list[WatchStep]
    readers: list[str]
    truncated: bool
