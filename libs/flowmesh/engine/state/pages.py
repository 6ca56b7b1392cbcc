"""Maps whose items come page by page: which pages are in progress, and when the next one begins.

The body of such a map runs once for each page. It has two nodes: a task that fetches the page, and
a map over its items. The page after it begins when its items run low.
"""

from __future__ import annotations

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.state.nodes import MapState, NodeState
from flowmesh.engine.state.state import State
from flowmesh.plan import PlanNode

AT_ONCE = 2
"""Pages of a map that are in progress, and whose items are in memory."""

CURSOR_BYTES_MAX = 16 << 10
"""Of the cursor of a page."""

_ITEMS = 1


def pager_of(node: NodeState) -> NodeState | None:
    """The map by pages that a map over the items of a page belongs to."""
    owner = node.scope.owner
    return owner if owner is not None and owner.planned.pages_max else None


def in_progress(pager: NodeState) -> list[NodeState]:
    """The maps over the items of pages, those that have begun, in the order of the pages."""
    found = (scope.nodes.get(_ITEMS) for scope in pager.scopes.values())
    return [each for each in found if each is not None and each.map is not None]


def has_room(owner: NodeState) -> bool:
    """Whether a map may have a further item in progress, or a further page."""
    of = owner.map
    assert of is not None
    if owner.planned.pages_max:
        return len(of.scopes) < AT_ONCE and _runs_low(of)
    pager = pager_of(owner)
    if pager is None:
        return len(of.scopes) < owner.planned.concurrency
    return sum(len(each.scopes) for each in in_progress(pager)) < owner.planned.concurrency


def _runs_low(of: MapState) -> bool:
    """Whether what has not begun of the last page is no more than runs at once."""
    last = of.scopes.get(of.begun - 1)
    if last is None:
        return True
    each = last.nodes.get(_ITEMS)
    if each is None or each.map is None:
        return False
    return each.map.total - each.map.begun <= each.planned.concurrency


def failure_around(node: NodeState) -> failure_pb2.Failure | None:
    """Why no item of a page begins any more though none of it has failed: another page has."""
    pager = pager_of(node)
    return pager.map.failure if pager is not None and pager.map is not None else None


def map_output(planned: PlanNode, outputs: list[bytes]) -> bytes:
    """The output of a map: the list of those of its items, or of those of all its pages."""
    if planned.pages_max:
        outputs = [inner for inner in map(_inner, outputs) if inner]
    return b"[" + b",".join(outputs) + b"]"


def _inner(output: bytes) -> bytes:
    """What a list holds; another value, which somebody said by hand, is an item itself."""
    text = output.strip()
    return text[1:-1].strip() if text.startswith(b"[") else text


def counted(count: int, failed: int) -> bytes:
    return b'{"count":%d,"failed":%d}' % (count, failed)


def map_counts(of: MapState) -> tuple[int, int, int]:
    """Items of a map, those in progress, and those that have not begun; of all pages so far."""
    if not of.starts:
        return of.total, len(of.scopes), of.total - of.begun
    running = waiting = 0
    for scope in of.scopes.values():
        each = scope.nodes.get(_ITEMS)
        if each is not None and each.map is not None:
            running += len(each.scopes)
            waiting += each.map.total - each.map.begun
    return of.starts[-1], running, waiting


def item_count(of: MapState) -> int | None:
    """How many items all pages of a map have; None before the last one is there."""
    return of.starts[-1] if len(of.starts) == of.total + 1 else None


def too_many_failed(planned: PlanNode, of: MapState, tally: MapState) -> bool:
    """Whether more items have failed than a map tolerates; `tally` counts those of all pages."""
    count = of.total if tally is of else item_count(tally) or 0
    return tally.failed > max(planned.tolerated, int(planned.tolerated_share * count))


def begun(node: NodeState, count: int) -> None:
    """The map over the items of a page has begun, or a map by pages."""
    of, pager = node.map, pager_of(node)
    assert of is not None
    if node.planned.pages_max:
        of.cursors, of.starts = [b"null"], [0]
    elif pager is not None and pager.map is not None:
        starts = pager.map.starts
        if len(starts) == node.scope.item + 1:
            starts.append(starts[-1] + count)
        if pager.map.excused is not None and item_count(pager.map) is not None:
            if too_many_failed(node.planned, of, pager.map):
                of.failure = pager.map.failure = pager.map.excused
            pager.map.excused = None


def page_turned(state: State, event: history.PageTurned, _at_us: int) -> None:
    of = state.reach(event.node).map
    assert of is not None
    of.cursors.append(event.cursor.data)
    of.total += 1
