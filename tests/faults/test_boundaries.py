"""N2: death at every boundary of a saga: before each write is sent, behind it, and at its sync.

A saga is followed through all of its writes, once for each of them and each way to die there:
twelve steps with a timer, a signal and a child; one whose last step is refused, so that what was
done is undone; one whose child is refused, and undoes what it did before its parent does.
"""

import os
import random
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from typing import Any

import psutil
import pytest

from flowmesh.testing.polling import done
from tests.drills.sagas import REFUSABLE, Sagas
from tests.faults.harness.protocols import BACKEND, COMMIT, POSITIONS, RUNS
from tests.faults.harness.proxy import UP, Connection
from tests.faults.harness.scenario import Scenario
from tests.faults.harness.tracing import injected

pytestmark = pytest.mark.long

# How many boundaries of each kind are drawn; 0 is all there are.
DRAWN = int(os.environ.get("FAULTS_BOUNDARIES", "2"))
DRAWS_MAX = 10
TRIES = 3
WRITES_MIN = 10
DIED_WITHIN_S = 10.0
PEER = struct.Struct("3i")
UNSENT, UNHEARD, UNSYNCED = "unsent", "unheard", "unsynced"
ROWS = {UNSENT: "F1", UNHEARD: "F1", UNSYNCED: "F12"}
WRITES = (COMMIT.decode(), POSITIONS.decode())


class AtWrite:
    """Kills at the nth write that executions lead to: a commit, or what was told of commits.

    "unsent": the process that sends it, of which nothing arrives. "unheard": the same once the
    statement is on its way, so that nobody hears the reply. "unsynced": the process of PostgreSQL
    that runs it, as it calls fdatasync.
    """

    def __init__(self, nth: int, way: str, stack: AsyncExitStack) -> None:
        self._nth = nth
        self._way = way
        self._stack = stack
        self._caught: Connection | None = None
        self.writes = 0
        self.killed = 0
        self.at_s = 0.0

    async def __call__(self, connection: Connection, direction: str, frame: bytes) -> bool:
        if direction != UP:
            return True
        runs = connection.notes.get(RUNS, "")
        if frame[:1] == b"B" and any(text in runs for text in WRITES):
            self.writes += 1
            if self.writes == self._nth:
                self._caught = connection
                await self._break(connection)
        elif frame[:1] == b"S" and self._way == UNHEARD and self._caught is connection:
            self._kill(connection)
        return self._way != UNSENT or connection is not self._caught

    async def _break(self, connection: Connection) -> None:
        self.at_s = time.time()
        if self._way == UNSENT:
            self._kill(connection)
        elif self._way == UNSYNCED:
            self.killed = int(connection.notes[BACKEND])
            fault = injected(lambda: [self.killed], "signal=SIGKILL:when=1")
            await self._stack.enter_async_context(fault)

    def _kill(self, connection: Connection) -> None:
        if not self.killed:
            asked = connection.client.get_extra_info("socket").getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size
            )
            self.killed = PEER.unpack(asked)[0]
            os.kill(self.killed, signal.SIGKILL)


async def died(scenario: Scenario, refused: str, way: str, nth: int) -> AtWrite:
    """A saga whose nth write somebody dies at, from its start to its end, with all that holds."""
    database = scenario.rig.database
    load: Any = partial(Sagas, refused=refused)
    named = f"a saga, {refused or 'nothing'} refused; {way}"
    async with (
        AsyncExitStack() as stack,
        scenario.drill(named, orders=1, late_orders=0, load=load) as running,
    ):
        await scenario.whole()
        rule = AtWrite(nth, way, stack)
        database.rules.append(rule)
        try:
            await running.in_flight()
            running.breaks(None if nth else ())
            await running.all_ended()
            if rule.killed:
                running.broke_at(rule.at_s)
                gone = partial(_gone, rule.killed)
                await done(f"write {nth} {way}", gone, within_s=DIED_WITHIN_S)
        finally:
            database.heal()
        await scenario.finish(
            running, ROWS[way], n=bool(rule.killed), extra_deliveries=2, hooks=False
        )
    return rule


async def reached_and_died(scenario: Scenario, refused: str, way: str, nth: int) -> bool:
    """Whether there is such a write: what commits together differs, so it is tried again."""
    for _ in range(TRIES):
        if (await died(scenario, refused, way, nth)).killed:
            return True
    return False


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid)


def ways() -> list[Any]:
    """Each saga with each way to die, one of them for `make test`."""
    quick = ("receipt", UNHEARD)
    return [
        pytest.param(
            refused,
            way,
            id=f"{refused or 'nothing'}-{way}",
            marks=[] if (refused, way) == quick else pytest.mark.slow,
        )
        for refused in REFUSABLE
        for way in ROWS
    ]


def boundaries_of(unharmed: AtWrite, seed: str) -> Iterator[int]:
    """As many as are wanted; of all of them, the first that is not reached ends the sweep."""
    draw = random.Random(seed)
    drawn = (draw.randint(1, unharmed.writes) for _ in range(DRAWS_MAX))
    return drawn if DRAWN else count(1)


@pytest.mark.timeout(1800)
@pytest.mark.fault("F1", "F8", "F12")
@pytest.mark.parametrize(("refused", "way"), ways())
async def test_death_at_every_write_of_a_saga(
    scenario: Scenario, seed: int, refused: str, way: str
) -> None:
    """Nothing is lost, repeated, undone twice or stuck, at whichever boundary somebody dies."""
    unharmed = await died(scenario, refused, way, 0)
    assert unharmed.writes >= WRITES_MIN
    killed = 0
    for nth in boundaries_of(unharmed, f"{seed} {refused} {way}"):
        reached = await reached_and_died(scenario, refused, way, nth)
        killed += reached
        if not (reached or DRAWN) or killed == DRAWN:
            break
    boundaries = unharmed.writes if DRAWN else killed
    scenario.tally.count("N2", n=killed, boundaries=boundaries, **{way: killed})
    assert killed >= (DRAWN or WRITES_MIN)
