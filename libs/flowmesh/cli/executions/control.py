"""`retry`, `skip`, `complete`, `override`, `fail`, `approve`, `reject`, `step`, `rerun`."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import (
    ExecutionArgument,
    Flag,
    HistoryReason,
    JsonText,
    NodeId,
    TaskArgument,
)
from flowmesh.cli.common import COMMON, Common, command, connected, run
from flowmesh.cli.definitions.sources import read_value
from flowmesh.cli.executions.shapes import value_json
from flowmesh.cli.refusals import Refused
from flowmesh.contract.nouns import counted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from flowmesh.sdk import Client, Execution, Handle
    from flowmesh.sdk.client.node_control import NodeControl
    from flowmesh.sdk.client.reruns import RerunPlan

Decider = Annotated[str, Parameter(help="Name of the person who decides.", env_var="USER")]


@command
def retry(
    execution: ExecutionArgument,
    node: TaskArgument,
    /,
    *,
    input: JsonText = "",
    reason: HistoryReason = "",
    common: Common = COMMON,
) -> int:
    """Retry a failed task.

    Args:
        input: Input instead of that of the definition: JSON, @file, or - for standard input.
    """
    values = {"input": read_value(input, "--input")} if input else {}
    return _control(
        common,
        execution,
        node,
        lambda nodes: nodes.retry(node, **values, reason=reason),
        "is retried",
    )


@command
def skip(
    execution: ExecutionArgument,
    node: TaskArgument,
    /,
    *,
    reason: HistoryReason = "",
    common: Common = COMMON,
) -> int:
    """Skip a task; dependent tasks run as if it had completed."""
    return _control(
        common, execution, node, lambda nodes: nodes.skip(node, reason=reason), "is skipped"
    )


@command
def complete(
    execution: ExecutionArgument,
    node: TaskArgument,
    /,
    *,
    output: JsonText = "null",
    reason: HistoryReason = "",
    common: Common = COMMON,
) -> int:
    """Complete a task with an output.

    Args:
        output: JSON, @file, or - for standard input.
    """
    value = read_value(output, "--output")
    return _control(
        common,
        execution,
        node,
        lambda nodes: nodes.complete(node, value, reason=reason),
        "is completed",
    )


@command
def override(
    execution: ExecutionArgument,
    node: TaskArgument,
    output: JsonText,
    /,
    *,
    reason: HistoryReason = "",
    common: Common = COMMON,
) -> int:
    """Replace the output of a task that no dependent task has used.

    Args:
        output: JSON, @file, or - for standard input.
    """
    value = read_value(output, "--output")
    return _control(
        common,
        execution,
        node,
        lambda nodes: nodes.override_output(node, value, reason=reason),
        "has a new output",
    )


@command
def fail(
    execution: ExecutionArgument,
    node: TaskArgument,
    /,
    *,
    reason: HistoryReason = "",
    common: Common = COMMON,
) -> int:
    """Fail a held task."""
    return _control(
        common, execution, node, lambda nodes: nodes.fail(node, reason=reason), "is failed"
    )


@command
def approve(
    execution: ExecutionArgument,
    node: TaskArgument,
    /,
    *,
    by: Decider = "",
    reason: HistoryReason = "",
    form: JsonText = "",
    common: Common = COMMON,
) -> int:
    """Approve a task that waits for approval.

    Args:
        form: Values of the form: JSON, @file, or - for standard input.
    """
    return _decide(common, execution, node, by, approved=True, reason=reason, form=form)


@command
def reject(
    execution: ExecutionArgument,
    node: TaskArgument,
    /,
    *,
    by: Decider = "",
    reason: HistoryReason = "",
    common: Common = COMMON,
) -> int:
    """Reject a task that waits for approval."""
    return _decide(common, execution, node, by, approved=False, reason=reason)


@command
async def approvals(assignee: str = "", /, *, common: Common = COMMON) -> None:
    """List pending approvals, the oldest first.

    Args:
        assignee: Only approvals that this person can decide.
    """
    async with connected(common) as client:
        found = [approval async for approval in client.approvals(assignee)]
    output.table(
        found,
        lambda approval: (
            output.members(
                approval, "execution_id workflow=workflow_id node assignees needed asked_at due_at"
            )
            | {"details": value_json(approval.details)}
        ),
        "EXECUTION=execution_id WORKFLOW=workflow_id TASK=node ASSIGNEES SINCE=asked_at",
        none="No approvals found.",
        ASSIGNEES=lambda approval: ", ".join(approval.assignees) or "any person",
    )


def _decide(
    common: Common,
    execution: str,
    node: str,
    by: str,
    *,
    approved: bool,
    reason: str,
    form: str = "",
) -> int:
    values = {"form": read_value(form, "--form")} if form else {}

    async def decide(client: "Client") -> int:
        handle = client.handle(execution)
        outcome = await handle.decide(node, by=by, approved=approved, comment=reason, **values)
        output.result(
            {"executionId": execution, "node": node, "outcome": outcome or None},
            f"{execution}: {node} is {outcome or 'waiting for further decisions'}",
        )
        return exit_codes.DONE

    return run(common, decide)


def _control(
    common: Common,
    execution: str,
    node: str,
    action: "Callable[[NodeControl], Awaitable[int]]",
    effect: str,
) -> int:
    """Apply the action to the nodes of the execution and print its effect."""

    async def apply(client: "Client") -> int:
        sequence = await action(client.handle(execution).nodes)
        output.result(
            {"executionId": execution, "node": node, "sequence": sequence},
            f"{execution}: {node} {effect}",
        )
        return exit_codes.DONE

    return run(common, apply)


@command
async def step(
    execution: ExecutionArgument,
    node: NodeId = "",
    /,
    *,
    everywhere: Annotated[bool, Parameter(name="--all", negative="")] = False,
    at: list[str] | None = None,
    off: Flag = False,
    input: JsonText = "",
    common: Common = COMMON,
) -> int:
    """Set breakpoints in an execution, list stopped tasks, and continue them one by one.

    Args:
        node: Stopped task to continue; `next` is the first one.
        everywhere: Set breakpoints before all tasks.
        at: Set a breakpoint before this task; can be repeated.
        off: Remove all breakpoints and continue the stopped tasks.
        input: Input of the continued task instead of that of its definition: JSON, @file, or -.
    """

    async with connected(common) as client:
        handle = client.handle(execution)
        if everywhere or at or off:
            await handle.nodes.set_breakpoints(at or (), everywhere=everywhere)
        if node:
            name = node if node != "next" else await _first_stopped(handle)
            values = {"input": read_value(input, "--input")} if input else {}
            await handle.nodes.continue_(name, **values)
        return await _show_stopped(common, handle)


async def _stopped(handle: "Handle") -> "tuple[Execution, list[str]]":
    """Return the execution and its nodes that wait at a breakpoint."""
    found = await handle.describe()
    return found, [node.id for node in found.nodes if node.held and node.status == "pending"]


async def _first_stopped(handle: "Handle") -> str:
    _, stopped = await _stopped(handle)
    return stopped[0] if stopped else "next"


async def _show_stopped(common: Common, handle: "Handle") -> int:
    found, stopped = await _stopped(handle)
    if common.structured:
        output.document({"executionId": found.id, "status": found.status, "stopped": stopped})
        return exit_codes.DONE
    output.line(f"{found.id}: {found.status}")
    for name in stopped:
        output.line(f"  stopped before {name}")
    return exit_codes.DONE


@command
def rerun(
    execution: ExecutionArgument,
    /,
    *,
    start_at: Annotated[list[str] | None, Parameter(name="--from")] = None,
    from_failed: Flag = False,
    input: JsonText = "",
    inputs: Annotated[list[str] | None, Parameter(name="--set")] = None,
    newest: Flag = False,
    dry_run: Flag = False,
    reason: str = "",
    common: Common = COMMON,
) -> int:
    """Run an ended execution again, and reuse the results of the tasks before the first one.

    Lists the tasks that run again, and the external effects that are repeated.

    Args:
        start_at: First task that runs again; can be repeated. By default all tasks run again.
        from_failed: Run the tasks again that failed, were canceled or have no result.
        input: Input instead of that of the ended execution: JSON, @file, or -.
        inputs: Input of a task instead of that of its definition, as `task=JSON`; can be repeated.
        newest: Run the newest version of the workflow instead of the same version.
        dry_run: Print the plan without starting an execution.
        reason: Reason, stored with the new execution.
    """
    if start_at and from_failed:
        text = "--from and --from-failed cannot be combined"
        raise Refused(text, code=exit_codes.USAGE)
    values: dict[str, Any] = {"input": read_value(input, "--input")} if input else {}
    node_inputs = (text.partition("=") for text in inputs or ())
    values["node_inputs"] = {name: read_value(text, "--set") for name, _, text in node_inputs}

    async def rerun_execution(client: "Client") -> int:
        handle = client.handle(execution)
        selection: dict[str, Any] = {"from_failed": from_failed, "newest_version": newest}
        planned = await handle.plan_rerun(start_at or (), **selection)
        if dry_run:
            return _show_plan(common, execution, planned, "")
        started = await handle.rerun(start_at or (), **selection, reason=reason, **values)
        return _show_plan(common, execution, planned, started.id)

    return run(common, rerun_execution)


def _show_plan(common: Common, execution: str, planned: "RerunPlan", started: str) -> int:
    if common.structured:
        output.document(
            {"executionId": started or None, "rerunOf": execution}
            | output.members(planned, "version repeated_effects")
            | {
                "nodes": [
                    output.members(node, "node=id type=task_type reused reason repeats_effect")
                    for node in planned.nodes
                ],
            }
        )
        return exit_codes.DONE
    rows = [
        (
            node.id,
            "reused" if node.reused else "runs",
            "repeated" if node.repeats_effect else "",
            node.reason,
        )
        for node in planned.nodes
    ]
    output.columns(("TASK", "RESULT", "EFFECT", "REASON"), rows)
    effects = planned.repeated_effects
    output.line(f"{counted(effects, 'external effect')} {'is' if effects == 1 else 'are'} repeated")
    if started:
        output.line(started)
    return exit_codes.DONE
