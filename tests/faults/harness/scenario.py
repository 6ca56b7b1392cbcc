"""One fault of the matrix: a drill on the rig, checked by I1 to I9 and the audit, and counted."""

from typing import Any

import asyncpg

from flowmesh.testing import audit, checker
from flowmesh.testing.world import World
from tests.drills.breaking import balanced, drill, there
from tests.drills.drill import Drill, Outcome
from tests.faults.harness.record import accepted, recorded
from tests.faults.harness.rig import MEMBERS, Rig
from tests.faults.harness.tally import Tally
from tests.simulation.checks.invariants import violations

ORDERS = 24
LATE_ORDERS = 8


class Scenario:
    """What the tests of one rig share: where to break, what is called, where it is counted."""

    def __init__(self, rig: Rig, world: World, tally: Tally) -> None:
        self.rig = rig
        self.world = world
        self.tally = tally

    def drill(
        self, fault: str, *, orders: int = ORDERS, late_orders: int = LATE_ORDERS, **more: Any
    ) -> Drill:
        return drill(self.rig, self.world, fault, orders=orders, late_orders=late_orders, **more)

    async def whole(self) -> None:
        """Returns when every member is up and the partitions are shared, after earlier tests."""
        await there(self.rig, *MEMBERS)
        await balanced(self.rig)

    async def finish(
        self,
        running: Drill,
        row: str,
        *,
        n: int = 1,
        extra_deliveries: int = 1,
        hooks: bool = True,
    ) -> Outcome:
        """Everything has ended and holds what was promised; counted as `n` faults of the row."""
        outcome = await running.finish(extra_deliveries=extra_deliveries, hooks=hooks)
        self.tally.add(row, outcome.fault, outcome, n=n)
        connection: asyncpg.Connection = await checker.reader(self.rig.postgres)
        try:
            owners, commits = await audit.read(connection)
            problems = audit.check_epochs(owners, commits)
            orders = running.orders
            calls = list(accepted(orders))
            record = await recorded(connection, orders.workflow_ids, calls, owners, commits)
            problems += violations(record)
        finally:
            await connection.close()
        assert not problems, "\n".join(problems[:20])
        return outcome
