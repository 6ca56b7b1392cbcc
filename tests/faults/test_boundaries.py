"""N2: death at every boundary of an order: each sync of the database, each send of a commit."""

import os
import signal
import socket
import struct
from functools import partial

import pytest

from flowmesh.testing.polling import until
from tests.drills.breaking import rows_of
from tests.faults.protocols import COMMIT, RUNS
from tests.faults.proxy import UP, Connection
from tests.faults.rig import Rig
from tests.faults.scenario import Scenario
from tests.faults.tracing import injected

# An order has about a dozen commits; the sweep ends at the first boundary it does not reach.
BOUNDARIES_MAX = 40
BOUNDARIES_MIN = 8
ORCHESTRATORS = 2
WARM_WITHIN_S = 20.0
REST = {"id": "rest", "name": "rest", "action": "delay", "params": {"duration": 1}}
PEER = struct.Struct("3i")
_COMMITTING = """
select pid from pg_stat_activity
where query like '-- The one statement of a batch%' and pid <> pg_backend_pid()"""


class KilledAtSend:
    """Kills the process that sends its nth commit, once the statement is on its way."""

    def __init__(self, nth: int) -> None:
        self._left = nth
        self._caught: Connection | None = None
        self.killed = 0

    async def __call__(self, connection: Connection, direction: str, frame: bytes) -> bool:
        if direction != UP or self.killed:
            return True
        if frame[:1] == b"B" and COMMIT.decode() in connection.notes[RUNS]:
            self._left -= 1
            if not self._left:
                self._caught = connection
        elif frame[:1] == b"S" and connection is self._caught:
            peer = connection.client.get_extra_info("socket")
            asked = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
            self.killed = PEER.unpack(asked)[0]
            os.kill(self.killed, signal.SIGKILL)
        return True


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.fault("F1", "F8")
async def test_the_committer_dies_at_every_send(scenario: Scenario) -> None:
    """The statement is on its way and nobody is left to hear the reply: each commit in turn."""
    database = scenario.rig.database
    reached = 0
    for nth in range(1, BOUNDARIES_MAX):
        async with scenario.drill("kill -9 at every send", orders=1, late_orders=0) as running:
            await scenario.whole()
            rule = KilledAtSend(nth)
            database.rules.append(rule)
            try:
                await running.in_flight()
                running.breaks()
                await running.all_ended()
            finally:
                database.heal()
            await scenario.finish(running, "F1", n=bool(rule.killed), extra_deliveries=2)
        if not rule.killed:
            break
        reached += 1
    scenario.tally.figure("N2", n=reached, sends=reached)
    assert reached >= BOUNDARIES_MIN


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.fault("F12")
async def test_the_database_dies_at_every_sync(scenario: Scenario) -> None:
    """PostgreSQL is killed at each fdatasync of an order's commits, and recovers from its log."""
    rig = scenario.rig
    reached = 0
    await scenario.whole()
    warm_up = await rig.define({"id": "warm-up", "name": "warm-up", "steps": [REST]})

    async def both_commit() -> bool:
        await rig.begin(warm_up)
        return len(await committing(rig)) == ORCHESTRATORS

    for nth in range(1, BOUNDARIES_MAX):
        async with scenario.drill("kill -9 at every fdatasync", orders=1, late_orders=0) as running:
            await scenario.whole()
            await until("a backend of each committer", both_commit, within_s=WARM_WITHIN_S)
            backends = await committing(rig)
            async with injected(partial(list, backends), f"signal=SIGKILL:when={nth}"):
                await running.in_flight()
                running.breaks()
                await running.all_ended()
            died = not set(backends) <= set(await committing(rig))
            await scenario.finish(running, "F12", n=int(died), extra_deliveries=2)
        if not died:
            break
        reached += 1
    scenario.tally.figure("N2", syncs=reached)
    assert reached >= BOUNDARIES_MIN


async def committing(rig: Rig) -> list[int]:
    """The backends of the committers, as far as they have committed since they are there."""
    return [row["pid"] for row in await rows_of(rig, _COMMITTING)]
