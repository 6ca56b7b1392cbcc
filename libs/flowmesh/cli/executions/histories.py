"""`history` and `trace`: the events of an execution, and the durations of its tasks."""

from collections.abc import Iterable
from datetime import datetime
from textwrap import wrap
from typing import TYPE_CHECKING

from flowmesh.cli import output
from flowmesh.cli.arguments import ExecutionArgument
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.executions import tree
from flowmesh.cli.executions.insights import print_report
from flowmesh.cli.executions.shapes import MARKS, progress_text

if TYPE_CHECKING:
    from msgspec import UnsetType

    from flowmesh.insight.traces import AttemptTrace, TaskTrace, Trace
    from flowmesh.sdk import Event, Execution

DATA_CHARACTERS_MAX = 100


@command
async def history(
    execution: ExecutionArgument, /, *, after: int = 0, common: Common = COMMON
) -> None:
    """Print the stored events of an execution; with --json one document per line.

    Args:
        after: Only events after this sequence.
    """
    async with connected(common) as client:
        async for event in client.history(execution, after=after):
            if common.structured:
                output.stream_document(event.as_json())
            else:
                output.line(event_line(event))


def event_line(event: "Event") -> str:
    """`   3  12:00:00.123  TaskRetrying  charge #2  {"error": …}`"""
    node = f"{event.node} #{event.attempt}" if event.attempt else event.node
    data = output.compact(event.data) if event.data else ""
    if len(data) > DATA_CHARACTERS_MAX:
        data = data[: DATA_CHARACTERS_MAX - 1] + "…"
    parts = (f"{event.sequence:>4}", output.clock(event.at), f"{event.type:<17}", node, data)
    return "  ".join(part for part in parts if part)


@command
async def trace(
    execution: ExecutionArgument, /, *, limit: int = 0, common: Common = COMMON
) -> None:
    """Print the tasks of an execution as a tree, with their start times, waits and durations.

    The parent of a task is the dependency that ended last.

    Args:
        limit: Maximum number of tasks inside maps, groups and state machines: failed and slowest
            first (default: 200).
    """
    async with connected(common) as client:
        report = await client.trace(execution, limit=limit)
        if common.structured:
            print_report(report)
            return
        for line in trace_lines(report, await client.get_execution(execution), output.now()):
            output.line(line)
        if report.omitted:
            counts = ", ".join(f"{count:,} {status}" for status, count in report.counts.items())
            output.paragraph(f"… {report.omitted:,} more tasks of items; in total {counts}", "")
            output.line("  flowmesh trace --limit N shows more of them")
        if report.truncated:
            output.problem("flowmesh: the history is longer; the trace is truncated")
        for line in summary_lines(report):
            output.line(line)


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


def trace_lines(report: "Trace", execution: "Execution", now: datetime) -> Iterable[str]:
    """Yield the lines of the tree: one per task, and one per attempt if there are several."""
    took = output.duration(report.duration_ms)
    yield (
        f"{MARKS[execution.status]} {execution.workflow_id} v{execution.workflow_version}"
        f"  {execution.status}  {took}  {execution.id}"
    )
    tasks = {task.id: task for task in report.tasks}
    nodes = {node.id: node for node in execution.nodes}

    def lines(task_id: str) -> list[str]:
        task = tasks[task_id]
        begun_ms, ended_ms = _ms(task.ready_ms), _ms(task.ended_ms)
        at = "not started" if begun_ms is None else f"at +{output.duration(begun_ms)}"
        status = "completed" if task.status == "success" else task.status
        if ended_ms is None and status == "running":
            ended_ms = report.duration_ms
        took_ms = None if begun_ms is None or ended_ms is None else ended_ms - begun_ms
        first = f"{MARKS[status]} {task.id}  {output.duration(took_ms)}  {at}"
        if status == "running" and task.id in nodes:
            first += f"  {progress_text(nodes[task.id], now)}"
        if status in ("skipped", "canceled", "failed"):
            first += f"  {status}"
        if len(task.attempts) < 2 and not any(each.deliveries > 1 for each in task.attempts):
            return [first + "".join(map(_attempt_suffix, task.attempts))]
        return [first, *map(_attempt_line, task.attempts)]

    yield from tree.draw(_parents(tasks), lines)


def _parents(tasks: "dict[str, TaskTrace]") -> dict[str, str]:
    ended = {id_: task.ended_ms for id_, task in tasks.items() if isinstance(task.ended_ms, float)}
    found = tree.parents({id_: task.dependencies for id_, task in tasks.items()}, ended)
    # The parent of an item's node without dependencies is its container.
    for task_id, parent in found.items():
        if not parent and "/" in task_id:
            container = task_id[: task_id.rindex("[")]
            found[task_id] = container if container in tasks else ""
    return found


def _attempt_suffix(attempt: "AttemptTrace") -> str:
    """Return the wait if it was longer than the run, and the error."""
    waited, ran = _ms(attempt.wait_ms), _ms(attempt.run_ms)
    shown = f"  waited {output.duration(waited)}" if waited and ran and waited > ran else ""
    return shown + _error_text(attempt)


def _attempt_line(attempt: "AttemptTrace") -> str:
    ready, waited = output.duration(attempt.ready_ms), output.duration(_ms(attempt.wait_ms))
    again = f", delivered {attempt.deliveries} times" if attempt.deliveries > 1 else ""
    ran = output.duration(_ms(attempt.run_ms))
    number, error = attempt.attempt, _error_text(attempt)
    return f"attempt {number}: at +{ready}, waited {waited}, ran {ran}{again}{error}"


def _error_text(attempt: "AttemptTrace") -> str:
    return f"  {attempt.error.class_}: {attempt.error.message}" if attempt.error else ""


def _ms(value: "float | UnsetType") -> float | None:
    return value if isinstance(value, float) else None
