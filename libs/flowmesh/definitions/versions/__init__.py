"""Two versions of a definition side by side: what differs, who notices, what could move."""

from flowmesh.definitions.versions.diff import Difference, diff_tasks, diff_workflows

__all__ = ["Difference", "diff_tasks", "diff_workflows"]
