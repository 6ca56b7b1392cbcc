"""`history` and `trace`: the events of an execution, and the durations of its tasks."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from textwrap import wrap
from typing import TYPE_CHECKING

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionArgument
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.executions import tree
from flowmesh.cli.executions.insights import print_report
from flowmesh.cli.executions.shapes import MARKS, progress_text, shown_nodes

if TYPE_CHECKING:
    from flowmesh.insight.traces import Trace
    from flowmesh.sdk import Event, Execution, Node

DATA_CHARACTERS_MAX = 100


@command
async def history(
    execution: ExecutionArgument, /, *, after: int = 0, common: Common = COMMON
) -> int:
    """Print the stored events of an execution; with --json one document per line.

    Parameters
    ----------
    after
        Only events after this sequence.
    """
    async with connected(common) as client:
        async for event in client.history(execution, after=after):
            if common.structured:
                output.stream_document(event.as_json())
            else:
                output.line(event_line(event))
        return exit_codes.DONE


def event_line(event: "Event") -> str:
    """`   3  12:00:00.123  TaskRetrying  charge #2  {"error": …}`"""
    node = f"{event.node} #{event.attempt}" if event.attempt else event.node
    data = output.compact(event.data) if event.data else ""
    if len(data) > DATA_CHARACTERS_MAX:
        data = data[: DATA_CHARACTERS_MAX - 1] + "…"
    parts = (f"{event.sequence:>4}", output.clock(event.at), f"{event.type:<17}", node, data)
    return "  ".join(part for part in parts if part)


@dataclass(slots=True)
class Attempt:
    """The times and the error of an attempt."""

    number: int
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    worker: str = ""
    # Above 1 if the attempt was sent again after the failure of a worker or an orchestrator.
    deliveries: int = 1
    error: str = ""

    @property
    def waited_ms(self) -> float | None:
        return _between(self.scheduled_at, self.started_at or self.ended_at)

    @property
    def ran_ms(self) -> float | None:
        return _between(self.started_at, self.ended_at)


@dataclass(slots=True)
class Span:
    """A node with its attempts."""

    node: "Node"
    attempts: dict[int, Attempt] = field(default_factory=dict)

    def attempt(self, number: int) -> Attempt:
        return self.attempts.setdefault(number, Attempt(number))

    @property
    def started_at(self) -> datetime | None:
        """The time at which the first attempt became ready; the node has only the last one."""
        first = min(self.attempts, default=0)
        known = self.attempts[first].scheduled_at if first else None
        return known or self.node.scheduled_at or self.node.started_at

    @property
    def took_ms(self) -> float | None:
        return _between(self.started_at, self.node.ended_at)


def spans_of(nodes: Iterable["Node"], events: Iterable["Event"]) -> dict[str, Span]:
    """Return the nodes of an execution with the attempts that its events describe."""
    spans = {node.id: Span(node) for node in nodes}
    for event in events:
        span = spans.get(event.node)
        if span is not None and event.attempt:
            _apply(span.attempt(event.attempt), event)
    return spans


def _apply(attempt: Attempt, event: "Event") -> None:
    match event.type:
        case "TaskScheduled":
            attempt.scheduled_at = event.at
        case "TaskStarted":
            started = event.data.get("startedAt")
            attempt.started_at = datetime.fromisoformat(started) if started else event.at
            attempt.worker = event.data.get("workerId", "")
            attempt.deliveries = event.data.get("delivery", 1)
        case "TaskCompleted" | "TaskFailed" | "TaskRetrying" | "TaskCanceled":
            attempt.ended_at = event.at
            if error := event.data.get("error"):
                attempt.error = f"{error['class']}: {error['message']}"


@command
async def trace(execution: ExecutionArgument, /, *, common: Common = COMMON) -> int:
    """Print the tasks of an execution as a tree, with their start times, waits and durations.

    The parent of a task is the dependency that ended last.
    """
    async with connected(common) as client:
        report = await client.trace(execution)
        if common.structured:
            print_report(report)
            return exit_codes.DONE
        found = await client.get_execution(execution, ended_items=True)
        nodes, omitted = shown_nodes(found.nodes)
        spans = spans_of(nodes, [event async for event in client.history(execution)])
        for line in trace_lines(found, spans, datetime.now(UTC)):
            output.line(line)
        if omitted:
            output.line(f"… {omitted:,} more ended tasks of items; --json lists them")
        for line in summary_lines(report):
            output.line(line)
        return exit_codes.DONE


def summary_lines(report: "Trace") -> Iterable[str]:
    """Yield the critical path, the bottleneck, and the waits for limits."""
    yield from wrap(f"critical path: {' > '.join(report.critical_path)}", 80)
    if report.bottleneck:
        yield from wrap(f"bottleneck: {report.bottleneck.text}", 80)
    groups = report.groups
    if groups.actual_width < groups.planned_width:
        yield f"parallel: {groups.planned_width} tasks planned, at most {groups.actual_width} ran"
    reasons: dict[str, float] = {}
    for task in report.tasks:
        for each in task.waits:
            if each.reason != "dependency":
                waited = reasons.get(each.reason, 0.0) + each.to_ms - each.from_ms
                reasons[each.reason] = waited
    for reason, waited in sorted(reasons.items(), key=lambda each: -each[1]):
        yield f"waited for {reason}: {output.duration(waited)} in total"


def trace_lines(execution: "Execution", spans: dict[str, Span], now: datetime) -> Iterable[str]:
    """Yield the lines of the tree: one per node, and one per attempt if there are several."""
    took = output.duration(execution.duration_ms)
    yield (
        f"{MARKS[execution.status]} {execution.workflow_id} v{execution.workflow_version}"
        f"  {execution.status}  {took}  {execution.id}"
    )
    start = execution.started_at

    def lines(node_id: str) -> list[str]:
        span = spans[node_id]
        offset = _between(start, span.started_at)
        at = f"at +{output.duration(offset)}" if offset is not None else "not started"
        node = span.node
        took_ms = span.took_ms if node.status.ended else _between(span.started_at, now)
        first = f"{MARKS[node.status]} {node.id}  {output.duration(took_ms)}  {at}"
        if node.status == "running":
            first += f"  {progress_text(node, now)}"
        if node.status in ("skipped", "canceled", "failed"):
            first += f"  {node.status}"
        if len(span.attempts) < 2 and not any(a.deliveries > 1 for a in span.attempts.values()):
            return [first + "".join(map(_attempt_suffix, span.attempts.values()))]
        return [first, *(_attempt_line(attempt, start) for attempt in span.attempts.values())]

    yield from tree.draw(_parents(spans), lines)


def _parents(spans: dict[str, Span]) -> dict[str, str]:
    ended = {
        node_id: span.node.ended_at.timestamp()
        for node_id, span in spans.items()
        if span.node.ended_at
    }
    dependencies = {node_id: span.node.dependencies for node_id, span in spans.items()}
    found = tree.parents(dependencies, ended)
    # The parent of an item's node without dependencies is its container.
    for node_id, parent in found.items():
        if not parent and "/" in node_id:
            container = node_id[: node_id.rindex("[")]
            found[node_id] = container if container in spans else ""
    return found


def _attempt_suffix(attempt: Attempt) -> str:
    """Return the wait if it was longer than the run, and the error."""
    waited, ran = attempt.waited_ms, attempt.ran_ms
    shown = f"  waited {output.duration(waited)}" if waited and ran and waited > ran else ""
    return shown + (f"  {attempt.error}" if attempt.error else "")


def _attempt_line(attempt: Attempt, start: datetime | None) -> str:
    offset = output.duration(_between(start, attempt.scheduled_at))
    waited, ran = output.duration(attempt.waited_ms), output.duration(attempt.ran_ms)
    again = f", delivered {attempt.deliveries} times" if attempt.deliveries > 1 else ""
    error = f"  {attempt.error}" if attempt.error else ""
    return f"attempt {attempt.number}: at +{offset}, waited {waited}, ran {ran}{again}{error}"


def _between(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None:
        return None
    return max(0.0, (end - start).total_seconds() * 1000)
