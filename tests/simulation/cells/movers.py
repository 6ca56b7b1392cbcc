"""The command that moves a project, killed and run again, and the operator who runs it."""

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

import grpc.aio

from flowmesh.cells import Cell, DirectoryStore
from flowmesh.errors import FlowmeshError
from flowmesh.sdk.transport.calls import Caller
from flowmesh.sdk.transport.retries import RetryBudget
from flowmesh.suite.cells.calls import CellCalls
from flowmesh.suite.cells.directory import WAIT_S, read_directory
from flowmesh.suite.cells.moving import cancel_move, move_project
from tests.simulation.cells.bucket import DirectoryBus
from tests.simulation.cells.wires import Channel, Session
from tests.simulation.servers.loop import Process, elapsed

if TYPE_CHECKING:
    from tests.simulation.cells.world import CellWorld

AGAIN_S = (0.3, 2.0, 8.0)
CANCELS = 0.15
REFUSED = ("cannot move to cell", "stays in region")
LOOK_S = 0.05


class _SimulatedCaller(Caller):
    """The calls of the SDK with their retries, on the simulated network."""

    def __init__(self, world: "CellWorld", cell: Cell) -> None:
        self.address = cell.grpc
        channel: Any = Channel(world, lambda: cell.grpc)
        self._channel: grpc.aio.Channel = channel
        self._draw = Random(cell.name).random
        self._credential = None
        self._budget = RetryBudget()

    @property
    def channel(self) -> grpc.aio.Channel:
        return self._channel

    def followed(self, error: FlowmeshError) -> bool:
        return False


class _SimulatedConnection:
    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    async def ready(self, timeout: float) -> None:
        return None

    async def close(self) -> None:
        return None


class _SimulatedCalls(CellCalls):
    """The calls of the command at one cell."""

    def __init__(self, world: "CellWorld", cell: Cell, project: str) -> None:
        self.cell, self.project = cell, project
        connection: Any = _SimulatedConnection(_SimulatedCaller(world, cell))
        self._connection = connection
        self._world = world

    def session(self) -> Any:
        return Session(self._world)


class Operator:
    """Moves a project to cells, one after the other."""

    def __init__(self, world: "CellWorld", project: str, targets: list[int]) -> None:
        self._world, self._project = world, project
        self._targets = targets
        self._process = Process(world.loop, f"operator-{project}")
        self._running: Process | None = None
        self.done = False
        # Runs of the command.
        self.runs = 0
        self.killed = 0
        self.outcomes: list[str] = []

    def begin(self) -> None:
        self._process.spawn(self._move_on())

    def kill(self) -> None:
        """Kill the command, if it runs."""
        if self._running is not None and self._running.alive:
            self.killed += 1
            self._world.happened("killed", self._running.name)
            self._running.kill()

    def stall(self, seconds: float) -> None:
        """Let the command stand still; the operator runs it again meanwhile."""
        process = self._running
        if process is not None and process.alive:
            self.killed += 1
            self._world.happened("stalled", process.name)
            process.pause()
            self._world.loop.outside(seconds, process.resume)

    async def _move_on(self) -> None:
        random = self._world.random
        for target in self._targets:
            await elapsed(random.uniform(0.0, 2.0))
            cancels = False
            while True:
                outcome = await self._run(target, cancels=cancels)
                self._world.happened("command", self._project, target, outcome)
                if outcome in ("moved", "canceled") or any(each in outcome for each in REFUSED):
                    self.outcomes.append(outcome)
                    break
                await elapsed(random.choice(AGAIN_S))
                cancels = outcome == "killed" and random.random() < CANCELS
        self.done = True

    async def _run(self, target: int, *, cancels: bool) -> str:
        """Run the command in a process of its own; return its outcome."""
        self.runs += 1
        ended: list[str] = []
        process = self._running = Process(self._world.loop, f"move-{self._project}-{self.runs}")
        process.spawn(self._command(target, cancels, ended))
        while process.runs and not ended:
            await elapsed(LOOK_S)
        return ended[0] if ended else "killed"

    async def _command(self, target: int, cancels: bool, ended: list[str]) -> None:
        world = self._world
        bus: Any = DirectoryBus(world)

        def connect(cell: Cell, project: str) -> CellCalls:
            return _SimulatedCalls(world, cell, project)

        to = world.cells[target].name
        try:
            async with asyncio.timeout(WAIT_S):
                opened = await read_directory(DirectoryStore(bus, "fm"))
            if cancels:
                await cancel_move(opened, self._project, "", connect)
            else:
                await move_project(opened, self._project, to, "drain", connect)
            ended.append("canceled" if cancels else "moved")
        except (FlowmeshError, ValueError, OSError, TimeoutError) as error:
            text = str(error)
            ended.append("moved" if text.endswith(f"lives in cell {to}") else text)
