"""Bodies: items for maps, first values for state machines, collected outputs."""

from __future__ import annotations

from collections import deque

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.engine import commands as c
from flowmesh.engine.decisions.outcomes import complete, fail_node
from flowmesh.engine.decisions.progress import advance, iterate
from flowmesh.engine.decisions.step import Step
from flowmesh.engine.decisions.values import NULL, failure_of
from flowmesh.engine.state import pages
from flowmesh.engine.state import state as s
from flowmesh.engine.state.state import NodeState


def _running_body(step: Step, node_id: str) -> NodeState | None:
    node = step.state.node(node_id)
    if step.state.ended or node is None or node.planned.body is None:
        return None
    return node if node.status == s.RUNNING else None


def expand(step: Step, command: c.Expand) -> bool:
    node = _running_body(step, command.node)
    known = node is not None and (node.map is not None or node.machine is not None)
    if node is None or (command.failure is not None and known):
        return False
    ended: deque[NodeState] = deque()
    if command.failure is not None:
        fail_node(step, node, command.failure)
        ended.append(node)
    elif node.planned.kind == plan_pb2.NODE_KIND_STATES:
        if node.machine is None:
            value = command.value or NULL
            step.emit("states_started", history.StatesStarted(node=node.id, value=value))
        iterate(step, node, ended)
    else:
        if node.map is None and _turn_page(step, node, command.value):
            step.emit("map_started", history.MapStarted(node=node.id, count=len(command.items)))
        if node.map is None:
            ended.append(node)
        else:
            node.map.items = command.items
            step.state.set_due(node, 0)
            iterate(step, node, ended)
    advance(step, ended)
    return True


def _turn_page(step: Step, node: NodeState, cursor: payload_pb2.Payload | None) -> bool:
    """Record the cursor of the next page, if any. Return False after failing the map."""
    pager = pages.pager_of(node)
    if cursor is None or pager is None or pager.map is None:
        return True
    known, most = pager.map.total, pager.planned.pages_max
    if known > node.scope.item + 1:
        return True
    if known == most:
        message = f"{pager.id} has more than {most:,} pages, the limit"
        fail_node(step, node, failure_of("ResourceLimit", message))
    elif len(cursor.data) > pages.CURSOR_BYTES_MAX:
        message = f"a cursor of {pager.id} has {len(cursor.data):,} bytes"
        message += f", at most {pages.CURSOR_BYTES_MAX:,} are allowed"
        fail_node(step, node, failure_of("ResourceLimit", message))
    else:
        step.emit("page_turned", history.PageTurned(node=pager.id, cursor=cursor))
        return True
    return False


def collect(step: Step, command: c.Collect) -> bool:
    node = _running_body(step, command.node)
    of = node.map if node is not None else None
    if node is None or of is None or of.scopes or of.failure or of.begun < of.total:
        return False
    if command.output is not None:
        complete(step, node, command.output)
    else:
        fail_node(step, node, command.failure or failure_pb2.Failure())
    advance(step, deque((node,)))
    return True
