"""Maps by pages: the pages in progress, and the start of the next page.

The body of such a map runs once for each page. It has two nodes: a task that fetches the page, and
a map over its items. The next page begins when few items of the current one are left.
"""

from __future__ import annotations

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine.state.nodes import MapState, NodeState
from flowmesh.engine.state.state import State
from flowmesh.plan import PlanNode

AT_ONCE = 2
"""Pages in progress of a map, whose items are in memory."""

CURSOR_BYTES_MAX = 16 << 10
"""Bytes of the cursor of a page."""

_ITEMS = 1


def pager_of(node: NodeState) -> NodeState | None:
    """Return the map by pages around a map over the items of a page."""
    owner = node.scope.owner
    return owner if owner is not None and owner.planned.pages_max else None


def in_progress(pager: NodeState) -> list[NodeState]:
    """Return the begun maps over the items of pages, in the order of the pages."""
    found = (scope.nodes.get(_ITEMS) for scope in pager.scopes.values())
    return [each for each in found if each is not None and each.map is not None]


def has_room(owner: NodeState) -> bool:
    """Return whether a map may begin a further item or page."""
    of = owner.map
    assert of is not None
    if owner.planned.pages_max:
        return len(of.scopes) < AT_ONCE and _runs_low(of)
    pager = pager_of(owner)
    if pager is None:
        return len(of.scopes) < owner.planned.concurrency
    return sum(len(each.scopes) for each in in_progress(pager)) < owner.planned.concurrency


def _runs_low(of: MapState) -> bool:
    """Return whether the items left in the last page are at most the concurrency."""
    last = of.scopes.get(of.begun - 1)
    if last is None:
        return True
    each = last.nodes.get(_ITEMS)
    if each is None or each.map is None:
        return False
    return each.map.total - each.map.begun <= each.planned.concurrency


def failure_around(node: NodeState) -> failure_pb2.Failure | None:
    """Return the failure of another page, which stops the items of this one."""
    pager = pager_of(node)
    return pager.map.failure if pager is not None and pager.map is not None else None


def map_output(planned: PlanNode, outputs: list[bytes]) -> bytes:
    """Return the output of a map: the list of the outputs of its items, over all pages."""
    if planned.pages_max:
        outputs = [inner for inner in map(_inner, outputs) if inner]
    return b"[" + b",".join(outputs) + b"]"


def _inner(output: bytes) -> bytes:
    """Return the inside of a list. Another value, set by hand, counts as one item."""
    text = output.strip()
    return text[1:-1].strip() if text.startswith(b"[") else text


def counted(count: int, failed: int) -> bytes:
    return b'{"count":%d,"failed":%d}' % (count, failed)


def map_counts(of: MapState) -> tuple[int, int, int]:
    """Return the numbers of items, of items in progress and of items not begun, so far."""
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
    """Return the number of items of all pages; None before the last page is known."""
    return of.starts[-1] if len(of.starts) == of.total + 1 else None


def too_many_failed(planned: PlanNode, of: MapState, tally: MapState) -> bool:
    """Return whether more items failed than tolerated; `tally` counts those of all pages."""
    count = of.total if tally is of else item_count(tally) or 0
    return tally.failed > max(planned.tolerated, int(planned.tolerated_share * count))


def begun(node: NodeState, count: int) -> None:
    """Register the start of a map by pages, or of the map over the items of a page."""
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
