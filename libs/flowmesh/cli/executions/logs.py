"""`logs`: log lines of the tasks of an execution and failures of attempts, by time."""

import sys
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from flowmesh.cli import output
from flowmesh.cli.arguments import ExecutionArgument, Flag, NodeId
from flowmesh.cli.common import COMMON, Common, command, connected

if TYPE_CHECKING:
    from flowmesh.sdk import Client, Event

# Events that end an attempt or an execution, with the level of their failure.
LEVELS = {
    "TaskRetrying": "warning",
    "TaskFailed": "error",
    "TaskCanceled": "warning",
    "WorkflowFailed": "error",
}


@command
async def logs(
    execution: ExecutionArgument,
    /,
    *,
    task: NodeId = "",
    follow: Flag = False,
    common: Common = COMMON,
) -> None:
    """Print the log lines of an execution's tasks and the failures of their attempts.

    The lines of an attempt are stored when it ends, and have the time of its end.

    Args:
        task: Only lines of this task.
        follow: Follow the execution until it ends.
    """
    async with connected(common) as client:
        printed = False
        async for event in _events(client, execution, follow=follow):
            if task and event.node != task:
                continue
            for entry in entries(event):
                printed = True
                _print(common, entry, event)
        if not printed and not common.structured:
            output.nothing("No log lines found.")


async def _events(client: "Client", execution: str, *, follow: bool) -> AsyncIterator["Event"]:
    if follow:
        await client.get_execution(execution)  # raises NotFound instead of waiting
    found = client.handle(execution).events() if follow else client.history(execution)
    async for event in found:
        yield event


def entries(event: "Event") -> Iterator[dict[str, Any]]:
    """Yield the log entries of an event: lines of the handler, then the failure."""
    error = event.data.get("error")
    failure = error if isinstance(error, dict) else {}
    # The failure of an execution repeats the details of the task's event.
    details = failure.get("details") if event.node else None
    metadata = event.data.get("metadata") or details
    lines = metadata.get("log") if isinstance(metadata, dict) else None
    for line in lines if isinstance(lines, list) else []:
        if isinstance(line, dict):
            yield line
    if failure and event.type in LEVELS:
        text = f"{failure['class']}: {failure['message']}"
        where = f"{failure['taskId']} failed, " if failure.get("taskId") else ""
        entry = {"level": LEVELS[event.type], "message": where + text}
        trace = details.get("traceback") if isinstance(details, dict) else None
        yield entry | ({"traceback": trace} if trace else {})


def _print(common: Common, entry: dict[str, Any], event: "Event") -> None:
    if common.structured:
        where = {"at": output.iso(event.at), "taskId": event.node, "attempt": event.attempt}
        output.stream_document({**where, **entry})
        return
    node = f"{event.node} #{event.attempt}" if event.attempt else event.node or "execution"
    fields = f"  {output.compact(entry['fields'])}" if entry.get("fields") else ""
    level, message = str(entry.get("level", "info")), str(entry.get("message", ""))
    output.line(f"{output.moment(event.at)}  {level:<7}  {node}  {message}{fields}")
    for line in str(entry.get("traceback", "")).splitlines():
        output.line(f"    {line}")
    sys.stdout.flush()
