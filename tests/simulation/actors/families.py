"""I11: messages between executions arrive once: starts of children, reports of ends.

A child may be an existing execution, if its start policy allows it; its end is reported too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.plan import Plan
from tests.simulation.actors.plans import catalog

_ITEM = re.compile(r"\[\d+\]")
_ENDS = {
    "workflow_completed": execution_pb2.EXECUTION_STATUS_COMPLETED,
    "workflow_failed": execution_pb2.EXECUTION_STATUS_FAILED,
    "workflow_canceled": execution_pb2.EXECUTION_STATUS_CANCELED,
    "workflow_terminated": execution_pb2.EXECUTION_STATUS_TERMINATED,
}


class Told(Protocol):
    """One execution and its events."""

    @property
    def id(self) -> str: ...

    stored: Any
    plan: Any
    events: list[tuple[str, Any, Any]]


def links(told: Mapping[str, Told], *, settled: bool) -> Iterator[str]:
    """Everything that is wrong between executions, in words."""
    asked = {one.stored.request_id: one for one in told.values() if one.stored.request_id}
    for one in told.values():
        children: dict[tuple[str, int], str] = {}
        for kind, _, body in one.events:
            if kind in ("child_requested", "workflow_continued"):
                found = asked.get(body.request_id)
                may_join = kind == "child_requested" and _may_join(one.plan, body.node)
                if found is None and settled and not may_join:
                    yield f"I11 {one.id} asked for {body.request_id!r}, which there is not"
                elif found is not None:
                    yield from _came_from(found, one, kind)
            elif kind == "child_started":
                children[body.node, body.attempt] = body.execution_id
                if body.joined == (body.execution_id == _id_of(asked.get(_request(one, body)))):
                    yield f"I11 {one.id} {body.node} took {body.execution_id} for what it is not"
            elif kind == "child_ended" and body.status:
                yield from _ended(one, body, children, told)


def _may_join(plan: Plan, node_id: str) -> bool:
    """Return whether the start of a child may be rejected, or joined to another execution."""
    graph: Any = plan
    for part in _ITEM.sub("", node_id).split("/"):
        node = graph.by_id[part]
        graph = node.body
    target = catalog().get(node.child.workflow_id)
    return target is not None and target.start_shared


def _request(one: Told, started: Any) -> str:
    """Under which the child of a node was asked for."""
    place = (started.node, started.attempt)
    return next(
        str(body.request_id)
        for kind, _, body in one.events
        if kind == "child_requested" and (body.node, body.attempt) == place
    )


def _id_of(one: Told | None) -> str:
    return one.id if one is not None else ""


def _came_from(found: Told, one: Told, kind: str) -> Iterator[str]:
    _, _, started = found.events[0]
    link = started.link
    expected = link.parent_id if kind == "child_requested" else link.continued_from
    if expected != one.id:
        yield f"I11 {found.id} was asked for by {one.id} and says it comes from {expected!r}"


def _ended(
    one: Told, body: Any, children: dict[tuple[str, int], str], told: Mapping[str, Told]
) -> Iterator[str]:
    """The outcome reported to a parent is that of the child, or of its last run."""
    child = told.get(body.execution_id)
    if child is None:
        yield f"I11 {one.id} {body.node} got the end of {body.execution_id}, which does not exist"
        return
    begun = children.get((body.node, body.attempt), child.id)
    first = told[begun]
    # One that was joined may be a later run.
    runs_of = first.events[0][2].link.first_run or first.id
    chain = {first.id} | {
        each.id for each in told.values() if each.events[0][2].link.first_run == runs_of
    }
    last = child.events[-1]
    if child.id not in chain:
        yield f"I11 {one.id} {body.node} started {first.id} and got the end of {child.id}"
    if _ENDS.get(last[0]) != body.status:
        yield f"I11 {one.id} {body.node} got {body.status}, {child.id} has {last[0]}"
