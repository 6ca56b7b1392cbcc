"""Ended items of maps: a state has only those in progress, a history has all."""

from __future__ import annotations

import asyncio

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2
from flowmesh.engine import Recorded
from flowmesh.errors import NotFound
from flowmesh.insight.times import NodeTimes, read
from flowmesh.insight.waits import prefix_of
from flowmesh.orchestrator.insight.subjects import Subject, Subjects
from flowmesh.orchestrator.model.messages import NODES_SHOWN_MAX, task_type_of
from flowmesh.orchestrator.storage.redacted_events import without_values
from flowmesh.plan import Plan

_Events = list[history_event_pb2.HistoryEvent]


class EndedItems:
    """Adds ended nodes from histories to executions."""

    def __init__(self, subjects: Subjects) -> None:
        self._subjects = subjects

    async def add(self, execution: execution_pb2.Execution) -> bool:
        """Add nodes up to a bound, each behind its container; return whether there are more."""
        subject = await self._subjects.read(execution.namespace, execution.execution_id)
        return await asyncio.to_thread(_add, execution, subject)

    async def keep_one(self, execution: execution_pb2.Execution, node_id: str) -> None:
        """Remove all nodes but one, which may be only in the history. Raises NotFound."""
        kept = next((node for node in execution.nodes if node.id == node_id), None)
        if kept is None and prefix_of(node_id):
            plan, events = await self._about(execution, node_id)
            known = await asyncio.to_thread(lambda: read(events).nodes.get(node_id))
            kept = _message(plan, known) if known is not None else None
        if kept is None:
            text = f"execution {execution.execution_id} has no task {node_id[:128]!r}"
            raise NotFound("NODE_NOT_FOUND", text)
        del execution.nodes[:]
        execution.nodes.append(kept)

    async def _about(
        self, execution: execution_pb2.Execution, node_id: str
    ) -> tuple[Plan, _Events]:
        """Yield the events of a node from a history of any length."""
        namespace, execution_id = execution.namespace, execution.execution_id
        row = await self._subjects.find(namespace, execution_id)
        if row is None:
            archived = await self._subjects.archived(namespace, execution_id)
            return archived.plan, _of(archived.recorded, node_id)
        events: _Events = []
        async for page in self._subjects.pages(row):
            events += await asyncio.to_thread(_of, page, node_id)
        if execution.HasField("erasure"):
            events = [without_values(event) for event in events]
        return await self._subjects.plan(row), events


def _of(recorded: Recorded, node_id: str) -> _Events:
    found = []
    for event in recorded.messages():
        kind = event.WhichOneof("event")
        if kind and getattr(getattr(event, kind), "node", "") == node_id:
            found.append(event)
    return found


def _add(execution: execution_pb2.Execution, subject: Subject) -> bool:
    shown = {node.id for node in execution.nodes}
    ended = [
        times
        for times in read(subject.events).nodes.values()
        if times.id not in shown and prefix_of(times.id)
    ]
    room = max(0, NODES_SHOWN_MAX - len(shown))
    nodes = [*execution.nodes, *(_message(subject.plan, times) for times in ended[:room])]
    nodes.sort(key=lambda node: _place(subject.plan, node.id))
    del execution.nodes[:]
    execution.nodes.extend(nodes)
    return subject.truncated or len(ended) > room


def _place(plan: Plan, node_id: str) -> tuple[int, ...]:
    """Return the sort key of a node: its place in the definition, below a container by item."""
    place: list[int] = []
    path = ""
    for part in node_id.split("/"):
        name, _, item = part.partition("[")
        place.append(plan.at(f"{path}{name}").index)
        if item:
            place.append(int(item.rstrip("]")))
        path += f"{part}/"
    return tuple(place)


def _message(plan: Plan, times: NodeTimes) -> execution_pb2.Node:
    """Return a node as of its history."""
    planned, prefix = plan.at(times.id), prefix_of(times.id)
    owner = plan.at(prefix[: prefix.rindex("[")])
    graph = owner.body.nodes if owner.body is not None else ()
    last = next(reversed(times.attempts.values()), None)
    return execution_pb2.Node(
        id=times.id,
        name=planned.name,
        status=times.status,
        attempts=len(times.attempts),
        scheduled_at_us=last.ready_us if last is not None else 0,
        started_at_us=times.started_us,
        ended_at_us=times.ended_us,
        output=times.output,
        failure=times.failure,
        dependencies=[prefix + graph[i].id for i in planned.dependencies if graph],
        metadata=times.metadata,
        worker_id=last.worker_id if last is not None else "",
        task_type=task_type_of(planned),
        undoes=prefix + planned.undoes.id if planned.undoes is not None else "",
    )
