"""`retention`, `archive`, `delete` and `erase`: what becomes of executions that have ended."""

import re
import sys
from datetime import datetime
from typing import TYPE_CHECKING

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionId, WorkflowId
from flowmesh.cli.common import COMMON, Common, run
from flowmesh.cli.executions.executions import show, table
from flowmesh.cli.executions.shapes import execution_json
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import Client

_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SPAN = re.compile(r"([0-9]{1,6})([mhd])")


def show_retention(*, common: Common = COMMON) -> int:
    """Show how long ended executions of the namespace are kept."""

    async def work(client: "Client") -> int:
        return await _retention(client, common)

    return run(common, work)


def set_retention(span: str, /, *, common: Common = COMMON) -> int:
    """Set how long ended executions of the namespace are kept.

    Parameters
    ----------
    span
        Such as 90m, 12h or 30d; `default` goes back to the setting of the suite.
    """

    async def work(client: "Client") -> int:
        found = _SPAN.fullmatch(span)
        if found is None and span != "default":
            raise Refused(f"{span!r} is no span of time", "such as 90m, 12h, 30d, or default")
        await client.set_retention(int(found[1]) * _UNITS_MS[found[2]] if found else 0)
        return await _retention(client, common)

    return run(common, work)


async def _retention(client: "Client", common: Common) -> int:
    kept_ms, own = await client.retention()
    if common.structured:
        output.document({"retentionMs": kept_ms, "own": own})
    else:
        whose = "said by the namespace" if own else "the setting of the suite"
        output.line(f"{kept_ms / 86_400_000:g} days, {whose}")
    return exit_codes.DONE


def list_archived(
    *,
    workflow: WorkflowId = "",
    after: datetime | None = None,
    before: datetime | None = None,
    common: Common = COMMON,
) -> int:
    """List executions in the archive, oldest first, at most 1,000.

    Parameters
    ----------
    workflow
        Only those of this workflow.
    after
        Only those started after this time.
    before
        Only those started before this time.
    """

    async def work(client: "Client") -> int:
        found = await client.list_archived(
            workflow_id=workflow, started_after=after, started_before=before
        )
        if common.structured:
            output.document([execution_json(each, whole=False) for each in found])
        else:
            table(found)
        return exit_codes.DONE

    return run(common, work)


def show_archived(execution: ExecutionId, /, *, common: Common = COMMON) -> int:
    """Write an archived execution as its file has it: JSON lines.

    Parameters
    ----------
    execution
        Id of the execution.
    """

    async def work(client: "Client") -> int:
        sys.stdout.write((await client.archived_document(execution)).decode())
        return exit_codes.DONE

    return run(common, work)


def restore_view(execution: ExecutionId, /, *, common: Common = COMMON) -> int:
    """Show an archived execution as it was shown before.

    Parameters
    ----------
    execution
        Id of the execution.
    """

    async def work(client: "Client") -> int:
        found = await client.get_execution(execution)
        if not found.archived:
            raise Refused(f"{execution} is not in the archive yet", "`flowmesh get execution`")
        show(common, found)
        return exit_codes.DONE

    return run(common, work)


def delete(execution: ExecutionId, /, *, common: Common = COMMON) -> int:
    """Delete an ended execution with its history, from the archive too.

    Parameters
    ----------
    execution
        Id of the execution.
    """

    async def work(client: "Client") -> int:
        await client.delete_execution(execution)
        return _told(common, execution, "deleted")

    return run(common, work)


def erase(execution: ExecutionId, /, *, reason: str = "", common: Common = COMMON) -> int:
    """Erase input, outputs and every other value of an ended execution.

    Parameters
    ----------
    execution
        Id of the execution.
    reason
        Why; kept in its history with who and when.
    """

    async def work(client: "Client") -> int:
        await client.erase_execution(execution, reason)
        return _told(common, execution, "erased")

    return run(common, work)


def _told(common: Common, execution: str, what: str) -> int:
    if common.structured:
        output.document({"executionId": execution, what: True})
    else:
        output.line(f"{execution}: {what}")
    return exit_codes.DONE
