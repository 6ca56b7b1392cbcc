"""`start`, `cancel`, `pause`, `resume`, `terminate`, `signal`; executions of `get` and `list`."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import (
    ExecutionArgument,
    Flag,
    HistoryReason,
    JsonText,
    ListLimit,
    NodeId,
    RequestId,
    Texts,
    WorkflowArgument,
    WorkflowId,
)
from flowmesh.cli.common import COMMON, Common, collect, command, connected, run
from flowmesh.cli.definitions.sources import read_value
from flowmesh.cli.definitions.versions import parse_version
from flowmesh.cli.executions.shapes import (
    MARKS,
    execution_json,
    node_json,
    node_line,
    shown_nodes,
    traceback_of,
    value_json,
)
from flowmesh.cli.operations.console import print_page_link
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import Client, Execution, Handle
    from flowmesh.sdk.values.executions import Hold

StatusWord = Literal[
    "pending", "running", "paused", "completed", "failed", "canceled", "terminated", "continued"
]
WAIT_TIMEOUT_S = 30.0
# `start --wait` explains an execution that is still running after this time.
EXPLAINED_AFTER_S = 1.0
CAUSES_SHOWN_MAX = 5
LIMIT = 100
REQUEST_ID = "Idempotency key: a repeated request returns the execution it started first."
ONLY_WIDE = frozenset({"VERSION", "ENDED", "ERROR"})


@command
def start(
    workflow: WorkflowArgument,
    /,
    *,
    input: JsonText = "null",
    wait: Flag = False,
    timeout: float = WAIT_TIMEOUT_S,
    request_id: Annotated[str, Parameter(help=REQUEST_ID)] = "",
    version: str = "",
    label: Texts = None,
    permission: Texts = None,
    common: Common = COMMON,
) -> int:
    """Start an execution and print its id, or with --wait its output.

    Args:
        input: JSON, @file, or - for standard input.
        wait: Wait until the execution ends. Exit code 1 unless it completes.
        timeout: Maximum wait in seconds.
        version: Version of the workflow, by number or label; the newest by default.
        label: Label of the execution for searches, as name=value; can be repeated.
        permission: Permission of the execution that its tasks may require; can be repeated.
    """

    value = read_value(input, "--input")
    labels = parse_pairs(label or ())

    async def start_execution(client: "Client") -> int:
        handle = await client.start(
            workflow,
            value,
            request_id=request_id,
            version=parse_version(version),
            wait=min(timeout, EXPLAINED_AFTER_S) if wait else 0,
            labels=labels,
            permissions=permission or (),
        )
        if wait:
            await _wait(client, handle, timeout)
            code = show(common, await handle.describe(), brief=True)
            await print_page_link(client, common, handle.id)
            return code
        if common.structured:
            output.document({"executionId": handle.id, "created": handle.created})
            return exit_codes.DONE
        output.line(handle.id)
        await print_page_link(client, common, handle.id)
        if not handle.created:
            repeated = request_id and (await handle.describe()).request_id == request_id
            origin = "an earlier request with this id" if repeated else "another request"
            output.problem(f"no new execution; this one was started by {origin}")
        elif (hold := (await handle.describe()).hold) is not None:
            output.problem(f"waits to begin: {describe_hold(hold)}")
        return exit_codes.DONE

    return run(common, start_execution)


async def _wait(client: "Client", handle: "Handle", timeout: float) -> None:
    """Wait until the execution ends; first explain one that is still running."""
    if not (await handle.describe()).status.ended:
        explained = await client.explain(handle.id)
        for found in explained.findings[:CAUSES_SHOWN_MAX]:
            task = f"{found.task_id}: " if found.task_id else ""
            output.problem(f"waiting: {task}{found.text} [{found.cause}]")
        output.problem(f"`flowmesh explain {handle.id}` shows remedies")
    await handle.wait(timeout)


def parse_pairs(texts: Iterable[str]) -> dict[str, str]:
    """Return the values of options of the form name=value by their names."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise Refused(f"{text!r} is not name=value", code=exit_codes.USAGE)
        found[name] = value
    return found


def describe_hold(hold: "Hold") -> str:
    """Return the condition under which a held execution begins."""
    key = f" with the key {hold.key!r}" if hold.key else ""
    if hold.reason == "turn":
        return f"for other executions{key}; `flowmesh explain` lists them"
    condition = f", unless another one is started{key}" if hold.reason == "debounce" else ""
    return f"until {output.moment(hold.until)}{condition}"


def show(common: Common, execution: "Execution", *, brief: bool = False) -> int:
    """Print the execution. Return 1 if it ended without completing."""
    completed = execution.status == "completed"
    code = exit_codes.DONE if completed or not execution.status.ended else exit_codes.FAILED
    if common.structured:
        output.document(execution_json(execution))
        return code
    took = output.duration(execution.duration_ms) if execution.status.ended else ""
    mark = MARKS[execution.status]
    if execution.archived:
        took = f"{took}  (archived)"
    output.line(
        f"{mark} {execution.id}  {execution.workflow_id} v{execution.workflow_version}"
        f"  {execution.status}  {took}".rstrip()
    )
    if execution.hold is not None:
        output.line(f"  waits to begin: {describe_hold(execution.hold)}")
    if execution.failure is not None:
        output.line(f"  {execution.failure}")
    if execution.erasure is not None:
        actor = execution.erasure.actor or "unknown"
        at = output.moment(execution.erasure.at)
        output.line(f"  values erased {at} by {actor}: {execution.erasure.reason}")
    if not brief:
        output.line(f"  started {output.moment(execution.started_at)}")
        output.line(f"  input   {output.compact(value_json(execution.input))}")
        for name, value in execution.variables.items():
            output.line(f"  variable {name} = {output.compact(value)}")
    if not brief or not completed:
        now = output.now()
        nodes, omitted = shown_nodes(execution.nodes)
        for node in nodes:
            output.line(f"  {node_line(node, now)}")
            for line in traceback_of(node):
                output.line(f"      {line}")
        if omitted:
            output.line(f"  … {omitted:,} more ended tasks of items; --json lists them")
    if completed:
        output.document(value_json(execution.output))
    return code


@command
async def executions(
    execution: ExecutionArgument = "",
    /,
    *,
    task: NodeId = "",
    workflow: WorkflowId = "",
    status: Annotated[list[StatusWord] | None, Parameter(negative="")] = None,
    since: datetime | None = None,
    until: datetime | None = None,
    archived: Flag = False,
    limit: ListLimit = LIMIT,
    common: Common = COMMON,
) -> None:
    """Show an execution with all its tasks; without an id, list executions, newest first.

    Args:
        task: Show only this task of the execution with its output, such as each[3]/charge.
        workflow: List only executions of this workflow.
        status: List only executions with this status; can be repeated.
        since: List only executions started after this time.
        until: List only executions started before this time.
        archived: List those of the archive instead, oldest first.
    """
    async with connected(common) as client:
        if execution:
            reject_filters(execution, workflow, status, since, until, archived)
            if task:
                found_node = await client.get_execution(execution, node=task)
                output.document(node_json(found_node.nodes[0]))
            else:
                show(common, await client.get_execution(execution, ended_items=True))
                await print_page_link(client, common, execution)
            return
        if task:
            raise Refused("--task needs the id of an execution", code=exit_codes.USAGE)
        if archived:
            if status:
                text = "--status cannot be combined with --archived"
                raise Refused(text, code=exit_codes.USAGE)
            table(
                await client.list_archived(
                    workflow_id=workflow, started_after=since, started_before=until, limit=limit
                )
            )
            return
        matching = client.list_executions(
            workflow_id=workflow, statuses=status or (), started_after=since, started_before=until
        )
        table(await collect(matching, limit))


def reject_filters(name: str, *filters: object) -> None:
    """Raise Refused if filters of a list are combined with the name of an object."""
    if any(filters):
        hint = f"omit the filters to show {name}, or the name to list"
        raise Refused(f"filters cannot be combined with {name}", hint, exit_codes.USAGE)


def table(found: Sequence["Execution"]) -> None:
    """Print executions as a table, or as a document without their tasks and values."""
    output.table(
        found,
        lambda execution: execution_json(execution, whole=False),
        "ID WORKFLOW=workflow_id STATUS STARTED=started_at DURATION "
        "VERSION=workflow_version ENDED=ended_at ERROR",
        none="No executions found.",
        only_wide=ONLY_WIDE,
        DURATION=lambda execution: output.duration(execution.duration_ms),
        ERROR=lambda execution: execution.failure.error_class if execution.failure else "-",
    )


@command
async def cancel(
    execution: ExecutionArgument, /, *, reason: HistoryReason = "", common: Common = COMMON
) -> int:
    """Cancel an execution: running tasks are stopped, and no new task starts."""
    async with connected(common) as client:
        await client.handle(execution).cancel(reason)
    return _show_status(execution, "canceled")


@command
async def pause(
    execution: ExecutionArgument, /, *, reason: HistoryReason = "", common: Common = COMMON
) -> int:
    """Pause an execution; no new task starts until it is resumed. Running tasks continue."""
    async with connected(common) as client:
        await client.handle(execution).pause(reason)
    return _show_status(execution, "paused")


@command
async def resume(
    execution: ExecutionArgument, /, *, reason: HistoryReason = "", common: Common = COMMON
) -> int:
    """Resume a paused execution with its waiting tasks."""
    async with connected(common) as client:
        await client.handle(execution).resume(reason)
    return _show_status(execution, "running")


@command
async def terminate(
    execution: ExecutionArgument, /, *, reason: HistoryReason = "", common: Common = COMMON
) -> int:
    """End an execution immediately, without compensation."""
    async with connected(common) as client:
        await client.handle(execution).terminate(reason)
    return _show_status(execution, "terminated")


@command
def signal(
    execution: ExecutionArgument,
    name: str,
    /,
    *,
    payload: JsonText = "null",
    request_id: RequestId = "",
    common: Common = COMMON,
) -> int:
    """Send a signal to a running execution.

    Args:
        name: Name of the signal.
        payload: JSON, @file, or - for standard input.
    """

    value = read_value(payload, "--payload")

    async def send(client: "Client") -> int:
        sequence = await client.handle(execution).signal(name, value, request_id=request_id)
        output.result(
            {"executionId": execution, "signal": name, "sequence": sequence},
            f"{execution}: {name} is event {sequence}",
        )
        return exit_codes.DONE

    return run(common, send)


def _show_status(execution: str, status: str) -> int:
    output.result({"executionId": execution, "status": status}, f"{execution}: {status}")
    return exit_codes.DONE
