"""`flowmesh cells move`: a project with its definitions gets another home.

The directory records each step before it begins, so a command that was killed is run again and goes
on. The entry is written on the condition that no other command has changed it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from http import HTTPStatus

import aiohttp

from flowmesh.api.execution.v1.execution_pb2 import ExecutionStatus
from flowmesh.api.execution.v1.execution_service_pb2 import ListExecutionsRequest
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.cells import (
    COPYING,
    DEFAULT,
    ENDING,
    MOVE_HEADER,
    STARTING,
    SWITCH_S,
    SWITCHING,
    Cell,
    DirectoryStore,
    Home,
    Move,
    Pin,
    entry_of,
)
from flowmesh.suite.cells.apps import running_apps
from flowmesh.suite.cells.calls import CellCalls
from flowmesh.suite.cells.directory import OpenedDirectory
from flowmesh.suite.cells.kinds import PARTS
from flowmesh.suite.cells.parts import CannotMove, Route
from flowmesh.suite.cells.pausing import Triggers
from flowmesh.suite.cells.survey import left_behind, refused_data
from flowmesh.suite.files import print_line

SETTLE_S = 1.0
DRAIN_POLL_S = 0.5
DRAIN_PAGE = 1_000
_OPEN = (
    ExecutionStatus.EXECUTION_STATUS_PENDING,
    ExecutionStatus.EXECUTION_STATUS_RUNNING,
    ExecutionStatus.EXECUTION_STATUS_PAUSED,
    ExecutionStatus.EXECUTION_STATUS_COMPENSATING,
)
_NOT_SERVED = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_READ = "/api/v1/workflows"
# A path that takes no POST; it is refused for a project that is switched.
_PROBE = "/api/v1/cells/executions"
_NAMESPACE = "flowmesh-namespace"
_HOP = "flowmesh-cell"
_ADDRESS = "flowmesh-cell-address"

Connect = Callable[[Cell, str], CellCalls]


async def move_project(
    opened: OpenedDirectory, project: str, to: str, mode: str, connect: Connect = CellCalls
) -> None:
    """Move a project, or continue its move. Raises ValueError with a reason against it."""
    if mode != "drain":
        raise ValueError("--mode relocate is not built; executions end in the cell that made them")
    if not to:
        raise ValueError("--to names the cell to which the project moves")
    pin, sequence = await _entry(opened, project)
    move = pin.move or _new_move(opened, pin, to)
    if opened.name_of(move.target) != to:
        name = opened.name_of(move.target)
        raise ValueError(f"project {project} moves to cell {name} already; --cancel ends that")
    async with _calls(opened, move, project, connect) as (source, target):
        moving = _Moving(opened.store, replace(pin, move=move), sequence, source, target)
        if pin.move is None:
            await moving.begin()
        await moving.finish()


async def cancel_move(
    opened: OpenedDirectory, project: str, to: str, connect: Connect = CellCalls
) -> None:
    """Cancel a move before the project is switched. Raises ValueError."""
    pin, sequence = await _entry(opened, project)
    move = pin.move
    if move is None:
        raise ValueError(f"project {project} does not move")
    if to and opened.name_of(move.target) != to:
        raise ValueError(f"project {project} moves to cell {opened.name_of(move.target)}")
    if move.step in (STARTING, ENDING):
        name = opened.name_of(move.target)
        raise ValueError(f"project {project} lives in cell {name} already; move it back instead")
    async with _calls(opened, move, project, connect) as (source, target):
        moving = _Moving(opened.store, pin, sequence, source, target)
        await moving.until_served()
        await moving.cancel()
    print_line(f"canceled; project {project} stays in cell {opened.name_of(move.source)}")


async def _entry(opened: OpenedDirectory, project: str) -> tuple[Pin, int]:
    """Return the entry of a project with its home. Raises ValueError."""
    if project == DEFAULT:
        raise ValueError("each cell has a namespace default of its own; it does not move")
    entry_of(Pin(project, None).encoded())
    pin, sequence = await opened.store.pin(project)
    return replace(pin, home=pin.home or opened.entries.home(project)), sequence


def _new_move(opened: OpenedDirectory, pin: Pin, to: str) -> Move:
    """Return the move of a project that has none. Raises ValueError."""
    assert pin.home is not None
    source, target = _cell(opened, pin.home.cell), opened.cell(to)
    if source.number == target.number:
        raise ValueError(f"project {pin.project} lives in cell {to}")
    if pin.home.strict and source.region != target.region:
        text = f"project {pin.project} stays in region {source.region}, and cell {to} is in"
        raise ValueError(f"{text} {target.region}; `flowmesh cells pin` changes its residency")
    opened.open_cell(to)
    return Move(source=source.number, target=target.number)


def _cell(opened: OpenedDirectory, number: int) -> Cell:
    found = opened.entries.cells.get(number)
    if found is None:
        raise ValueError(f"the directory has no cell {number}, which the project is in")
    return found


@asynccontextmanager
async def _calls(
    opened: OpenedDirectory, move: Move, project: str, connect: Connect
) -> AsyncIterator[tuple[CellCalls, CellCalls]]:
    """Yield the calls at both cells. Raises Unavailable for one that does not answer."""
    async with AsyncExitStack() as stack:
        both = []
        for number in (move.source, move.target):
            calls = connect(_cell(opened, number), project)
            stack.push_async_callback(calls.close)
            await calls.ready()
            both.append(calls)
        yield both[0], both[1]


class _Moving:
    """A project on its way, and its entry in the directory as this command has written it."""

    def __init__(
        self,
        store: DirectoryStore,
        pin: Pin,
        sequence: int,
        source: CellCalls,
        target: CellCalls,
    ) -> None:
        self._store = store
        self._pin = pin
        self._sequence = sequence
        self._source = source
        self._target = target
        route = Route(source, target, print_line)
        self._parts = [part(route) for part in PARTS]

    async def begin(self) -> None:
        """Enter the move; both cells serve the calls of a move that the directory has."""
        await self._write(self._pin)

    async def finish(self) -> None:
        """Do the steps that are left."""
        await self.until_served()
        if self._move.step == COPYING:
            await self._check_data()
            for each in await left_behind(self._source):
                print_line(f"cell {self._source.cell.name} keeps {each}")
            await self._copy_first()
            active = await Triggers(self._source).quiet()
            stopped = await running_apps(self._source)
            move = replace(self._move, step=SWITCHING, paused=active, stopped=stopped)
            await self._write_move(move)
            await self._switch()
        elif self._move.step == SWITCHING:
            # Gateways refuse changes anew, for the time of this command.
            await self._write_move(self._move)
            await self._switch()
        if self._move.step == STARTING:
            for part in self._parts:
                await part.start(self._move)
            await self._write_move(replace(self._move, step=ENDING))
        await self._end()

    async def cancel(self) -> None:
        """Leave the project in its cell, with its triggers as they were. Raises ValueError."""
        # Another command may have made the target the home.
        await self._check_entry()
        for part in self._parts:
            await part.cancel(self._move)
        await self._write(replace(self._pin, move=None))

    async def until_served(self) -> None:
        """Wait until each gateway of both cells serves the calls of this move."""
        for calls in (self._source, self._target):
            serves = partial(self._serves, calls.cell.number)
            await calls.until_known([calls.cell.http], serves)
            await calls.until_known(await calls.gateways(), serves)

    @property
    def _move(self) -> Move:
        assert self._pin.move is not None
        return self._pin.move

    async def _write(self, pin: Pin) -> None:
        self._sequence = await self._store.replace(pin, self._sequence)
        self._pin = pin

    async def _write_move(self, move: Move) -> None:
        await self._write(replace(self._pin, move=move))

    async def _check_data(self) -> None:
        found = await refused_data(self._source)
        for part in self._parts:
            found += await part.problems(self._move)
        if found:
            await self._refuse(found)

    async def _refuse(self, found: list[str]) -> None:
        """Cancel the move. Raises ValueError with what cannot be moved."""
        await self.cancel()
        items = "".join(f"\n  {each}" for each in found)
        name = self._target.cell.name
        raise ValueError(f"project {self._pin.project} cannot move to cell {name}; it has:{items}")

    async def _copy_first(self) -> None:
        try:
            for part in self._parts:
                await part.copy()
        except CannotMove as error:
            await self._refuse([str(error)])

    async def _switch(self) -> None:
        """Copy the last changes, and make the target the home. Raises ValueError."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(SWITCH_S / 2):
                await self._source.until_known(await self._source.gateways(), self._is_refused)
                # Calls that began before end.
                await asyncio.sleep(SETTLE_S)
                await self._check_data()
                await self._check_entry()
                await Triggers(self._source).pause(self._move.paused_triggers.__contains__)
                for part in self._parts:
                    await self._check_entry()
                    await part.switch(self._move)
                await self._write(self._switched())
        except CannotMove as error:
            await self._refuse([str(error)])
        except TimeoutError:
            text = f"the switch took longer than {SWITCH_S / 2:.0f} s"
            raise ValueError(f"{text}; run the command again, or with --cancel") from None
        here, there = self._source, self._target
        for calls in (here, there):
            names = partial(self._names_home, calls.cell.number)
            await calls.until_known(await calls.gateways(), names)
        took = time.monotonic() - began
        print_line(f"switched to {there.cell.name}; changes were refused for {took:.1f} s")
        for part in self._parts:
            for each in await part.late():
                print_line(f"registered too late, register it again: {each}")

    def _switched(self) -> Pin:
        """Return the entry with the target as the home."""
        home, move = self._pin.home, replace(self._move, step=STARTING)
        assert home is not None
        return Pin(self._pin.project, Home(move.target, home.strict), move)

    async def _end(self) -> None:
        """Wait for the executions of the source."""
        stub = ExecutionServiceStub(self._source.channel)
        request = ListExecutionsRequest(statuses=_OPEN, page_size=DRAIN_PAGE)
        shown = ""
        while True:
            page = await self._source.call(stub.ListExecutions, request)
            for part in self._parts:
                await part.follow()
            if not page.executions:
                break
            more = " or more" if page.next_page_token else ""
            text = f"{len(page.executions)}{more} executions run in cell {self._source.cell.name}"
            if text != shown:
                print_line(text)
                shown = text
            await asyncio.sleep(DRAIN_POLL_S)
        for part in self._parts:
            await part.end()
        await self._write(replace(self._pin, move=None))
        print_line(f"project {self._pin.project} lives in cell {self._target.cell.name}")

    async def _check_entry(self) -> None:
        """Raise ValueError if another command has canceled or continued the move."""
        _, sequence = await self._store.pin(self._pin.project)
        if sequence != self._sequence:
            raise ValueError("another command has continued or canceled the move")

    async def _serves(self, number: int, http: aiohttp.ClientSession, url: str) -> bool:
        headers = {_NAMESPACE: self._pin.project, MOVE_HEADER: str(number)}
        async with http.get(f"{url}{_READ}", headers=headers) as answer:
            return answer.status not in _NOT_SERVED

    async def _is_refused(self, http: aiohttp.ClientSession, url: str) -> bool:
        headers = {_NAMESPACE: self._pin.project}
        async with http.post(f"{url}{_PROBE}", headers=headers) as answer:
            return answer.status == HTTPStatus.SERVICE_UNAVAILABLE

    async def _names_home(self, number: int, http: aiohttp.ClientSession, url: str) -> bool:
        """Return whether a gateway of a cell serves the project, or names the cell that does."""
        headers = {_NAMESPACE: self._pin.project, _HOP: str(number)}
        target = self._target.cell
        async with http.get(f"{url}{_READ}", headers=headers) as answer:
            named = answer.headers.get(_ADDRESS, "")
            return named == ("" if number == target.number else target.grpc)
