"""Parallel tasks: groups planned by the graph, and groups observed in time."""

from typing import TYPE_CHECKING

from flowmesh.insight.parts import Part
from flowmesh.insight.times import History

if TYPE_CHECKING:
    from flowmesh.plan import Plan

GROUP_IDS_MAX = 100_000
"""Ids in the groups of one report."""


class TraceGroups(Part, kw_only=True):
    """Groups of the tasks of the plan's graph; tasks in a map count as the map."""

    planned: list[list[str]]
    actual: list[list[str]]
    planned_width: int
    actual_width: int


def groups_of(plan: "Plan", history: History, now_us: int) -> TraceGroups:
    planned = _levels(plan)
    actual = _overlaps(plan, history, now_us)
    return TraceGroups(
        planned=planned,
        actual=actual,
        planned_width=max(map(len, planned), default=0),
        actual_width=max(map(len, actual), default=0),
    )


def _levels(plan: "Plan") -> list[list[str]]:
    """Return the tasks by the length of the longest path to them."""
    waiting = [len(node.dependencies) for node in plan.nodes]
    levels: list[list[str]] = []
    level = list(plan.roots)
    while level:
        levels.append([node.id for node in level])
        following = []
        for node in level:
            for successor in node.successors:
                waiting[successor.index] -= 1
                if not waiting[successor.index]:
                    following.append(successor)
        level = following
    return levels


def _overlaps(plan: "Plan", history: History, now_us: int) -> list[list[str]]:
    """Return the maximal sets of tasks that ran at the same time, in order of time."""
    moments = sorted(
        moment
        for planned in plan.nodes
        if (node := history.node(planned.id)).started_us
        # Ends sort before starts of the same time: consecutive tasks do not overlap.
        for moment in (
            (node.started_us, 1, node.id),
            (max(node.ended_us or now_us, node.started_us + 1), 0, node.id),
        )
    )
    running: dict[str, None] = {}
    groups: list[list[str]] = []
    grown, left = False, GROUP_IDS_MAX
    for _, starts, id_ in moments:
        if starts:
            running[id_] = None
            grown = True
            continue
        if grown and left >= len(running):
            groups.append(list(running))
            left -= len(running)
        grown = False
        running.pop(id_, None)
    return groups
