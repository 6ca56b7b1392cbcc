"""Live progress: counters, rates and latencies, for a terminal or a log."""

import asyncio
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from examples.demo.workflows import SHARES, Order

REFRESH_S: Final = 0.25
LINE_EVERY_S: Final = 1.0
# The window of the displayed rate.
RATE_WINDOW_S: Final = 4.0
LOG_WIDTH: Final = 120
PERCENTILES: Final = (50, 95, 99)


@dataclass(slots=True)
class Run:
    """An order from the view of its caller. Times are monotonic seconds."""

    order: Order
    submitted_s: float
    execution_id: str = ""
    acknowledged_s: float = 0.0
    ended_s: float = 0.0
    status: str = ""
    failure: str = ""

    @property
    def took_ms(self) -> float:
        return (self.ended_s - self.submitted_s) * 1_000


class Board:
    """Counts the reports of callers and events, independent of the display."""

    def __init__(self, planned: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.planned = planned
        self.runs: list[Run] = []
        self.retries: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.phase = ""
        self.news: deque[str] = deque()
        self._monotonic = monotonic
        self._began_s = monotonic()
        self._ends: deque[float] = deque()

    def submitted(self, order: Order) -> Run:
        run = Run(order, self._monotonic())
        self.runs.append(run)
        return run

    def acknowledged(self, run: Run, execution_id: str) -> None:
        """Record a repeated acknowledgement after an outage; its id must be the same."""
        if run.execution_id and run.execution_id != execution_id:
            self.tell(f"{run.order.request_id} was started twice: {execution_id}")
            run.failure = "started twice"
        run.execution_id = execution_id
        run.acknowledged_s = run.acknowledged_s or self._monotonic()

    def ended(self, run: Run, status: str, failure: str = "") -> None:
        run.status, run.failure = str(status), run.failure or failure
        run.ended_s = self._monotonic()
        self._ends.append(run.ended_s)

    def tell(self, what: str) -> None:
        """Add a highlighted message."""
        self.news.append(f"{self.elapsed_s:5.1f} s  {what}")

    @property
    def elapsed_s(self) -> float:
        return self._monotonic() - self._began_s

    @property
    def started(self) -> int:
        return sum(1 for run in self.runs if run.execution_id)

    @property
    def done(self) -> int:
        return sum(1 for run in self.runs if run.status)

    @property
    def running(self) -> int:
        return self.started - self.done

    @property
    def per_second(self) -> float:
        since = self._monotonic() - RATE_WINDOW_S
        while self._ends and self._ends[0] < since:
            self._ends.popleft()
        return len(self._ends) / RATE_WINDOW_S


def percentiles(values: Iterable[float]) -> list[float]:
    """Return the 50th, 95th and 99th percentile by nearest rank; zeros without values."""
    ordered = sorted(values)
    if not ordered:
        return [0.0] * len(PERCENTILES)
    return [ordered[-(-len(ordered) * percent // 100) - 1] for percent in PERCENTILES]


def took(milliseconds: float) -> str:
    return f"{milliseconds / 1_000:.1f} s" if milliseconds >= 1_000 else f"{milliseconds:.0f} ms"


def line(board: Board) -> str:
    """Return the board as one line."""
    ended = [run for run in board.runs if run.status]
    failed = sum(1 for run in ended if run.status != "completed")
    middle, high, highest = percentiles(run.took_ms for run in ended)
    return (
        f"{board.elapsed_s:5.1f} s  {board.phase:<24} started {board.started:>3}/{board.planned}"
        f"  running {board.running:>3}  ended {board.done:>3}  failed {failed:>2}"
        f"  retries {board.retries.total():>3}  {board.per_second:5.1f}/s"
        f"  p50 {took(middle)}  p95 {took(high)}  p99 {took(highest)}"
    )


def table(board: Board) -> Table:
    """Return the board as a table for 80 columns, with a row per workflow."""
    found = Table(caption="times as callers saw them, outages included", box=SIMPLE_HEAD, padding=0)
    found.add_column("workflow", no_wrap=True)
    for name in ("started", "running", "done", "failed", "retries", "p50", "p95", "p99"):
        found.add_column(name, justify="right", no_wrap=True)
    for workflow_id in SHARES:
        runs = [run for run in board.runs if run.order.workflow_id == workflow_id]
        _add_row(found, workflow_id, runs, board.retries[workflow_id])
    found.add_section()
    _add_row(found, "all", board.runs, board.retries.total())
    return found


def _add_row(found: Table, name: str, runs: list[Run], retries: int) -> None:
    started = sum(1 for run in runs if run.execution_id)
    ended = [run for run in runs if run.status]
    completed = sum(1 for run in ended if run.status == "completed")
    counts = (started, started - len(ended), completed, len(ended) - completed, retries)
    times = percentiles(run.took_ms for run in ended)
    found.add_row(name, *map(str, counts), *map(took, times))


def plain_console() -> Console:
    """Return a console with the width of the terminal, or of the tables for a log."""
    console = Console(highlight=False, soft_wrap=False)
    return console if console.is_terminal else Console(highlight=False, width=LOG_WIDTH)


class Screen:
    """Shows the board: a live table in a terminal, a line per second elsewhere."""

    def __init__(self, board: Board, console: Console) -> None:
        self._board = board
        self._console = console

    async def show(self) -> None:
        """Update the display until it is canceled."""
        if self._console.is_terminal:
            await self._show_live()
        else:
            await self._show_lines()

    def close(self) -> None:
        """Show the final state, which stays on the screen."""
        self._tell_news(print)
        self._console.print(table(self._board))

    async def _show_live(self) -> None:
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                self._tell_news(live.console.print)
                live.update(self._picture(), refresh=True)
                await asyncio.sleep(REFRESH_S)

    async def _show_lines(self) -> None:
        while True:
            self._tell_news(print)
            print(line(self._board))
            sys.stdout.flush()
            await asyncio.sleep(LINE_EVERY_S)

    def _picture(self) -> Group:
        board = self._board
        done = int(30 * board.done / max(1, board.planned))
        head = Text.assemble(
            (f"{board.phase:<26}", "bold"),
            ("━" * done, "green"),
            ("━" * (30 - done), "dim"),
            f"  {board.done}/{board.planned}  {board.per_second:.1f}/s  {board.elapsed_s:.0f} s",
        )
        failures = "  ".join(f"{kind} {count}" for kind, count in board.failures.most_common())
        foot = Text(f"failed attempts: {failures or 'none'}", "dim")
        return Group(head, table(board), foot)

    def _tell_news(self, write: Callable[[str], None]) -> None:
        while self._board.news:
            write(self._board.news.popleft())
