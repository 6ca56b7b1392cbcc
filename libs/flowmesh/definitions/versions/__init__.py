"""Comparison of two versions of a definition: differences, compatibility, moving executions."""

from flowmesh.definitions.versions.callers import Compatibility, Reason, Verdict, compatibility_of
from flowmesh.definitions.versions.diff import Difference, diff_tasks, diff_workflows
from flowmesh.definitions.versions.migration_check import obstacles_to_move

__all__ = [
    "Compatibility",
    "Difference",
    "Reason",
    "Verdict",
    "compatibility_of",
    "diff_tasks",
    "diff_workflows",
    "obstacles_to_move",
]
