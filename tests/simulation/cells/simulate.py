"""A run with three cells from a seed: its draws, its steps, its result."""

import asyncio
import io
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from random import Random
from typing import Any

import grpc.aio

from flowmesh.api.execution.v1.execution_service_pb2 import GetExecutionRequest
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.cells import SWITCH_S, Home
from tests.simulation.actors.faults import CALM, Rates
from tests.simulation.cells.movers import Operator
from tests.simulation.cells.people import People, Start
from tests.simulation.cells.wires import Channel
from tests.simulation.cells.world import CellWorld
from tests.simulation.servers.loop import Stuck, elapsed, virtual_loop

PROJECTS = ("shop", "bank")
REFUSED_S_MAX = 3.0
DISTURBED_S_MAX = 15.0
SETTLED_WITHIN_S = 400.0
LATE_S = (0.5, 2.5, 4.0)
LATE_S_MAX = max(LATE_S)
"""Seconds by which a change of the directory may be late at a gateway."""

LOOK_EVERY_S = 0.2
STORMY = Rates(
    lost=0.01, unanswered=0.02, late=0.01, slow=0.1, broken_stream=0.01, lost_publish=0.05
)
UNKNOWN_TWICE = "a start without an answer began again at the target"


@dataclass(frozen=True, slots=True)
class CellRun:
    """The result of a seed."""

    seed: int
    problems: tuple[str, ...]
    digest: str
    steps: int
    starts: int
    moves: int
    kills: int
    refused_s: float
    virtual_s: float
    injected: dict[str, int]


def simulate_cells(seed: int, traced: Callable[..., object] | None = None) -> CellRun:
    """Run a seed, and check what it left behind."""
    output = io.StringIO()
    with virtual_loop() as loop, redirect_stdout(output):
        world = CellWorld(loop, f"cells-{seed}", traced)
        run = _Run(world)
        try:
            loop.run_until_complete(run.run())
        except Stuck as stuck:
            world.problem("loop", str(stuck))
        return CellRun(
            seed=seed,
            problems=(*world.problems, *loop.failures),
            digest=world.digest,
            steps=loop.steps,
            starts=len(run.people.starts),
            moves=sum(each.outcomes.count("moved") for each in run.operators),
            kills=run.kills,
            refused_s=run.refused_s,
            virtual_s=loop.time(),
            injected=dict(world.faults.injected),
        )


class _Run:
    """A setup, users, moves, and what breaks."""

    def __init__(self, world: CellWorld) -> None:
        self.world = world
        self.people = People(world, list(PROJECTS))
        self.operators: list[Operator] = []
        self.kills = 0
        self.refused_s = 0.0

    async def run(self) -> None:
        world, random = self.world, Random(f"{self.world.seed}/setup")
        homes = {each: random.randrange(len(world.cells)) for each in PROJECTS}
        for project, home in homes.items():
            world.pin(project, home, strict=random.random() < 0.2)
        await elapsed(0.5)
        await self.people.register_first()
        self.people.begin(random.choice((0.15, 0.4)))
        for project in PROJECTS:
            targets = [random.randrange(len(world.cells)) for _ in range(random.randint(1, 2))]
            self.operators.append(Operator(world, project, targets))
        for operator in self.operators:
            operator.begin()
        is_calm = random.random() < 0.3
        if not is_calm:
            await self._disturb(random)
        world.heal()
        await self._until_settled()
        self._check_refusals(is_calm=is_calm)
        self._check_starts()
        await self._check_fronts()
        self._check_definitions()

    async def _disturb(self, random: Random) -> None:
        """Break what is drawn, at times that are drawn."""
        world = self.world
        rates = random.choice((CALM, STORMY))
        world.disturb(rates, random.choice(LATE_S))
        until = world.loop.time() + DISTURBED_S_MAX
        # A move seldom gets far among kills, and what is late matters at its switch.
        has_kills = random.random() < 0.5
        while world.loop.time() < until and not self._moved():
            await elapsed(random.uniform(0.0, 1.5))
            if not has_kills:
                continue
            drawn = random.random()
            if drawn < 0.25:
                random.choice(self.operators).kill()
            elif drawn < 0.35:
                random.choice(self.operators).stall(random.choice((0.5, 3.0, 12.0)))
            elif drawn < 0.6:
                await self._kill_gateway(random)
            elif drawn < 0.8:
                process = random.choice(sorted(world.gateways.items()))[1].process
                process.pause()
                world.loop.outside(random.uniform(0.1, 2.0), process.resume)
            elif drawn < 0.87:
                world.bucket.away = True
                await elapsed(random.uniform(0.1, 1.5))
                world.bucket.away = False
                world.bucket.wake()

    async def _kill_gateway(self, random: Random) -> None:
        world = self.world
        name, gateway = random.choice(sorted(world.gateways.items()))
        if not gateway.process.alive:
            return
        self.kills += 1
        world.happened("killed", gateway.process.name)
        gateway.process.kill()
        world.loop.outside(random.choice((0.02, 0.5, 4.0)), self._restart, name)

    def _restart(self, name: str) -> None:
        if not self.world.gateways[name].process.alive:
            self.world.start(name)

    async def _until_settled(self) -> None:
        world = self.world
        until = world.loop.time() + SETTLED_WITHIN_S
        while self.people.open or not self._moved():
            self.people.is_over = self._moved()
            if world.loop.time() > until:
                world.problem("C0", f"{self.people.open} users and moves have no end")
                return
            await elapsed(LOOK_EVERY_S)
        await elapsed(LATE_S_MAX + 1.0)
        self.kills += sum(each.killed for each in self.operators)

    def _moved(self) -> bool:
        return all(each.done for each in self.operators)

    # --- what must hold ---

    def _check_refusals(self, *, is_calm: bool) -> None:
        """C3: a switch refuses starts for seconds; a command that died, for its time and again."""
        for start in self.people.starts:
            if start.refused_s:
                took_s = start.refused_s[-1] - start.refused_s[0]
                self.refused_s = max(self.refused_s, took_s)
        runs = sum(each.runs for each in self.operators)
        allowed_s = REFUSED_S_MAX if is_calm else REFUSED_S_MAX + SWITCH_S * runs
        if self.refused_s > allowed_s:
            self.world.problem("C3", f"a start was refused for {self.refused_s:.1f} s")

    def _check_starts(self) -> None:
        """C1: an acknowledged start has one execution, in the cell that its id names."""
        made: dict[tuple[str, str], list[str]] = {}
        for suite in self.world.suites:
            for each in suite.executions.values():
                made.setdefault((each.project, each.request_id), []).append(each.id)
        for start in self.people.starts:
            found = made.pop((start.project, start.request_id), [])
            if start.execution_id not in found:
                self.world.problem("C1", f"{start.request_id} is lost: {start.execution_id}")
            elif len(found) > 1:
                self._check_twice(start, found)
        if made:
            self.world.problem("C1", f"executions without a start: {made}")

    def _check_twice(self, start: Start, found: list[str]) -> None:
        if start.unknown and len(found) == 2:
            self.world.faults.injected[UNKNOWN_TWICE] += 1
        else:
            self.world.problem("C1", f"{start.request_id} began more than once: {found}")

    async def _check_fronts(self) -> None:
        """C2: every gateway finds every execution, and names the same home."""
        world = self.world
        homes: dict[str, set[Home]] = {each: set() for each in PROJECTS}
        for name, gateway in sorted(world.gateways.items()):
            for project in PROJECTS:
                homes[project].add(gateway.directory.home(project))
                if project in gateway.directory.moves:
                    world.problem("C2", f"{name} has a move of {project} that has ended")
            await self._check_front(name)
        for project, found in homes.items():
            if len(found) != 1:
                world.problem("C2", f"{project} has several homes: {found}")

    async def _check_front(self, name: str) -> None:
        world = self.world
        channel: Any = Channel(world, lambda: f"http://{name}")
        stub = ExecutionServiceStub(channel)
        requests = [
            GetExecutionRequest(namespace=start.project, execution_id=start.execution_id)
            for start in self.people.starts
        ]
        found = await asyncio.gather(
            *(stub.GetExecution(each) for each in requests), return_exceptions=True
        )
        for request, answer in zip(requests, found, strict=True):
            if isinstance(answer, grpc.aio.AioRpcError) and "serves this call" not in str(answer):
                world.problem("C2", f"{name} does not find {request.execution_id}: {answer}")

    def _check_definitions(self) -> None:
        """C4: answered versions are at home with their numbers. C5: triggers fire there only."""
        world = self.world
        directory = next(iter(world.gateways.values())).directory
        for each in self.people.registered:
            home = world.suites[directory.home(each.project).cell]
            versions = home.versions.get((each.project, each.kind, each.name), [])
            found = versions[each.number - 1].digest if each.number <= len(versions) else "none"
            if found != each.digest:
                text = f"{each.kind} {each.name} of {each.project}, version {each.number}"
                world.problem("C4", f"{text}, is not in cell {home.number}")
        for project in PROJECTS:
            number = directory.home(project).cell
            for suite in world.suites:
                active = suite.active(project)
                wanted = {"report"} if suite.number == number else set[str]()
                if active != wanted:
                    text = f"triggers {active} of {project} are active in cell {suite.number}"
                    world.problem("C5", f"{text}, whose home is {number}")
