"""I11: what executions tell each other comes, once: children are started, ends are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from flowmesh.api.execution.v1 import execution_pb2

_ENDS = {
    "workflow_completed": execution_pb2.EXECUTION_STATUS_COMPLETED,
    "workflow_failed": execution_pb2.EXECUTION_STATUS_FAILED,
    "workflow_canceled": execution_pb2.EXECUTION_STATUS_CANCELED,
    "workflow_terminated": execution_pb2.EXECUTION_STATUS_TERMINATED,
}


class Told(Protocol):
    """One execution and its events."""

    id: str
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
                if found is None and settled:
                    yield f"I11 {one.id} asked for {body.request_id!r}, which there is not"
                elif found is not None:
                    yield from _came_from(found, one, kind)
            elif kind == "child_started":
                children[body.node, body.attempt] = body.execution_id
            elif kind == "child_ended" and body.status:
                yield from _ended(one, body, children, told)


def _came_from(found: Told, one: Told, kind: str) -> Iterator[str]:
    _, _, started = found.events[0]
    link = started.link
    expected = link.parent_id if kind == "child_requested" else link.continued_from
    if expected != one.id:
        yield f"I11 {found.id} was asked for by {one.id} and says it comes from {expected!r}"


def _ended(
    one: Told, body: Any, children: dict[tuple[str, int], str], told: Mapping[str, Told]
) -> Iterator[str]:
    """What a parent was told is what the child, or the last run of it, came to."""
    child = told.get(body.execution_id)
    if child is None:
        yield f"I11 {one.id} {body.node} was told of {body.execution_id}, which there is not"
        return
    begun = children.get((body.node, body.attempt), child.id)
    first = told[begun]
    chain = {first.id} | {
        each.id for each in told.values() if each.events[0][2].link.first_run == first.id
    }
    last = child.events[-1]
    if child.id not in chain:
        yield f"I11 {one.id} {body.node} started {first.id} and was told of {child.id}"
    if _ENDS.get(last[0]) != body.status:
        yield f"I11 {one.id} {body.node} was told {body.status}, {child.id} has {last[0]}"
