"""`retention`, `archive`, `delete` and `erase`: storage of ended executions."""

import re
from datetime import datetime
from typing import TYPE_CHECKING

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionArgument, Flag, HistoryReason, ListLimit, WorkflowId
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.executions.executions import show, table
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import Client

LIMIT = 1_000
_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SPAN = re.compile(r"([0-9]{1,6})([mhd])")


@command
async def show_retention(*, common: Common = COMMON) -> int:
    """Show the retention of ended executions in the namespace."""
    async with connected(common) as client:
        return await _show_retention(client, common)


@command
async def set_retention(span: str, /, *, common: Common = COMMON) -> int:
    """Set the retention of ended executions in the namespace.

    Args:
        span: Duration such as 90m, 12h or 30d; `default` restores the setting of the suite.
    """
    async with connected(common) as client:
        found = _SPAN.fullmatch(span)
        if found is None and span != "default":
            raise Refused(f"{span!r} is not a duration", "write 90m, 12h, 30d, or default")
        await client.set_retention(int(found[1]) * _UNITS_MS[found[2]] if found else 0)
        return await _show_retention(client, common)


@command
async def rebuild(*, verify: Flag = False, common: Common = COMMON) -> int:
    """Compute the rows of all ended executions again from their histories.

    With --verify, exit code 1 if a stored row differs.

    Args:
        verify: Compare only; change nothing.
    """
    async with connected(common) as client:
        found = await client.archive.rebuild(verify=verify)
    differ = len(found.differences)
    document = {
        "checked": found.checked,
        "differences": {id: list(fields) for id, fields in found.differences.items()},
        "corrected": 0 if verify else differ,
    }
    if common.structured:
        output.document(document)
    else:
        for id, fields in found.differences.items():
            output.line(f"{id}  {', '.join(fields)}")
        effect = "differ from their histories" if verify else "were corrected"
        output.line(f"{found.checked:,} ended executions, {differ:,} {effect}")
    return exit_codes.FAILED if verify and differ else exit_codes.DONE


async def _show_retention(client: "Client", common: Common) -> int:
    retention_ms, own = await client.retention()
    source = "set for the namespace" if own else "the setting of the suite"
    output.result(
        {"retentionMs": retention_ms, "own": own}, f"{retention_ms / 86_400_000:g} days, {source}"
    )
    return exit_codes.DONE


@command
async def list_archived(
    *,
    workflow: WorkflowId = "",
    since: datetime | None = None,
    until: datetime | None = None,
    limit: ListLimit = LIMIT,
    common: Common = COMMON,
) -> None:
    """List archived executions, oldest first.

    Args:
        workflow: Only executions of this workflow.
        since: Only executions started after this time.
        until: Only executions started before this time.
    """
    async with connected(common) as client:
        found = await client.list_archived(
            workflow_id=workflow, started_after=since, started_before=until, limit=limit
        )
        table(found)


@command
async def show_archived(execution: ExecutionArgument, /, *, common: Common = COMMON) -> None:
    """Print the archive file of an execution: JSON lines."""
    async with connected(common) as client:
        output.json_lines(await client.archived_document(execution))


@command
async def restore_view(execution: ExecutionArgument, /, *, common: Common = COMMON) -> None:
    """Show an archived execution like a stored one."""
    async with connected(common) as client:
        found = await client.get_execution(execution)
        if not found.archived:
            raise Refused(f"{execution} is not archived", "use `flowmesh get execution`")
        show(common, found)


@command
async def delete(execution: ExecutionArgument, /, *, common: Common = COMMON) -> int:
    """Delete an ended execution with its history, also from the archive."""
    async with connected(common) as client:
        await client.delete_execution(execution)
        return _show_change(execution, "deleted")


@command
async def erase(
    execution: ExecutionArgument, /, *, reason: HistoryReason = "", common: Common = COMMON
) -> int:
    """Erase input, outputs and all other values of an ended execution."""
    async with connected(common) as client:
        await client.erase_execution(execution, reason)
        return _show_change(execution, "erased")


def _show_change(execution: str, change: str) -> int:
    output.result({"executionId": execution, change: True}, f"{execution}: {change}")
    return exit_codes.DONE
