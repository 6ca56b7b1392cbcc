"""`dry-run`: a run of a workflow in memory, in this process or at the suite."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import FileName, Files, Flag, JsonText, WorkflowId
from flowmesh.cli.common import COMMON, Common, command, run
from flowmesh.cli.definitions.offline import check_offline
from flowmesh.cli.definitions.problems import print_problem
from flowmesh.cli.definitions.sources import Source, file_text, read_source, read_value
from flowmesh.cli.definitions.versions import parse_version
from flowmesh.cli.executions.shapes import MARKS
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.dryrun.report import Call, Report
    from flowmesh.sdk import Client


@command
def dry_run(
    workflow: WorkflowId = "",
    /,
    *,
    file: Files | None = None,
    input: JsonText = "{}",
    mocks: FileName = "",
    signals: FileName = "",
    version: str = "",
    remote: Flag = False,
    common: Common = COMMON,
) -> int:
    """Run a workflow in memory with the real engine on a virtual clock, without calls.

    Runs a registered workflow, or with -f a workflow of the files, which needs no suite. Tasks are
    resolved from the files and the bundled library; others need --remote. A task returns the
    result of its mock, or a value that matches its output schema. Transforms, conditions and code
    are executed. Exit code 1 unless the workflow completes.

    Args:
        workflow: Id of the workflow; with -f needed only if the files contain several.
        input: JSON, @file, or - for standard input.
        mocks: YAML or JSON file with results by node, task or task type.
        signals: YAML or JSON file with a list of signals: name, payload, after.
        version: Number or label of the version of a registered workflow; the newest by default.
        remote: With -f: run at the suite, with its registered tasks.
    """

    value = read_value(input, "--input")
    mock_values, signal_values = _read_file(mocks), _read_file(signals)
    if file and not remote:
        report = _run_here(read_source(file), workflow, value, mock_values, signal_values)
        return _show(common, report)
    if not file and not workflow:
        raise Refused("no workflow is named", "give its id, or -f FILE", exit_codes.USAGE)
    source = read_source(file).text if file else None

    async def run_remotely(client: "Client") -> int:
        report = await client.dry_run(
            workflow,
            value,
            definition=source,
            mocks=mock_values,
            signals=signal_values or (),
            version=parse_version(version),
        )
        return _show(common, report)

    return run(common, run_remotely)


def _read_file(name: str) -> Any:
    """Return the value of a YAML or JSON file of mocks or signals; None without a name."""
    if not name:
        return None
    from flowmesh.definitions.reading.yaml_text import Unreadable, read_yaml

    try:
        documents = read_yaml(file_text(Path(name)))
    except Unreadable as error:
        place = f"{name}:{error.problem.line}:{error.problem.column}"
        raise Refused(f"{place}: {error.problem.text()}", code=exit_codes.USAGE) from None
    return documents[0] if documents else None


def _run_here(source: Source, workflow: str, value: Any, mocks: Any, signals: Any) -> "Report":
    from flowmesh.definitions import errors_in
    from flowmesh.dryrun.run import dry_run
    from flowmesh.dryrun.source import bundled_task, plan_in, stand_ins
    from flowmesh.sandbox import Sandbox

    checked = check_offline(source)
    for problem in errors_in(checked.problems):
        print_problem(problem, "error", problem.place, source)
    if not checked.valid:
        raise Refused("the definitions are invalid; no workflow was run")
    if checked.unchecked:
        names = ", ".join(checked.unchecked)
        text = f"unknown tasks: {names}; not in the files and not bundled with Flowmesh"
        raise Refused(text, "add the files of these tasks, or use --remote")
    plan = plan_in(checked.reading, bundled_task, workflow)
    found_mocks, sent_signals = stand_ins(mocks, signals, plan)

    async def run_in_sandbox() -> "Report":
        async with Sandbox() as sandbox:
            return await dry_run(
                plan, value, sandbox=sandbox, mocks=found_mocks, signals=sent_signals
            )

    return asyncio.run(run_in_sandbox())


def _show(common: Common, report: "Report") -> int:
    code = exit_codes.DONE if report.status == "completed" else exit_codes.FAILED
    if common.structured:
        from msgspec import to_builtins

        output.document(to_builtins(report))
        return code
    took = output.duration(report.duration_ms)
    output.line(f"{MARKS[report.status]} {report.workflow}  {report.status}  {took} (virtual)")
    if report.error:
        where = f" in {report.error.task_id}" if report.error.task_id else ""
        output.line(f"  {report.error.class_}{where}: {report.error.message}")
    if report.waiting_for:
        output.line(f"  waits for {', '.join(report.waiting_for)}")
    for node in report.nodes:
        parts = [f"{MARKS[node.status]} {node.id}", node.status]
        if node.attempts > 1:
            parts.append(f"attempt {node.attempts}")
        if node.error:
            parts.append(f"{node.error.class_}: {node.error.message}")
        elif node.status == "completed" and node.kind == "task":
            parts.append(f"{output.compact(node.output)} ({node.output_from})")
        output.line("  " + "  ".join(parts))
    if report.calls:
        output.line("calls that would be made:")
        for call in report.calls:
            output.line(f"  {_call_line(call)}")
            for name, value in (call.headers or {}).items():
                output.line(f"      {name}: {value}")
    for name in report.unused_mocks:
        output.problem(f"flowmesh: the mock of {name} was not used")
    if report.status == "completed":
        output.document(report.output)
    return code


def _call_line(call: "Call") -> str:
    attempt = f" attempt {call.attempt}" if call.attempt > 1 else ""
    if not call.url:
        return f"{call.node}{attempt}: {call.type} {output.compact(call.input)}"
    body = f" {output.compact(call.body)}" if call.body else ""
    return f"{call.node}{attempt}: {call.method} {call.url}{body}"
