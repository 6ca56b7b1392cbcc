"""`start`, `cancel`, `terminate`, `signal`, and executions of `get` and `list`."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionId, JsonText, NodeId, WorkflowId
from flowmesh.cli.common import COMMON, Common, guarded, run
from flowmesh.cli.definitions.sources import read_value
from flowmesh.cli.definitions.versions import chosen
from flowmesh.cli.executions.shapes import (
    MARKS,
    execution_json,
    in_lines,
    node_json,
    node_line,
    traceback_of,
    value_json,
)
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import Client, Execution, Handle
    from flowmesh.sdk.executions import Hold

StatusWord = Literal[
    "pending", "running", "paused", "completed", "failed", "canceled", "terminated", "continued"
]
WAIT_TIMEOUT_S = 30.0
# An execution that has not ended by then is explained while it is waited for.
TOLD_AFTER_S = 1.0
CAUSES_SHOWN_MAX = 5
LIMIT = 100
HEADER = ("ID", "WORKFLOW", "STATUS", "STARTED", "DURATION", "VERSION", "ENDED", "ERROR")
ONLY_WIDE = frozenset({"VERSION", "ENDED", "ERROR"})


def start(
    workflow: WorkflowId,
    /,
    *,
    input: JsonText = "null",
    wait: Annotated[bool, Parameter(negative="")] = False,
    timeout: float = WAIT_TIMEOUT_S,
    request_id: str = "",
    version: str = "",
    label: Annotated[list[str] | None, Parameter(negative="")] = None,
    permission: Annotated[list[str] | None, Parameter(negative="")] = None,
    common: Common = COMMON,
) -> int:
    """Start an execution. Prints its id, or, with --wait, its output.

    Parameters
    ----------
    workflow
        Id of the workflow.
    input
        JSON, @file, or - for standard input.
    wait
        Wait for the end; exit code 1 unless it completes.
    timeout
        How many seconds to wait.
    request_id
        Again with the same one starts nothing and answers the same execution.
    version
        Which version, by number or label; the newest if left out.
    label
        What the execution is found by, as name=value; may be repeated.
    permission
        What its tasks may need; may be repeated.
    """

    async def work(client: "Client") -> int:
        handle = await client.start(
            workflow,
            value,
            request_id=request_id,
            version=chosen(version),
            wait=min(timeout, TOLD_AFTER_S) if wait else 0,
            labels=labels,
            permissions=permission or (),
        )
        if wait:
            await _wait(client, handle, timeout)
            return show(common, await handle.describe(), brief=True)
        if common.structured:
            output.document({"executionId": handle.id, "created": handle.created})
            return exit_codes.DONE
        output.line(handle.id)
        if not handle.created:
            before = request_id and (await handle.describe()).request_id == request_id
            how = "was started before" if before else "is the execution of another start"
            output.problem(f"it {how}; nothing new was started")
        elif (hold := (await handle.describe()).hold) is not None:
            output.problem(f"it waits to begin: {waits(hold)}")
        return exit_codes.DONE

    value = None
    labels: dict[str, str] = {}

    def read_and_run() -> int:
        nonlocal value
        value = read_value(input, "--input")
        labels.update(pairs(label or ()))
        return run(common, work)

    return guarded(common, read_and_run)


async def _wait(client: "Client", handle: "Handle", timeout: float) -> None:
    """Waits for the end; says first what an execution that is still open waits for."""
    if not (await handle.describe()).status.ended:
        explained = await client.explain(handle.id)
        for found in explained.findings[:CAUSES_SHOWN_MAX]:
            task = f"{found.task_id}: " if found.task_id else ""
            output.problem(f"waiting: {task}{found.text} [{found.cause}]")
        output.problem(f"`flowmesh explain {handle.id}` says what helps")
    await handle.wait(timeout)


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """Options written as name=value."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise Refused(f"{text!r} is not name=value", code=exit_codes.USAGE)
        found[name] = value
    return found


def waits(hold: "Hold") -> str:
    """What an execution waits for to begin, in a sentence."""
    key = f" with the key {hold.key!r}" if hold.key else ""
    if hold.reason == "turn":
        return f"others{key} run; `flowmesh explain` says which"
    quiet = f", unless another is started{key}" if hold.reason == "debounce" else ""
    return f"at {output.moment(hold.until)}{quiet}"


def show(common: Common, execution: "Execution", *, brief: bool = False) -> int:
    """Prints it; the exit code says whether it completed."""
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
        output.line(f"  waits to begin: {waits(execution.hold)}")
    if execution.failure is not None:
        output.line(f"  {execution.failure}")
    if execution.erasure is not None:
        by = execution.erasure.actor or "somebody"
        at = output.moment(execution.erasure.at)
        output.line(f"  values erased {at} by {by}: {execution.erasure.reason}")
    if not brief:
        output.line(f"  started {output.moment(execution.started_at)}")
        output.line(f"  input   {output.compact(value_json(execution.input))}")
        for name, value in execution.variables.items():
            output.line(f"  variable {name} = {output.compact(value)}")
    if not brief or not completed:
        now = datetime.now(UTC)
        nodes, left_out = in_lines(execution.nodes)
        for node in nodes:
            output.line(f"  {node_line(node, now)}")
            for line in traceback_of(node):
                output.line(f"      {line}")
        if left_out:
            output.line(f"  … {left_out:,} more tasks of items that have ended; --json has them")
    if completed:
        output.document(value_json(execution.output))
    return code


def executions(
    execution: ExecutionId = "",
    /,
    *,
    task: NodeId = "",
    workflow: WorkflowId = "",
    status: Annotated[list[StatusWord] | None, Parameter(negative="")] = None,
    after: datetime | None = None,
    before: datetime | None = None,
    limit: int = LIMIT,
    common: Common = COMMON,
) -> int:
    """Show an execution with all its tasks; without an id list executions, newest first.

    Parameters
    ----------
    execution
        Id of the execution.
    task
        Show only this task of the execution, with its output, such as each[3]/charge.
    workflow
        Only those of this workflow.
    status
        Only those in this status; may be repeated.
    after
        Only those started after this time.
    before
        Only those started before this time.
    limit
        At most so many; 0 is all.
    """

    async def work(client: "Client") -> int:
        if execution:
            one_only(execution, workflow, status, after, before)
            if task:
                found_node = await client.get_execution(execution, node=task)
                output.document(node_json(found_node.nodes[0]))
            else:
                show(common, await client.get_execution(execution, ended_items=True))
            return exit_codes.DONE
        if task:
            raise Refused("--task needs the id of an execution", code=exit_codes.USAGE)
        found: list[Execution] = []
        async for each in client.list_executions(
            workflow_id=workflow,
            statuses=status or (),
            started_after=after,
            started_before=before,
        ):
            found.append(each)
            if len(found) == limit:
                break
        if common.structured:
            output.document([execution_json(each, whole=False) for each in found])
            return exit_codes.DONE
        table(found)
        return exit_codes.DONE

    return run(common, work)


def one_only(name: str, *filters: object) -> None:
    """Refuses filters of a list beside the name of one thing."""
    if any(filters):
        hint = f"leave out the filters to show {name}, or the name to list"
        raise Refused(f"a filter does not go with {name}", hint, exit_codes.USAGE)


def table(found: Iterable["Execution"]) -> None:
    """A line for each execution."""
    rows = [
        (
            execution.id,
            execution.workflow_id,
            str(execution.status),
            output.age(execution.started_at),
            output.duration(execution.duration_ms),
            str(execution.workflow_version),
            output.age(execution.ended_at),
            execution.failure.error_class if execution.failure else "-",
        )
        for execution in found
    ]
    output.columns(HEADER, rows, none="No executions found.", only_wide=ONLY_WIDE)


def cancel(execution: ExecutionId, /, *, reason: str = "", common: Common = COMMON) -> int:
    """Cancel an execution: open tasks are stopped, no further one starts.

    Parameters
    ----------
    execution
        Id of the execution.
    reason
        Why; kept in its history.
    """

    async def work(client: "Client") -> int:
        await client.handle(execution).cancel(reason)
        return _told(common, execution, "canceled")

    return run(common, work)


def pause(execution: ExecutionId, /, *, reason: str = "", common: Common = COMMON) -> int:
    """Let nothing of an execution begin any more; what workers have goes on.

    Parameters
    ----------
    execution
        Id of the execution.
    reason
        Why; kept in its history.
    """

    async def work(client: "Client") -> int:
        await client.handle(execution).pause(reason)
        return _told(common, execution, "paused")

    return run(common, work)


def resume(execution: ExecutionId, /, *, reason: str = "", common: Common = COMMON) -> int:
    """Let a paused execution go on with everything that waited.

    Parameters
    ----------
    execution
        Id of the execution.
    reason
        Why; kept in its history.
    """

    async def work(client: "Client") -> int:
        await client.handle(execution).resume(reason)
        return _told(common, execution, "running")

    return run(common, work)


def terminate(execution: ExecutionId, /, *, reason: str = "", common: Common = COMMON) -> int:
    """End an execution at once, without any clean-up its definition asks for.

    Parameters
    ----------
    execution
        Id of the execution.
    reason
        Why; kept in its history.
    """

    async def work(client: "Client") -> int:
        await client.handle(execution).terminate(reason)
        return _told(common, execution, "terminated")

    return run(common, work)


def signal(
    execution: ExecutionId,
    name: str,
    /,
    *,
    payload: JsonText = "null",
    request_id: str = "",
    common: Common = COMMON,
) -> int:
    """Send a signal to a running execution.

    Parameters
    ----------
    execution
        Id of the execution.
    name
        Name of the signal.
    payload
        JSON, @file, or - for standard input.
    request_id
        Again with the same one sends nothing.
    """

    async def work(client: "Client") -> int:
        sequence = await client.handle(execution).signal(name, value, request_id=request_id)
        if common.structured:
            output.document({"executionId": execution, "signal": name, "sequence": sequence})
        else:
            output.line(f"{execution}: {name} is event {sequence}")
        return exit_codes.DONE

    value = None

    def read_and_run() -> int:
        nonlocal value
        value = read_value(payload, "--payload")
        return run(common, work)

    return guarded(common, read_and_run)


def _told(common: Common, execution: str, status: str) -> int:
    if common.structured:
        output.document({"executionId": execution, "status": status})
    else:
        output.line(f"{execution}: {status}")
    return exit_codes.DONE
