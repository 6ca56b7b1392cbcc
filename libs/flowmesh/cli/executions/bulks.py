"""`bulk`: one action on every execution that a filter takes, with its progress."""

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Literal

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import JsonText
from flowmesh.cli.common import COMMON, Common, guarded, run
from flowmesh.cli.definitions.sources import read_value
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import Client
    from flowmesh.sdk.client.parts.bulks import Bulk

LOOK_AGAIN_S = 0.25
BAR = 30
ActionWord = Literal["cancel", "terminate", "pause", "resume", "signal", "retry", "rerun"]


def start(
    action: ActionWord,
    filter: str,
    /,
    *,
    reason: str = "",
    name: str = "",
    payload: JsonText = "null",
    from_failed: bool = False,
    newest_version: bool = False,
    rate: int = 0,
    preview: bool = False,
    yes: bool = False,
    detach: bool = False,
    request_id: str = "",
    common: Common = COMMON,
) -> int:
    """Do one thing to every execution that a filter takes, and follow it.

    Without --yes it shows how many there are and asks. It goes on when this command is stopped.

    Parameters
    ----------
    action
        cancel, terminate, pause, resume, signal, retry (every failed node) or rerun (as new
        executions).
    filter
        Which executions, as for `flowmesh search`.
    reason
        Why; kept in each history.
    name
        Name of the signal.
    payload
        Of the signal: JSON, @file, or - for standard input.
    from_failed
        Rerun from the nodes that failed; else all of it.
    newest_version
        Rerun the newest version of the workflow, not the one it ran.
    rate
        Executions a second, at most 1000; 100 if left out.
    preview
        Only show how many there are, and the first of them.
    yes
        Do not ask.
    detach
        Print its id and do not follow it.
    request_id
        Again with the same one begins nothing and shows the same bulk.
    """
    wanted: dict[str, Any] = {
        "reason": reason,
        "signal": name,
        "from_failed": from_failed,
        "newest_version": newest_version,
        "rate_per_second": rate,
        "request_id": request_id,
    }

    async def work(client: "Client") -> int:
        if not await _agreed(client, common, action, filter, preview=preview, yes=yes):
            return exit_codes.DONE
        bulk = await client.start_bulk(action, filter, **wanted)
        return _told(common, bulk) if detach else await _follow(client, common, bulk)

    def read_and_run() -> int:
        wanted["payload"] = read_value(payload, "--payload")
        return run(common, work)

    return guarded(common, read_and_run)


async def _agreed(
    client: "Client", common: Common, action: str, filter: str, *, preview: bool, yes: bool
) -> bool:
    """Shows what it would be about, or asks; whether it is to begin."""
    if preview or not yes:
        count, ids = await client.preview_bulk(filter)
        if preview:
            _show_preview(common, count, ids)
        else:
            _confirm(action, count, ids)
    return not preview


def show(bulk: str, /, *, follow: bool = False, common: Common = COMMON) -> int:
    """Show how far a bulk is.

    Parameters
    ----------
    bulk
        Id of the bulk.
    follow
        Stay until it has ended.
    """

    async def work(client: "Client") -> int:
        found = await client.get_bulk(bulk)
        return await _follow(client, common, found) if follow else _told(common, found)

    return run(common, work)


def list_bulks(*, common: Common = COMMON) -> int:
    """List bulks, newest first."""

    async def work(client: "Client") -> int:
        found = await client.list_bulks()
        if common.structured:
            output.document([bulk_json(each) for each in found])
            return exit_codes.DONE
        rows = [
            (
                each.id,
                each.action,
                each.status,
                f"{each.done}/{each.matched}",
                str(each.failed),
                output.age(each.created_at),
            )
            for each in found
        ]
        header = ("ID", "ACTION", "STATUS", "DONE", "FAILED", "CREATED")
        output.columns(header, rows, none="No bulks found.")
        return exit_codes.DONE

    return run(common, work)


def cancel(bulk: str, /, *, common: Common = COMMON) -> int:
    """Stop a bulk; what it has done stays done.

    Parameters
    ----------
    bulk
        Id of the bulk.
    """

    async def work(client: "Client") -> int:
        return _told(common, await client.cancel_bulk(bulk))

    return run(common, work)


def bulk_json(bulk: "Bulk") -> dict[str, Any]:
    return {
        "bulkId": bulk.id,
        "action": bulk.action,
        "filter": bulk.filter,
        "status": bulk.status,
        "matched": bulk.matched,
        "applied": bulk.applied,
        "skipped": bulk.skipped,
        "failed": bulk.failed,
        "failures": [
            {"executionId": each.execution_id, "reason": each.reason, "message": each.message}
            for each in bulk.failures
        ],
        "createdAt": output.iso(bulk.created_at),
        "endedAt": output.iso(bulk.ended_at),
    }


def _show_preview(common: Common, count: int, ids: tuple[str, ...]) -> None:
    if common.structured:
        output.document({"count": count, "executionIds": list(ids)})
        return
    output.line(f"{count} executions")
    for each in ids:
        output.line(f"  {each}")
    if count > len(ids):
        output.line("  …")


def _confirm(action: str, count: int, ids: tuple[str, ...]) -> None:
    """Asks whoever sits at the terminal; refuses where nobody does."""
    if not sys.stdin.isatty():
        raise Refused(f"this would {action} {count} executions", "--yes does it")
    output.problem(f"{action} {count} executions, the first of them {', '.join(ids[:3])}")
    output.problem("Go on? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("nothing was done")


async def _follow(client: "Client", common: Common, bulk: "Bulk") -> int:
    """A line that is written again and again on a terminal, else only the end."""
    live = sys.stdout.isatty() and not common.structured
    while bulk.status == "running":
        if live:
            sys.stdout.write(f"\r{_progress(bulk)}")
            sys.stdout.flush()
        await asyncio.sleep(LOOK_AGAIN_S)
        bulk = await client.get_bulk(bulk.id)
    if live:
        sys.stdout.write("\r" + " " * 79 + "\r")
    return _told(common, bulk)


def _progress(bulk: "Bulk") -> str:
    share = bulk.done / bulk.matched if bulk.matched else 1.0
    filled = "█" * round(min(share, 1.0) * BAR)
    return f"{bulk.action} {filled:<{BAR}} {bulk.done}/{bulk.matched}, {bulk.failed} failed"[:79]


def _told(common: Common, bulk: "Bulk") -> int:
    if common.structured:
        output.document(bulk_json(bulk))
    else:
        output.line(
            f"{bulk.id}: {bulk.status}, {bulk.applied} of {bulk.matched} done,"
            f" {bulk.skipped} skipped, {bulk.failed} failed"
        )
        for each in bulk.failures:
            output.line(f"  {each.execution_id}: {each.message} [{each.reason}]")
    return exit_codes.FAILED if bulk.failed else exit_codes.DONE
