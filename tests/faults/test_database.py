"""F8, F9, F11 to F13, F21: the database loses answers, dies, hangs, fails and is slow."""

import asyncio
import os
import random
import signal
import time

import asyncpg
import pytest

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.errors import Timeout, Unavailable
from flowmesh.testing.polling import allowed_s, pause, until
from tests.drills.breaking import epochs, rows_of
from tests.faults.protocols import COMMIT, StatementFault
from tests.faults.scenario import Scenario
from tests.faults.tracing import family, injected

LOST_REPLIES = 20
HIT_WITHIN_S = 20.0
RESTARTS = 3
APART_S = (5.0, 8.0)
RESTARTED_ORDERS = 300
HUNG_S = 6.0
DEADLINE_S = 1.0
DEADLINE_SLACK_S = 0.1
DEADLOCKS = 3
_COMMITTING = """
select pid from pg_stat_activity
where query like '%update incarnations set position%' and pid <> pg_backend_pid()"""
_WAITING = _COMMITTING + " and wait_event_type = 'Lock'"


@pytest.mark.slow
@pytest.mark.fault("F8")
@pytest.mark.parametrize("fault", ["lost reply", "late request"])
async def test_the_outcome_of_a_commit_is_unknown(scenario: Scenario, fault: str) -> None:
    """The same statement is sent again and one of the two applies, in whatever order they come."""
    database = scenario.rig.database
    async with scenario.drill(f"COMMIT, {fault}", orders=60, late_orders=60) as running:
        await scenario.whole()
        await running.in_flight()
        running.breaks()
        try:
            for _ in range(LOST_REPLIES):
                rule = StatementFault(COMMIT, fault)
                database.rules.append(rule)
                try:
                    async with asyncio.timeout(HIT_WITHIN_S if rule.hits == 0 else None):
                        await rule.hit.wait()
                except TimeoutError:
                    break
                # Sent again by now; the first one comes after it, or never.
                await pause(0.05)
                rule.release.set()
        finally:
            database.heal()
        hits = rule.hits
        await scenario.finish(running, "F8", n=LOST_REPLIES if hits else 0, extra_deliveries=2)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.fault("F9")
async def test_the_database_restarts_again_and_again(scenario: Scenario, seed: int) -> None:
    """Immediate shutdowns and kills some seconds apart, under load: every order is right."""
    draw, servers = random.Random(seed), scenario.rig.servers
    async with scenario.drill(
        "PostgreSQL restarts", orders=60, late_orders=RESTARTED_ORDERS
    ) as running:
        await scenario.whole()
        await running.in_flight()
        running.breaks()
        for _ in range(RESTARTS):
            servers.kill("postgres", draw.choice((signal.SIGQUIT, signal.SIGKILL)))
            await servers.until_ready("postgres")
            await pause(draw.uniform(*APART_S))
        outcome = await scenario.finish(running, "F9", n=RESTARTS, extra_deliveries=RESTARTS)
    scenario.tally.figure("N8", restarts=RESTARTS, n=outcome.executions, wrong=0)


@pytest.mark.slow
@pytest.mark.fault("F11")
async def test_a_hung_database_holds_nobody_beyond_the_deadline(scenario: Scenario) -> None:
    """Calls end at their deadline although PostgreSQL is stopped; then everything goes on."""
    rig = scenario.rig
    async with scenario.drill("PostgreSQL hangs") as running:
        await scenario.whole()
        await running.in_flight()
        stub = ExecutionServiceStub(rig.channel_to("orchestrator-1"))
        request = pb.StartExecutionRequest(
            workflow_id=running.orders.workflow_id, request_id="hung"
        )
        pids = family(rig.pids["postgres"])
        try:
            signal_all(pids, signal.SIGSTOP)
            running.breaks()
            began = time.monotonic()
            waits = []
            while time.monotonic() - began < HUNG_S:
                asked = time.monotonic()
                with pytest.raises((Timeout, Unavailable)):
                    await stub.StartExecution(request, timeout=DEADLINE_S)
                waits.append(time.monotonic() - asked)
        finally:
            signal_all(pids, signal.SIGCONT)
        await stub.TerminateExecution(
            pb.TerminateExecutionRequest(
                execution_id=(await stub.StartExecution(request)).execution_id
            )
        )
        await scenario.finish(running, "F11", extra_deliveries=2)
    assert max(waits) <= allowed_s(DEADLINE_S + DEADLINE_SLACK_S)


def signal_all(pids: list[int], number: signal.Signals) -> None:
    """Signals processes, those first that nobody waits for."""
    for pid in reversed(pids):
        os.kill(pid, number)


@pytest.mark.slow
@pytest.mark.fault("F12")
async def test_a_failed_fsync_stops_the_database(scenario: Scenario) -> None:
    """PostgreSQL dies of it and recovers from its log; nothing that was told is lost."""
    rig = scenario.rig
    log = rig.servers.data_dir.path / "logs" / "postgres.log"
    async with scenario.drill("fsync returns EIO") as running:
        await scenario.whole()
        await running.in_flight()
        panics = log.read_text(errors="replace").count("PANIC")
        backends = [row["pid"] for row in await rows_of(rig, _COMMITTING)]
        assert backends
        async with injected(backends, "error=EIO:when=1"):
            running.breaks()

            async def panicked() -> bool:
                return log.read_text(errors="replace").count("PANIC") > panics

            await until("PostgreSQL has given up", panicked, within_s=HIT_WITHIN_S)
        await scenario.finish(running, "F12", extra_deliveries=2)


@pytest.mark.slow
@pytest.mark.fault("F13")
async def test_a_commit_that_loses_a_deadlock_is_sent_again(scenario: Scenario) -> None:
    """Another session locks an execution, then the partition that the commit holds."""
    async with scenario.drill("deadlock") as running:
        await scenario.whole()
        await running.in_flight()
        locked = running.orders.ids[:DEADLOCKS]
        met = [asyncio.create_task(deadlock(scenario, execution_id)) for execution_id in locked]
        await asyncio.gather(*(until_locked(scenario, execution_id) for execution_id in locked))
        running.breaks()
        await asyncio.gather(*met)
        await scenario.finish(running, "F13", n=DEADLOCKS)


async def until_locked(scenario: Scenario, execution_id: str) -> None:
    """Returns when somebody holds the row of the execution."""
    query = "select 1 from orchestrator.executions where id = $1 for update skip locked"

    async def locked() -> bool:
        connection = await asyncpg.connect(scenario.rig.postgres)
        try:
            return not await connection.fetch(query, execution_id)
        finally:
            await connection.close()

    await until("the execution locked", locked, within_s=HIT_WITHIN_S)


async def deadlock(scenario: Scenario, execution_id: str) -> None:
    """Takes what a commit needs in the other order than the commit does."""
    rig = scenario.rig
    connection = await asyncpg.connect(rig.postgres)
    transaction = connection.transaction()
    await transaction.start()
    try:
        partition = await connection.fetchval(
            "select partition from orchestrator.executions where id = $1 for update", execution_id
        )

        async def waits() -> bool:
            return bool(await rows_of(rig, _WAITING))

        await until("a commit waits", waits, within_s=HIT_WITHIN_S)
        await connection.execute(
            "update orchestrator.partitions set epoch = epoch where id = $1", partition
        )
    except asyncpg.DeadlockDetectedError:
        return
    finally:
        await transaction.rollback()
        await connection.close()


@pytest.mark.slow
@pytest.mark.fault("F21")
@pytest.mark.parametrize("delay_ms", [50, 500])
async def test_a_slow_disk_is_waited_for(scenario: Scenario, delay_ms: int) -> None:
    """Each fsync takes longer; nobody loses a lease, and nothing is lost or done twice."""
    rig = scenario.rig
    async with scenario.drill(f"fsync + {delay_ms} ms") as running:
        await scenario.whole()
        await running.in_flight()
        before = await epochs(rig)
        pids = family(rig.pids["postgres"])
        async with injected(pids, f"delay_enter={delay_ms * 1_000}", children=True):
            running.breaks()
            outcome = await scenario.finish(running, "F21", extra_deliveries=2)
        after = await epochs(rig)
    assert outcome.executions
    assert after == before, "no partition has changed its owner"
