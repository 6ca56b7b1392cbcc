"""The course of the demo: start, load, two kills, proof and cleanup."""

import argparse
import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from examples.demo.cluster import Cluster, ClusterFailed, Kill, WorldProcess
from examples.demo.effects import Effect, read_effects
from examples.demo.load import Curl, Load
from examples.demo.progress import Board, Screen, plain_console
from examples.demo.proof import Check, Proof, Record, calls_back, read_back, started_ids
from examples.demo.workflows import orders, sources
from flowmesh.cli.executions.histories import trace_lines
from flowmesh.errors import FlowmeshError
from flowmesh.sdk import Client

POLL_S: Final = 0.05
CALLBACKS_TIMEOUT_S: Final = 20.0
# The times of the kills, as shares of the started orders.
FIRST_KILL: Final = 0.3
SECOND_KILL: Final = 0.65
CANCELED: Final = 130
ERRORS_MAX: Final = 20
ERROR_CHARACTERS_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line."""

    executions: int
    per_second: float
    failure_rate: float
    seed: int
    keep: bool


def options() -> Options:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="demo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--executions", type=int, default=320)
    parser.add_argument("--per-second", type=float, default=25.0, help="executions started")
    parser.add_argument("--failure-rate", type=float, default=0.1, help="calls that fail at first")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the data folder and its logs")
    return Options(**vars(parser.parse_args()))


def main() -> int:
    """Run the demo; return 0 if every check passed."""
    console = plain_console()
    folder = Path(tempfile.mkdtemp(prefix="flowmesh-demo-"))
    given = options()
    code = 1
    try:
        code = asyncio.run(_until_stopped(Demo(given, folder, console)))
        return code
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("stopped before the end; nothing is left running")
        code = CANCELED
        return code
    except ClusterFailed as failed:
        console.print(str(failed), markup=False)
        return 1
    except ExceptionGroup as group:
        # One of the concurrent parts failed; the others were canceled.
        if group.split(ClusterFailed)[1] is not None:
            raise
        console.print(str(group.exceptions[0]), markup=False)
        return 1
    finally:
        if code == 1:
            for line in error_lines(folder / "data" / "logs"):
                console.print(line, markup=False)
        if given.keep:
            console.print(f"data and logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def _until_stopped(demo: "Demo") -> int:
    """Make SIGTERM end the demo as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await demo.run()


class Demo:
    """One run of the demo in its own folder."""

    def __init__(self, given: Options, folder: Path, console: Console) -> None:
        self._given = given
        self._console = console
        self._world = WorldProcess(
            folder / "effects.jsonl", seed=given.seed, failure_rate=given.failure_rate
        )
        self._cluster = Cluster(folder / "data", folder / "cluster.log")
        self._orders = list(orders(given.executions, given.seed))
        self._board = Board(len(self._orders))
        self._curl = Curl(self._cluster.http_url) if Curl.installed() else None
        self._kills: list[Kill] = []

    async def run(self) -> int:
        """Run the demo and return the exit code."""
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._world.stop)
            stack.push_async_callback(self._cluster.stop)
            checks = await self._play()
        left = self._cluster.alive()
        checks.append(
            Check("processes left running", str(len(left)), not left, tuple(map(str, left)))
        )
        self._print(checks)
        held = all(check.ok for check in checks)
        end = "every check held" if held else "NOT every check held"
        self._console.print(f"\n{end}; {time.monotonic() - began:.0f} s in all")
        return 0 if held else 1

    async def _play(self) -> list[Check]:
        screen, board = Screen(self._board, self._console), self._board
        async with background(screen.show()):
            board.phase = "starting the suite"
            await asyncio.gather(self._world.start(), self._cluster.start())
            board.tell("two orchestrators, two workers and four other services are ready")
            async with Client(self._cluster.grpc_address) as client:
                await self._register(client)
                async with (
                    background(self._listen(client)),
                    asyncio.TaskGroup() as group,
                ):
                    load = Load(client=client, curl=self._curl, orders=self._orders, board=board)
                    group.create_task(load.run(self._given.per_second))
                    group.create_task(self._kill())
                board.phase = "looking at histories"
                records = await read_back(client, board.runs)
                started = await started_ids(client)
                effects = await self._effects(records)
        screen.close()
        await self._print_trace(records)
        proof = Proof(
            runs=board.runs,
            records=records,
            started=started,
            effects=effects,
            kills=self._kills,
        )
        return [*proof.checks(), await self._seen_by_curl(records)]

    async def _register(self, client: Client) -> None:
        """Register step JSON by the documented curl command, and resources over gRPC."""
        self._board.phase = "registering workflows"
        for source in sources(self._world.hosts):
            if source.steps and self._curl is not None:
                await self._curl.register(source)
            else:
                await client.apply(source.text)

    async def _kill(self) -> None:
        """Kill one orchestrator, which the cluster restarts, and later all processes."""
        board, cluster = self._board, self._cluster
        board.phase = "running"
        await until(lambda: board.started >= FIRST_KILL * board.planned)
        kill = await cluster.kill("orchestrator-1")
        self._kills.append(kill)
        board.tell(f"kill -9 {kill.pids[0]} (orchestrator-1), {board.running} executions running")
        board.phase = "one orchestrator killed"
        await until(lambda: board.started >= SECOND_KILL * board.planned)
        kill = await cluster.kill_all()
        self._kills.append(kill)
        board.tell(f"kill -9 of all {len(kill.pids)} processes, {board.running} executions running")
        board.phase = "everything killed, starting"
        began = time.monotonic()
        await cluster.start()
        board.tell(f"ready again on the same data after {time.monotonic() - began:.1f} s")
        board.phase = "running"

    async def _listen(self, client: Client) -> None:
        """Count failures and retries from the event stream of the suite."""
        cursor = ""
        while True:
            with suppress(FlowmeshError):
                stream = client.events(types=("TaskRetrying", "TaskFailed"), cursor=cursor)
                async for event in stream:
                    cursor = event.cursor
                    self._board.failures[event.data["error"]["class"]] += 1
                    if event.type == "TaskRetrying":
                        self._board.retries[event.workflow_id] += 1
            await asyncio.sleep(POLL_S)

    async def _effects(self, records: list[Record]) -> list[Effect]:
        """Read the file of effects after the callbacks have had time to arrive."""
        expected = {record.execution.id for record in records if calls_back(record.run)}
        self._board.phase = "waiting for callbacks"

        def arrived() -> bool:
            effects = read_effects(self._world.effects)
            return expected <= {effect.subject for effect in effects if effect.callback}

        with suppress(TimeoutError):
            async with asyncio.timeout(CALLBACKS_TIMEOUT_S):
                await until(arrived, every_s=10 * POLL_S)
        return list(read_effects(self._world.effects))

    async def _seen_by_curl(self, records: list[Record]) -> Check:
        """Read executions started by curl with curl."""
        if self._curl is None:
            return Check("curl is not installed", "left out", True)
        mine = [record for record in records if record.run.order.by_curl]
        wrong = []
        for record in mine:
            seen = await self._curl.execution(record.execution.id)
            if seen["status"] != record.execution.status:
                wrong.append(f"{record.execution.id}: {seen['status']}")
        found = f"{len(mine) - len(wrong)} of {len(mine)}, {self._curl.commands} commands"
        return Check("started by curl, same state by curl", found, not wrong, tuple(wrong))

    async def _print_trace(self, records: list[Record]) -> None:
        """Return the trace of the most eventful order as a tree."""

        def weight(record: Record) -> tuple[int, int, int]:
            kills = sum(n for n, kill in enumerate(self._kills, 1) if _was_open(record, kill.begun))
            again = sum(1 for event in record.events if event.data.get("delivery", 1) > 1)
            return kills, again, sum(node.attempts for node in record.execution.nodes)

        chosen = max((record for record in records if calls_back(record.run)), key=weight)
        self._console.print("\nthe trace of one order")
        async with Client(self._cluster.grpc_address) as client:
            report = await client.trace(chosen.execution.id)
        for text in trace_lines(report, chosen.execution, datetime.now(UTC)):
            self._console.print(text, markup=False)

    def _print(self, checks: list[Check]) -> None:
        table = Table(title="proof", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("check")
        table.add_column("found", justify="right")
        table.add_column("")
        for check in checks:
            mark = "[green]ok[/]" if check.ok else "[red]WRONG[/]"
            table.add_row(check.what, check.found, mark)
        self._console.print()
        self._console.print(table)
        for check in checks:
            for problem in check.problems:
                self._console.print(f"{check.what}: {problem}", markup=False)


def _was_open(record: Record, at: datetime) -> bool:
    begun, ended = record.execution.started_at, record.execution.ended_at
    return begun is not None and ended is not None and begun <= at <= ended


def error_lines(logs: Path) -> list[str]:
    """Return the error lines of the process logs before their folder is deleted."""
    return [
        f"{log.name}: {line[:ERROR_CHARACTERS_MAX]}"
        for log in sorted(logs.glob("*.log"))
        for line in log.read_text(errors="replace").splitlines()
        if '"level":"error"' in line
    ][:ERRORS_MAX]


async def until(holds: Callable[[], bool], every_s: float = POLL_S) -> None:
    """Poll a condition on files and counters, which have no notification."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(every_s)


@asynccontextmanager
async def background(work: Any) -> AsyncIterator[None]:
    """Run a coroutine during the block; its error is raised in the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
