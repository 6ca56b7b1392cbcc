"""`retry`, `skip`, `complete`, `override`, `step`, `rerun`, `replay`."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionId, Flag, JsonText, NodeId
from flowmesh.cli.common import COMMON, Common, guarded, run
from flowmesh.cli.definitions.sources import read_value
from flowmesh.cli.executions.shapes import value_json
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import Client, Handle
    from flowmesh.sdk.client.reruns import RerunPlan

OfExecution = Annotated[ExecutionId, Parameter(help="Id of the execution.")]
OfTask = Annotated[NodeId, Parameter(help="Id of the task, as `flowmesh get execution` shows it.")]
Why = Annotated[str, Parameter(help="Why; kept in its history.")]
Decider = Annotated[str, Parameter(help="Who decides.", env_var="USER")]


def retry(
    execution: OfExecution,
    node: OfTask,
    /,
    *,
    input: JsonText = "",
    reason: Why = "",
    common: Common = COMMON,
) -> int:
    """Try a task again that failed.

    Parameters
    ----------
    input
        What it gets instead of what its definition says: JSON, @file, or - for standard input.
    """
    given = {"input": input} if input else {}
    return _steer(common, execution, node, "retry_node", "tried again", given, reason)


def skip(
    execution: OfExecution, node: OfTask, /, *, reason: Why = "", common: Common = COMMON
) -> int:
    """Skip a task: those behind it go on as though it had completed."""
    return _steer(common, execution, node, "skip_node", "skipped", {}, reason)


def complete(
    execution: OfExecution,
    node: OfTask,
    /,
    *,
    output: JsonText = "null",
    reason: Why = "",
    common: Common = COMMON,
) -> int:
    """Complete a task by hand.

    Parameters
    ----------
    output
        Its output: JSON, @file, or - for standard input.
    """
    return _steer(common, execution, node, "complete_node", "completed", {"output": output}, reason)


def override(
    execution: OfExecution,
    node: OfTask,
    output: JsonText,
    /,
    *,
    reason: Why = "",
    common: Common = COMMON,
) -> int:
    """Replace the output of a task that nobody has seen yet.

    Parameters
    ----------
    output
        Its output: JSON, @file, or - for standard input.
    """
    return _steer(
        common, execution, node, "override_output", "has another output", {"output": output}, reason
    )


def fail(
    execution: OfExecution, node: OfTask, /, *, reason: Why = "", common: Common = COMMON
) -> int:
    """Fail a task that is held."""
    return _steer(common, execution, node, "fail_node", "failed", {}, reason)


def approve(
    execution: OfExecution,
    node: OfTask,
    /,
    *,
    by: Decider = "",
    comment: Why = "",
    form: JsonText = "",
    common: Common = COMMON,
) -> int:
    """Approve what a task asks.

    Parameters
    ----------
    form
        What is filled in: JSON, @file, or - for standard input.
    """
    return _decide(common, execution, node, by, approved=True, comment=comment, form=form)


def reject(
    execution: OfExecution,
    node: OfTask,
    /,
    *,
    by: Decider = "",
    comment: Why = "",
    common: Common = COMMON,
) -> int:
    """Reject what a task asks."""
    return _decide(common, execution, node, by, approved=False, comment=comment, form="")


def approvals(assignee: str = "", /, *, common: Common = COMMON) -> int:
    """What waits for people, the oldest first.

    Parameters
    ----------
    assignee
        Only what this one can decide.
    """

    async def work(client: "Client") -> int:
        found = [one async for one in client.approvals(assignee)]
        if common.structured:
            output.document(
                [
                    {
                        "executionId": one.execution_id,
                        "workflow": one.workflow_id,
                        "node": one.node,
                        "assignees": list(one.assignees),
                        "needed": one.needed,
                        "askedAt": output.iso(one.asked_at),
                        "dueAt": output.iso(one.due_at),
                        "details": value_json(one.details),
                    }
                    for one in found
                ]
            )
            return exit_codes.DONE
        rows = [
            (
                one.execution_id,
                one.workflow_id,
                one.node,
                ", ".join(one.assignees) or "anybody",
                output.age(one.asked_at),
            )
            for one in found
        ]
        header = ("EXECUTION", "WORKFLOW", "TASK", "ASKS", "SINCE")
        output.columns(header, rows, none="No approvals found.")
        return exit_codes.DONE

    return run(common, work)


def _decide(
    common: Common,
    execution: str,
    node: str,
    by: str,
    *,
    approved: bool,
    comment: str,
    form: str,
) -> int:
    values: dict[str, Any] = {}

    async def work(client: "Client") -> int:
        handle = client.handle(execution)
        outcome = await handle.decide(node, by=by, approved=approved, comment=comment, **values)
        if common.structured:
            output.document({"executionId": execution, "node": node, "outcome": outcome or None})
        else:
            output.line(f"{execution}: {node} is {outcome or 'still waiting for others'}")
        return exit_codes.DONE

    def read_and_run() -> int:
        if form:
            values["form"] = read_value(form, "--form")
        return run(common, work)

    return guarded(common, read_and_run)


def _steer(
    common: Common,
    execution: str,
    node: str,
    call: str,
    told: str,
    given: dict[str, str],
    reason: str,
) -> int:
    values: dict[str, Any] = {}

    async def work(client: "Client") -> int:
        handle = client.handle(execution)
        sequence = await getattr(handle, call)(node, **values, reason=reason)
        if common.structured:
            output.document({"executionId": execution, "node": node, "sequence": sequence})
        else:
            output.line(f"{execution}: {node} is {told}")
        return exit_codes.DONE

    def read_and_run() -> int:
        values.update({name: read_value(text, f"--{name}") for name, text in given.items()})
        return run(common, work)

    return guarded(common, read_and_run)


def step(
    execution: ExecutionId,
    node: NodeId = "",
    /,
    *,
    everywhere: Annotated[bool, Parameter(name="--all", negative="")] = False,
    at: list[str] | None = None,
    off: Flag = False,
    input: JsonText = "",
    common: Common = COMMON,
) -> int:
    """Go through an execution step by step: stop before tasks, look, let them begin.

    With a task, lets it begin; without, shows what has stopped and where it stops.

    Parameters
    ----------
    execution
        Id of the execution.
    node
        The task to let begin; `next` is the one that stopped first.
    everywhere
        Stop before every task from now on.
    at
        Stop before this task from now on; may be repeated.
    off
        Stop nowhere any more and let go on what has stopped.
    input
        What the task gets instead of what its definition says: JSON, @file, or -.
    """

    async def work(client: "Client") -> int:
        handle = client.handle(execution)
        if everywhere or at or off:
            await handle.set_breakpoints(at or (), everywhere=everywhere)
        if node:
            name = node if node != "next" else await _first_stopped(handle)
            values = {"input": read_value(input, "--input")} if input else {}
            await handle.continue_node(name, **values)
        return await _show_stops(common, handle)

    return guarded(common, lambda: run(common, work))


async def _first_stopped(handle: "Handle") -> str:
    found = await handle.describe()
    return next((one.id for one in found.nodes if one.held and one.status == "pending"), "next")


async def _show_stops(common: Common, handle: "Handle") -> int:
    found = await handle.describe()
    stopped = [one.id for one in found.nodes if one.held and one.status == "pending"]
    if common.structured:
        output.document({"executionId": found.id, "status": found.status, "stopped": stopped})
        return exit_codes.DONE
    output.line(f"{found.id}: {found.status}")
    for name in stopped:
        output.line(f"  stopped before {name}")
    return exit_codes.DONE


def rerun(
    execution: ExecutionId,
    /,
    *,
    start_at: Annotated[list[str] | None, Parameter(name="--from")] = None,
    from_failed: Flag = False,
    input: JsonText = "",
    inputs: Annotated[list[str] | None, Parameter(name="--set")] = None,
    newest: Flag = False,
    plan: Flag = False,
    reason: str = "",
    common: Common = COMMON,
) -> int:
    """Run an execution again that has ended, taking over the results before a task.

    Prints first what runs again and which effects on others happen again.

    Parameters
    ----------
    execution
        Id of the execution.
    start_at
        The task from which on it runs again; may be repeated. All of it without one.
    from_failed
        From the tasks that failed, were canceled or have no result.
    input
        In place of the input it had: JSON, @file, or -.
    inputs
        Input of a task in place of its definition's, as `task=JSON`; may be repeated.
    newest
        Use the newest version of the workflow, not the one it ran.
    plan
        Print what would run again and start nothing.
    reason
        Why; kept with the new execution.
    """
    values: dict[str, Any] = {}

    async def work(client: "Client") -> int:
        handle = client.handle(execution)
        again: dict[str, Any] = {"from_failed": from_failed, "newest_version": newest}
        planned = await handle.plan_rerun(start_at or (), **again)
        if plan:
            return _show_plan(common, execution, planned, "")
        started = await handle.rerun(start_at or (), **again, reason=reason, **values)
        return _show_plan(common, execution, planned, started.id)

    def read_and_run() -> int:
        if start_at and from_failed:
            text = "--from names the tasks, --from-failed takes those that failed; give one of them"
            raise Refused(text, code=exit_codes.USAGE)
        if input:
            values["input"] = read_value(input, "--input")
        pairs = (text.partition("=") for text in inputs or ())
        values["node_inputs"] = {name: read_value(text, "--set") for name, _, text in pairs}
        return run(common, work)

    return guarded(common, read_and_run)


def _show_plan(common: Common, execution: str, planned: "RerunPlan", started: str) -> int:
    if common.structured:
        output.document(
            {
                "executionId": started or None,
                "rerunOf": execution,
                "version": planned.version,
                "repeatedEffects": planned.repeated_effects,
                "nodes": [
                    {
                        "node": node.id,
                        "type": node.task_type,
                        "reused": node.reused,
                        "reason": node.reason,
                        "repeatsEffect": node.repeats_effect,
                    }
                    for node in planned.nodes
                ],
            }
        )
        return exit_codes.DONE
    rows = [
        (
            node.id,
            "taken over" if node.reused else "runs",
            "again" if node.repeats_effect else "",
            node.reason,
        )
        for node in planned.nodes
    ]
    output.columns(("TASK", "RESULT", "EFFECT", "WHY"), rows)
    output.line(f"{planned.repeated_effects} effects on others happen again")
    if started:
        output.line(started)
    return exit_codes.DONE
