"""`watch`: the progress of an execution, as a live tree on a terminal, otherwise as lines."""

import asyncio
import sys
from datetime import datetime
from typing import TYPE_CHECKING

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionArgument
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.executions import tree
from flowmesh.cli.executions.board import Board, Row
from flowmesh.cli.executions.histories import event_line
from flowmesh.cli.executions.shapes import MARKS
from flowmesh.cli.operations.console import print_page_link

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

    from flowmesh.sdk import Client

REFRESH_PER_SECOND = 8
BAR_CELLS = 30
COLORS = {
    "pending": "dim",
    "running": "cyan",
    "paused": "yellow",
    "completed": "green",
    "failed": "red",
    "skipped": "dim",
    "canceled": "yellow",
    "terminated": "yellow",
}


@command
async def watch(execution: ExecutionArgument, /, *, after: int = 0, common: Common = COMMON) -> int:
    """Follow an execution until it ends. Exit code 0 if it completes, otherwise 1.

    Shows a tree with progress, attempts and durations on a terminal; otherwise, and with --json,
    one line per event.

    Args:
        after: Print only events after this sequence.
    """
    async with connected(common) as client:
        board = Board(await client.get_execution(execution))
        await print_page_link(client, common, board.id)
        if sys.stdout.isatty() and not common.structured:
            await _live(client, board)
        else:
            await _lines(client, board, common, after)
        return exit_codes.DONE if board.status == "completed" else exit_codes.FAILED


async def _lines(client: "Client", board: Board, common: Common, after: int) -> None:
    async for event in client.handle(board.id).events(after=after):
        board.apply(event)
        if common.structured:
            output.stream_document(event.as_json())
        else:
            output.line(event_line(event))
            sys.stdout.flush()


async def _live(client: "Client", board: Board) -> None:
    from rich.live import Live

    with Live(
        draw(board, output.now()), auto_refresh=False, vertical_overflow="crop", transient=False
    ) as live:
        ticking = asyncio.create_task(_tick(live, board))
        try:
            async for event in client.handle(board.id).events():
                board.apply(event)
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
        live.vertical_overflow = "visible"
        live.update(draw(board, output.now()), refresh=True)


async def _tick(live: "Live", board: Board) -> None:
    """Redraw at a fixed rate, independent of the number of events."""
    while True:
        live.update(draw(board, output.now()), refresh=True)
        await asyncio.sleep(1 / REFRESH_PER_SECOND)


def draw(board: Board, now: datetime) -> "RenderableType":
    """Return the view: headline, progress, and the tree of nodes."""
    from rich.text import Text

    total = len(board.rows)
    text = Text()
    text.append(f"{MARKS[board.status]} {output.visible(board.workflow)}  ", style="bold")
    text.append(board.status, style=COLORS[board.status])
    text.append(f"  {output.duration(board.took_ms(now))}  {board.id}\n")
    done = BAR_CELLS * board.ended // total if total else BAR_CELLS
    text.append("━" * done, style="green")
    text.append("━" * (BAR_CELLS - done), style="dim")
    percent = 100 * board.ended // total if total else 100
    text.append(f"  {board.ended}/{total} tasks  {percent} %\n")
    for line in _tree_lines(board, now):
        text.append_text(line)
    if board.error:
        text.append(output.visible(board.error) + "\n", style="red")
    return text


def _tree_lines(board: Board, now: datetime) -> "list[Text]":
    from rich.text import Text

    ended = {
        row.id: row.ended_at.timestamp() for row in board.rows.values() if row.ended_at is not None
    }
    parent_of = tree.parents({row.id: row.dependencies for row in board.rows.values()}, ended)
    drawn = tree.draw(parent_of, lambda node_id: [row_line(board.rows[node_id], now)])
    return [
        Text(output.visible(line) + "\n", style=COLORS[board.rows[node_id].status])
        for line, node_id in zip(drawn, tree.preorder(parent_of), strict=True)
    ]


def row_line(row: Row, now: datetime) -> str:
    """`✔ charge-payment  230 ms  attempt 2`"""
    parts = [f"{MARKS[row.status]} {row.id}"]
    took = row.took_ms(now)
    if took is not None and row.status != "skipped":
        parts.append(output.duration(took))
    if row.attempt > 1:
        parts.append(f"attempt {row.attempt}")
    if row.status in ("skipped", "canceled"):
        parts.append(row.status)
    if row.error:
        parts.append(row.error)
    return "  ".join(parts)
