"""`state-at`, `compare`, `watch-variable`, `explain`, `bottlenecks`: what histories tell."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionId, Target, WorkflowId
from flowmesh.cli.common import COMMON, Common, guarded, run
from flowmesh.cli.definitions.offline import checked
from flowmesh.cli.definitions.sources import read_source
from flowmesh.cli.refusals import Refused

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
"""Causes that nothing but somebody's doing ends."""


def document(report: "Part") -> None:
    """A report as REST shows it."""
    from msgspec import to_builtins

    output.document(to_builtins(report))


def state_at(execution: ExecutionId, at: str = "", /, *, common: Common = COMMON) -> int:
    """Show an execution as it was after one of its events, or at a time.

    Parameters
    ----------
    execution
        Id of the execution.
    at
        A sequence of its history, or a time such as 2026-01-31T12:00:00Z; the end without one.
    """

    async def work(client: "Client") -> int:
        report = await client.state_at(execution, _moment(at))
        if common.structured:
            document(report)
        else:
            _show_state(report)
        return exit_codes.DONE

    return run(common, work)


def _moment(text: str) -> int | datetime:
    if not text:
        return 0
    if text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        hint = "a sequence such as 42, or a time such as 2026-01-31T12:00:00Z"
        raise Refused(f"{text!r} is neither", hint, exit_codes.USAGE) from None
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


def compare(left: ExecutionId, right: ExecutionId, /, *, common: Common = COMMON) -> int:
    """Show two executions side by side. Exit code 1 if they differ.

    Parameters
    ----------
    left
        Id of an execution.
    right
        Id of another one.
    """

    async def work(client: "Client") -> int:
        report = await client.compare(left, right)
        if common.structured:
            document(report)
        else:
            _show_comparison(report)
        return exit_codes.DONE if report.same else exit_codes.FAILED

    return run(common, work)


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
        output.line("they went the same way" if report.same else "they end differently")


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
    """A name and two sides, in 80 columns."""
    width = WIDTH - 2 * HALF - 4
    parts = (_cut(name, width).ljust(width), _cut(left, HALF).ljust(HALF), _cut(right, HALF))
    output.line("  ".join(parts).rstrip())


def watch_variable(execution: ExecutionId, path: str, /, *, common: Common = COMMON) -> int:
    """Follow a value along the chain of tasks: who set it, who read it, what it was.

    Parameters
    ----------
    execution
        Id of the execution.
    path
        As templates write it: input.order.id, tasks.charge.output.amount, context.total,
        states.loop.count, signals.approved.
    """

    async def work(client: "Client") -> int:
        report = await client.watch_variable(execution, path)
        if common.structured:
            document(report)
        else:
            _show_watch(report)
        return exit_codes.DONE

    return run(common, work)


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
        output.problem("flowmesh: the history is longer than what is shown")


def explain(target: Target, /, *, task: str = "", common: Common = COMMON) -> int:
    """Say why an execution, or a task of it, waits; or what is wrong with a workflow.

    An execution by its id; a workflow by its id, or a file of definitions: then what would keep
    its executions from ending, which are circles, missing workers and limits that do not fit.
    Exit code 1 where nothing goes on by itself.

    Parameters
    ----------
    target
        Id of an execution or of a workflow, or a file.
    task
        Only why this task of the execution waits.
    """
    if Path(target).is_file():
        return guarded(common, lambda: _explain_file(common, target))

    async def work(client: "Client") -> int:
        if not target.startswith("exec-"):
            return _show_diagnosis(common, await client.explain_workflow(target))
        report = await client.explain(target, task)
        if common.structured:
            document(report)
        else:
            _show_explanation(report)
        return _code(report.findings)

    return run(common, work)


def _code(findings: "list[Finding]") -> int:
    return exit_codes.FAILED if any(each.cause in STUCK for each in findings) else exit_codes.DONE


def _show_explanation(report: "Explanation") -> None:
    output.line(f"{report.execution_id}  {report.workflow} v{report.version}  {report.status}")
    for each in report.findings:
        _show_finding(each)
    if report.truncated:
        counts = ", ".join(f"{count} {cause}" for cause, count in report.counts.items())
        _line(f"in all: {counts}")
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
    """What is wrong with a definition, found in this process: no suite is needed."""
    from flowmesh.definitions import errors_in
    from flowmesh.dryrun.source import bundled_task, plan_in
    from flowmesh.insight.causes import Cause, Diagnosis, finding
    from flowmesh.insight.diagnosing import diagnose
    from flowmesh.plan import compile_plan

    here = checked(read_source([name]))
    wrong = errors_in(here.problems)
    if not wrong and here.unchecked:
        names = ", ".join(here.unchecked)
        text = f"{name} cannot be explained without {names}, not bundled with Flowmesh"
        raise Refused(text, "register it, and explain the workflow by its id")
    if wrong:
        found = [
            finding(
                Cause.GRAPH_CYCLE if each.code == "GRAPH_CYCLE" else Cause.DEFINITION_INVALID,
                problem=each.message,
                code=each.code,
            )
            for each in wrong
        ]
        return _show_diagnosis(common, Diagnosis(workflow=name, version=0, findings=found))
    return _show_diagnosis(
        common, diagnose(compile_plan(plan_in(here.reading, bundled_task, "")), None)
    )


def _show_diagnosis(common: Common, report: "Diagnosis") -> int:
    if common.structured:
        document(report)
    else:
        version = f" v{report.version}" if report.version else ""
        found = f"{len(report.findings)} found" if report.findings else "nothing found"
        output.line(f"{report.workflow}{version}: {found}")
        for each in report.findings:
            _show_finding(each)
    return exit_codes.FAILED if report.findings else exit_codes.DONE


def bottlenecks(workflow: WorkflowId, /, *, executions: int = 0, common: Common = COMMON) -> int:
    """Rank the tasks of a workflow by the time they cost its last executions.

    Parameters
    ----------
    workflow
        Id of the workflow.
    executions
        Of how many executions at most; 0 is 100.
    """

    async def work(client: "Client") -> int:
        report = await client.bottlenecks(workflow, executions=executions)
        if common.structured:
            document(report)
        else:
            _show_bottlenecks(report)
        return exit_codes.DONE

    return run(common, work)


def _show_bottlenecks(report: "Bottlenecks") -> None:
    took = report.duration
    output.line(
        f"{report.workflow}: {report.executions} executions,"
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
