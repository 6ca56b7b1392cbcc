"""`state-at`, `compare`, `watch-variable`, `explain`, `bottlenecks`: reports of insight."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionArgument, ExecutionId, Target, WorkflowArgument
from flowmesh.cli.common import COMMON, Common, command, connected, run
from flowmesh.cli.definitions.offline import check_offline
from flowmesh.cli.definitions.sources import read_source
from flowmesh.cli.operations.console import print_page_link
from flowmesh.cli.refusals import Refused
from flowmesh.contract.nouns import counted
from flowmesh.jsontext.integers import is_whole

if TYPE_CHECKING:
    from flowmesh.insight.bottlenecks import Bottlenecks
    from flowmesh.insight.causes import Diagnosis, Explanation, Finding
    from flowmesh.insight.parts import Part
    from flowmesh.insight.reports import Comparison, NodeSide, Watch
    from flowmesh.insight.states import StateAt
    from flowmesh.sdk import Client

WIDTH = 80
HALF = 26
ACTIONS = {"set": "set", "read": "read", "pass": ""}
STUCK = frozenset({"NO_WORKER", "PARTITION_UNOWNED", "GOES_ROUND", "NOTHING_OPEN"})
"""Causes that end only by an action of an operator."""


def print_report(report: "Part") -> None:
    """Write a report in its REST form."""
    from msgspec import to_builtins

    output.document(to_builtins(report))


@command
async def state_at(
    execution: ExecutionArgument, at: str = "", /, *, common: Common = COMMON
) -> None:
    """Show the state of an execution after an event, or at a time.

    Args:
        at: Sequence of an event, or a time such as 2026-01-31T12:00:00Z; the last event by default.
    """
    async with connected(common) as client:
        report = await client.state_at(execution, _moment(at))
        if common.structured:
            print_report(report)
        else:
            _show_state(report)


def _moment(text: str) -> int | datetime:
    if not text:
        return 0
    if is_whole(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        hint = "write 42, or 2026-01-31T12:00:00Z"
        text = f"{text!r} is neither the sequence of an event nor a time"
        raise Refused(text, hint, exit_codes.USAGE) from None
    return moment


def _show_state(report: "StateAt") -> None:
    counts = ", ".join(f"{count} {word}" for word, count in report.counts.items())
    task = f" {report.task_id}" if report.task_id else ""
    output.line(
        f"{report.execution_id}  event {report.sequence} of {report.last_sequence}"
        f"  {output.clock(report.at)}"
    )
    output.line(f"{report.event}{task}; {report.workflow} is {report.status}: {counts}")
    for name, node in report.nodes.items():
        attempt = f"  attempt {node.attempt}" if node.attempt > 1 else ""
        error = f"  {node.error.class_}: {node.error.message}" if node.error else ""
        _line(f"  {name}  {node.status}{attempt}{error}")
    for title, names in (
        ("held", report.held),
        ("queued", report.queued),
        ("at workers", report.at_workers),
    ):
        if names:
            _line(f"{title}: {', '.join(names)}")
    for timer in report.timers:
        output.line(f"timer of {timer.task_id} due {output.clock(timer.due_at)}")
    for signal, names in report.awaiting.items():
        _line(f"signal {signal} awaited by {', '.join(names)}")
    output.line("variables:")
    _line(f"  input = {output.compact(report.variables.input)}")
    for name, value in report.variables.tasks.items():
        _line(f"  tasks.{name}.output = {output.compact(value)}")
    for name, value in report.variables.states.items():
        _line(f"  states.{name} = {output.compact(value)}")


@command
async def compare(left: ExecutionId, right: ExecutionId, /, *, common: Common = COMMON) -> int:
    """Compare two executions side by side. Exit code 1 if they differ.

    Args:
        left: Id of the first execution.
        right: Id of the second execution.
    """
    async with connected(common) as client:
        report = await client.compare(left, right)
        if common.structured:
            print_report(report)
        else:
            _show_comparison(report)
        return exit_codes.DONE if report.same else exit_codes.FAILED


def _show_comparison(report: "Comparison") -> None:
    left, right = report.left, report.right
    _beside("", left.execution_id, right.execution_id)
    _beside("workflow", f"{left.workflow} v{left.version}", f"{right.workflow} v{right.version}")
    _beside("plan", left.plan_digest[:12], right.plan_digest[:12])
    _beside("status", left.status, right.status)
    _beside("duration", output.duration(left.duration_ms), output.duration(right.duration_ms))
    _beside("attempts", str(left.attempts), str(right.attempts))
    _show_differences("input", report.input)
    _show_differences("output", report.output)
    output.line()
    for node in report.nodes:
        mark = "≠" if node.differs else " "
        _beside(f"{mark} {node.id}", _node_side(node.left), _node_side(node.right))
        _show_differences("  input", node.input or [])
        _show_differences("  output", node.output or [])
    output.line()
    divergence = report.first_divergence
    if divergence:
        output.line(f"first divergence: {divergence.text}")
    else:
        output.line("no difference" if report.same else "they end differently")


def _node_side(side: "NodeSide | Any") -> str:
    if not side:
        return "-"
    attempts = f" x{side.attempts}" if side.attempts > 1 else ""
    took = f" {output.duration(side.duration_ms)}" if side.duration_ms else ""
    error = f" {side.error.class_}" if side.error else ""
    return f"{side.status}{attempts}{took}{error}"


def _show_differences(name: str, differences: "list[Any]") -> None:
    for each in differences:
        path = f"{name}.{each.path}" if each.path and each.path[0] != "[" else name + each.path
        before = "-" if each.action == "added" else output.compact(each.before)
        after = "-" if each.action == "removed" else output.compact(each.after)
        _beside(f"≠ {path}", before, after)


def _beside(name: str, left: str, right: str) -> None:
    """Print a name and two values in 80 columns."""
    width = WIDTH - 2 * HALF - 4
    parts = (_cut(name, width).ljust(width), _cut(left, HALF).ljust(HALF), _cut(right, HALF))
    output.line("  ".join(parts).rstrip())


@command
async def watch_variable(
    execution: ExecutionArgument, path: str, /, *, common: Common = COMMON
) -> None:
    """Trace a value through the tasks of an execution: writers, readers and values.

    Args:
        path: Path as in templates: input.order.id, tasks.charge.output.amount, context.total,
            states.loop.count, signals.approved.
    """
    async with connected(common) as client:
        report = await client.watch_variable(execution, path)
        if common.structured:
            print_report(report)
        else:
            _show_watch(report)


def _show_watch(report: "Watch") -> None:
    from msgspec import UNSET

    output.line(f"{report.path} in {report.execution_id}")
    for step in report.steps:
        value = "-" if step.value is UNSET else output.compact(step.value)
        task = step.task_id or step.event
        _line(f"{step.sequence:>5}  {ACTIONS[step.action]:<4}  {task:<20}  {value}")
    if report.readers:
        _line(f"read by {', '.join(report.readers)}")
    if report.truncated:
        output.problem("flowmesh: the history is longer; the list is truncated")


@command
def explain(target: Target, /, *, task: str = "", common: Common = COMMON) -> int:
    """Explain why an execution or one of its tasks waits, or report obstacles in a workflow.

    For a workflow, by id or as a file, the command reports conditions that prevent its executions
    from ending: cycles, missing workers, and conflicting limits.
    Exit code 1 if an operator must act.

    Args:
        target: Id of an execution or of a workflow, or a file.
        task: Explain only this task of the execution.
    """
    if Path(target).is_file():
        return _explain_file(common, target)
    return run(common, lambda client: _explain(client, common, target, task))


async def _explain(client: "Client", common: Common, target: str, task: str) -> int:
    if not target.startswith("exec-"):
        return _show_diagnosis(common, await client.explain_workflow(target))
    report = await client.explain(target, task)
    if common.structured:
        print_report(report)
    else:
        _show_explanation(report)
    await print_page_link(client, common, target)
    return _code(report.findings)


def _code(findings: "list[Finding]") -> int:
    return exit_codes.FAILED if any(each.cause in STUCK for each in findings) else exit_codes.DONE


def _show_explanation(report: "Explanation") -> None:
    output.line(f"{report.execution_id}  {report.workflow} v{report.version}  {report.status}")
    for each in report.findings:
        _show_finding(each)
    if report.truncated:
        counts = ", ".join(f"{count} {cause}" for cause, count in report.counts.items())
        _line(f"in total: {counts}")
    if report.next_at:
        output.line(f"next timer {output.moment(report.next_at)}")
    if report.ends_by:
        output.line(f"ends by {output.moment(report.ends_by)} at the latest")


def _show_finding(found: "Finding") -> None:
    task = f"{found.task_id}: " if found.task_id else ""
    output.paragraph(f"{task}{found.text} [{found.cause}]", "")
    if found.since:
        output.line(f"  since {output.moment(found.since)}")
    if found.until:
        output.line(f"  until {output.moment(found.until)}")
    output.paragraph(f"-> {found.remedy}", "  ")


def _explain_file(common: Common, name: str) -> int:
    """Report the obstacles in a workflow of a file, without a suite."""
    from flowmesh.definitions import errors_in
    from flowmesh.dryrun.source import bundled_task, plan_in
    from flowmesh.insight.causes import Cause, Diagnosis, finding
    from flowmesh.insight.diagnosing import diagnose
    from flowmesh.plan import compile_plan

    checked = check_offline(read_source([name]))
    errors = errors_in(checked.problems)
    if not errors and checked.unchecked:
        names = ", ".join(checked.unchecked)
        text = f"{name} uses unknown tasks: {names}; not in the file and not bundled with Flowmesh"
        raise Refused(text, "register it, and explain the workflow by its id")
    if errors:
        found = [
            finding(
                Cause.GRAPH_CYCLE if each.code == "GRAPH_CYCLE" else Cause.DEFINITION_INVALID,
                problem=each.message,
                code=each.code,
            )
            for each in errors
        ]
        return _show_diagnosis(common, Diagnosis(workflow=name, version=0, findings=found))
    return _show_diagnosis(
        common, diagnose(compile_plan(plan_in(checked.reading, bundled_task, "")), None)
    )


def _show_diagnosis(common: Common, report: "Diagnosis") -> int:
    if common.structured:
        print_report(report)
    else:
        version = f" v{report.version}" if report.version else ""
        found = f"{len(report.findings)} found" if report.findings else "nothing found"
        output.line(f"{report.workflow}{version}: {found}")
        for each in report.findings:
            _show_finding(each)
    return exit_codes.FAILED if report.findings else exit_codes.DONE


@command
async def bottlenecks(
    workflow: WorkflowArgument, /, *, executions: int = 0, common: Common = COMMON
) -> None:
    """Rank the tasks of a workflow by their cost in time in the last executions.

    Args:
        executions: Maximum number of executions to analyze; 0 is 100.
    """
    async with connected(common) as client:
        report = await client.bottlenecks(workflow, executions=executions)
        if common.structured:
            print_report(report)
        else:
            _show_bottlenecks(report)


def _show_bottlenecks(report: "Bottlenecks") -> None:
    took = report.duration
    output.line(
        f"{report.workflow}: {counted(report.executions, 'execution')},"
        f" p50 {output.duration(took.p50_ms)}, p95 {output.duration(took.p95_ms)},"
        f" p99 {output.duration(took.p99_ms)}"
    )
    rows = [
        (
            _cut(node.id, HALF),
            f"{node.share:.0%}",
            str(node.reason),
            output.duration(node.run.p50_ms),
            output.duration(node.run.p99_ms),
            output.duration(node.wait.p99_ms),
            str(node.failed + node.retries),
        )
        for node in report.nodes
    ]
    header = ("TASK", "SHARE", "BY", "RUN P50", "P99", "WAIT P99", "FAILED")
    output.columns(header, rows, none="No tasks found.")
    if report.nodes:
        output.paragraph(report.nodes[0].text, "")


def _line(text: str) -> None:
    output.line(_cut(text, WIDTH))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
