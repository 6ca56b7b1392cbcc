"""`dry-run`: what an execution would do, in this process or at the suite."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import FileName, Files, Flag, JsonText, WorkflowId
from flowmesh.cli.common import COMMON, Common, guarded, run
from flowmesh.cli.definitions.offline import checked
from flowmesh.cli.definitions.problems import tell
from flowmesh.cli.definitions.sources import Source, file_text, read_source, read_value
from flowmesh.cli.definitions.versions import chosen
from flowmesh.cli.executions.shapes import MARKS
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.dryrun.report import Call, Report
    from flowmesh.sdk import Client


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
    """Run a workflow with the real engine on a virtual clock; no call leaves.

    A workflow of a suite by its id; with -f one of the files, for which no suite is needed. Tasks
    come from the files or with Flowmesh, others need --remote. They answer what their mock says,
    else a value that fits their output schema; transforms, conditions and code run. Exit code 1
    unless it completes.

    Parameters
    ----------
    workflow
        Id of the workflow; with -f which one, where there are several.
    input
        JSON, @file, or - for standard input.
    mocks
        YAML or JSON file of answers by node, task or task type.
    signals
        YAML or JSON file with a list of signals: name, payload, after.
    version
        Number or label of a version of a stored workflow; the newest without one.
    remote
        With -f: at the suite, where the tasks of its library are.
    """

    def work() -> int:
        given = read_value(input, "--input")
        stand_ins = (_data(mocks), _data(signals))
        if file and not remote:
            return _show(common, _here(read_source(file), workflow, given, *stand_ins))
        if not file and not workflow:
            raise Refused("no workflow is named", "give its id, or -f FILE", exit_codes.USAGE)
        source = read_source(file).text if file else None

        async def there(client: "Client") -> int:
            report = await client.dry_run(
                workflow,
                given,
                definition=source,
                mocks=stand_ins[0],
                signals=stand_ins[1] or (),
                version=chosen(version),
            )
            return _show(common, report)

        return run(common, there)

    return guarded(common, work)


def _data(name: str) -> Any:
    """What a file of mocks or signals holds; YAML has JSON in it."""
    if not name:
        return None
    from flowmesh.definitions.reading.yaml_text import Unreadable, read_yaml

    try:
        documents = read_yaml(file_text(Path(name)))
    except Unreadable as error:
        place = f"{name}:{error.problem.line}:{error.problem.column}"
        raise Refused(f"{place}: {error.problem.text()}", code=exit_codes.USAGE) from None
    return documents[0] if documents else None


def _here(source: Source, workflow: str, given: Any, mocks: Any, signals: Any) -> "Report":
    from flowmesh.definitions import errors_in
    from flowmesh.dryrun.run import dry_run
    from flowmesh.dryrun.source import bundled_task, plan_in, stand_ins
    from flowmesh.sandbox import Sandbox

    found_here = checked(source)
    for problem in errors_in(found_here.problems):
        tell(problem, "error", problem.place, source)
    if not found_here.valid:
        raise Refused("nothing can be run")
    if found_here.unchecked:
        names = ", ".join(found_here.unchecked)
        text = f"nothing can be run without {names}, in no file and not bundled with Flowmesh"
        raise Refused(text, "name the files of these tasks too, or use --remote")
    plan = plan_in(found_here.reading, bundled_task, workflow)
    found, after = stand_ins(mocks, signals, plan)

    async def work() -> "Report":
        async with Sandbox() as sandbox:
            return await dry_run(plan, given, sandbox=sandbox, mocks=found, signals=after)

    return asyncio.run(work())


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
    headers = "".join(f"\n      {name}: {value}" for name, value in (call.headers or {}).items())
    return f"{call.node}{attempt}: {call.method} {call.url}{body}{headers}"
