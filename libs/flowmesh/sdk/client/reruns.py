"""The plan of a rerun of an ended execution."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RerunNode:
    """The plan for one node, with its reason.

    `reused` nodes keep their result. `repeats_effect` is True if its external effect happens again.
    """

    id: str
    task_type: str
    reused: bool
    reason: str
    repeats_effect: bool


@dataclass(frozen=True, slots=True)
class RerunPlan:
    """The nodes that a rerun would run again or reuse."""

    version: int
    nodes: tuple[RerunNode, ...]
    repeated_effects: int
