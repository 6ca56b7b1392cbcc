"""`bulk`: one action on all executions that match a filter, with its progress."""

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Literal

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import HistoryReason, JsonText, RequestId
from flowmesh.cli.common import COMMON, Common, command, connected, run
from flowmesh.cli.definitions.sources import read_value
from flowmesh.cli.refusals import Refused
from flowmesh.contract.nouns import counted

if TYPE_CHECKING:
    from flowmesh.sdk import Client
    from flowmesh.sdk.client.parts.bulks import Bulk

POLL_INTERVAL_S = 0.25
BAR_CELLS = 30
ActionWord = Literal["cancel", "terminate", "pause", "resume", "signal", "retry", "rerun"]


@command
def start(
    action: ActionWord,
    filter: str,
    /,
    *,
    reason: HistoryReason = "",
    name: str = "",
    payload: JsonText = "null",
    from_failed: bool = False,
    newest: bool = False,
    rate: int = 0,
    dry_run: bool = False,
    yes: bool = False,
    detach: bool = False,
    request_id: RequestId = "",
    common: Common = COMMON,
) -> int:
    """Apply an action to all executions that match a filter, and follow its progress.

    Without --yes, the command shows the number of executions and asks for confirmation. The bulk
    continues if the command is stopped.

    Args:
        action: cancel, terminate, pause, resume, signal, retry (all failed nodes) or rerun (as new
            executions).
        filter: Filter of `flowmesh search`.
        name: Name of the signal.
        payload: Payload of the signal: JSON, @file, or - for standard input.
        from_failed: Rerun from the failed nodes; by default all nodes run again.
        newest: Rerun the newest version of the workflow instead of the same version.
        rate: Executions per second, at most 1000; 100 by default.
        dry_run: Only show the number of executions and the first ones.
        yes: Do not ask for confirmation.
        detach: Print the id of the bulk without following it.
    """
    values = read_value(payload, "--payload")

    async def start_bulk(client: "Client") -> int:
        if dry_run or not yes:
            count, ids = await client.preview_bulk(filter)
            if dry_run:
                return _show_preview(common, count, ids)
            _confirm(action, count, ids)
        bulk = await client.start_bulk(
            action,
            filter,
            reason=reason,
            signal=name,
            payload=values,
            from_failed=from_failed,
            newest_version=newest,
            rate_per_second=rate,
            request_id=request_id,
        )
        return _show(common, bulk) if detach else await _follow(client, common, bulk)

    return run(common, start_bulk)


@command
async def show(bulk: str, /, *, follow: bool = False, common: Common = COMMON) -> int:
    """Show the progress of a bulk.

    Args:
        bulk: Id of the bulk.
        follow: Follow it until it has ended.
    """
    async with connected(common) as client:
        found = await client.get_bulk(bulk)
        return await _follow(client, common, found) if follow else _show(common, found)


@command
async def list_bulks(*, common: Common = COMMON) -> None:
    """List bulks, newest first."""
    async with connected(common) as client:
        found = await client.list_bulks()
        output.table(
            found,
            bulk_json,
            "ID ACTION STATUS DONE FAILED CREATED=created_at",
            none="No bulks found.",
            DONE=lambda each: f"{each.done}/{each.matched}",
        )


@command
async def cancel(bulk: str, /, *, common: Common = COMMON) -> int:
    """Stop a bulk; its changes so far are kept.

    Args:
        bulk: Id of the bulk.
    """
    async with connected(common) as client:
        return _show(common, await client.cancel_bulk(bulk))


def bulk_json(bulk: "Bulk") -> dict[str, Any]:
    return output.members(bulk, "bulk_id=id *")


def _show_preview(common: Common, count: int, ids: tuple[str, ...]) -> int:
    if common.structured:
        output.document({"count": count, "executionIds": list(ids)})
        return exit_codes.DONE
    output.line(counted(count, "execution"))
    for each in ids:
        output.line(f"  {each}")
    if count > len(ids):
        output.line("  …")
    return exit_codes.DONE


def _confirm(action: str, count: int, ids: tuple[str, ...]) -> None:
    """Ask for confirmation; raise Refused without it or without a terminal."""
    if not sys.stdin.isatty():
        raise Refused(f"this would {action} {counted(count, 'execution')}", "confirm with --yes")
    output.problem(f"{action} {counted(count, 'execution')}, beginning with {', '.join(ids[:3])}")
    output.problem("Continue? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("not confirmed; nothing was changed")


async def _follow(client: "Client", common: Common, bulk: "Bulk") -> int:
    """Follow the bulk to its end; on a terminal with a progress bar."""
    live = sys.stdout.isatty() and not common.structured
    while bulk.status == "running":
        if live:
            output.progress(_progress(bulk))
        await asyncio.sleep(POLL_INTERVAL_S)
        bulk = await client.get_bulk(bulk.id)
    if live:
        output.progress("")
    return _show(common, bulk)


def _progress(bulk: "Bulk") -> str:
    share = bulk.done / bulk.matched if bulk.matched else 1.0
    filled = "█" * round(min(share, 1.0) * BAR_CELLS)
    return f"{bulk.action} {filled:<{BAR_CELLS}} {bulk.done}/{bulk.matched}, {bulk.failed} failed"[
        :79
    ]


def _show(common: Common, bulk: "Bulk") -> int:
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
