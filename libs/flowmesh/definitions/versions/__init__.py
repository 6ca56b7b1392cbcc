"""Two versions of a definition side by side: what differs, who notices, what could move."""

from flowmesh.definitions.versions.callers import Compatibility, Reason, Verdict, for_callers
from flowmesh.definitions.versions.diff import Difference, diff_tasks, diff_workflows
from flowmesh.definitions.versions.moves import why_not

__all__ = [
    "Compatibility",
    "Difference",
    "Reason",
    "Verdict",
    "diff_tasks",
    "diff_workflows",
    "for_callers",
    "why_not",
]
