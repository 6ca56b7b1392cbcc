"""F8, F9, F11 to F13, F21: the database loses answers, dies, hangs, fails and is slow."""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable

import asyncpg
import psutil
import pytest

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.errors import Timeout, Unavailable
from flowmesh.testing.polling import allowed_s, pause, until
from tests.drills.breaking import epochs, rows_of, says_ok
from tests.faults.harness.protocols import COMMIT, StatementFault
from tests.faults.harness.rig import MEMBERS, Rig
from tests.faults.harness.scenario import Scenario
from tests.faults.harness.tracing import family, injected, signal_family

LOST_REPLIES = 20
LOST_REPLIES_MIN = 10
SENT_AGAIN_S = 0.05
HIT_WITHIN_S = 20.0
RESTARTS = 3
APART_S = (5.0, 8.0)
RESTARTED_ORDERS = 300
READY_AGAIN_S = 2.0
HUNG_S = 30.0
HUNG_STARTS = 20
EVERYTHING = pb.ListExecutionsRequest()
DEADLINE_S = 1.0
DEADLINE_SLACK_S = 0.1
MIB = 1 << 20
GROWTH_MIB_MAX = 16
DEADLOCKS = 3
LEASE_KEPT_MS = 50
REST = {"id": "rest", "name": "rest", "action": "delay", "params": {"duration": 1}}
_COMMITTING = """
select pid from pg_stat_activity
where query like '-- The one statement of a batch%' and pid <> pg_backend_pid()"""
_WAITING = _COMMITTING + " and wait_event_type = 'Lock'"


@pytest.mark.long
@pytest.mark.fault("F8")
@pytest.mark.parametrize(
    "fault", ["lost reply", pytest.param("late request", marks=pytest.mark.slow)]
)
async def test_the_outcome_of_a_commit_is_unknown(scenario: Scenario, fault: str) -> None:
    """The same statement is sent again and one of the two applies, in whatever order they come."""
    database = scenario.rig.database
    hits = 0
    async with scenario.drill(f"COMMIT, {fault}", orders=60, late_orders=120) as running:
        await scenario.whole()
        await running.in_flight()
        running.breaks()
        ended = asyncio.ensure_future(running.all_ended())
        try:
            while hits < LOST_REPLIES:
                rule = StatementFault(COMMIT, fault)
                database.rules.append(rule)
                hit = asyncio.ensure_future(rule.hit.wait())
                await asyncio.wait((hit, ended), return_when=asyncio.FIRST_COMPLETED)
                hit.cancel()
                if not rule.hits:
                    break
                hits += 1
                # Sent again by now; the first one comes behind it, or never.
                await pause(SENT_AGAIN_S)
                rule.release.set()
                database.rules.remove(rule)
        finally:
            database.heal()
        await ended
        await scenario.finish(running, "F8", n=hits, extra_deliveries=2)
    assert hits >= LOST_REPLIES_MIN


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.fault("F9")
async def test_the_database_restarts_again_and_again(scenario: Scenario, seed: int) -> None:
    """Immediate shutdowns and kills some seconds apart, under load: every order is right.

    Nobody would restart a process for it: all live, and are ready again soon after.
    """
    draw, servers = random.Random(seed), scenario.rig.servers
    asked = [member.http for member in scenario.rig.members().values()]

    async def all_say(path: str) -> bool:
        return all(await asyncio.gather(*(says_ok(http, path) for http in asked)))

    async with scenario.drill(
        "PostgreSQL restarts", orders=60, late_orders=RESTARTED_ORDERS
    ) as running:
        await scenario.whole()
        await running.in_flight()
        running.breaks()
        again_s = []
        for _ in range(RESTARTS):
            servers.kill("postgres", draw.choice((signal.SIGQUIT, signal.SIGKILL)))
            assert await all_say("/livez")
            await servers.until_ready("postgres")
            again_s.append(
                await until("all are ready", lambda: all_say("/ready"), within_s=HIT_WITHIN_S)
            )
            await pause(draw.uniform(*APART_S))
        outcome = await scenario.finish(running, "F9", n=RESTARTS, extra_deliveries=RESTARTS)
    scenario.tally.figure("N8", restarts=RESTARTS, n=outcome.executions, wrong=0)
    assert max(again_s) <= allowed_s(READY_AGAIN_S)


@pytest.mark.slow
@pytest.mark.fault("F11")
async def test_calls_end_at_their_deadline_while_the_database_hangs(scenario: Scenario) -> None:
    """Calls end at their deadline although PostgreSQL is stopped; then everything goes on."""
    rig = scenario.rig
    async with scenario.drill("PostgreSQL hangs") as running:
        await scenario.whole()
        await running.in_flight()
        stub = ExecutionServiceStub(rig.channel_to("orchestrator-1"))
        other = await rig.define({"id": "other", "name": "other", "steps": [REST]})
        request = pb.StartExecutionRequest(workflow_id=other, request_id="hung")
        await stub.StartExecution(pb.StartExecutionRequest(workflow_id=other))
        sizes = resident(rig)
        pid = rig.pids["postgres"]
        waits: list[float] = []
        try:
            signal_family(pid, signal.SIGSTOP)
            running.breaks()
            until_s = time.monotonic() + HUNG_S
            while time.monotonic() < until_s:
                waits += await asyncio.gather(
                    ended_in_time(stub.StartExecution(request, timeout=DEADLINE_S)),
                    *(
                        ended_in_time(
                            stub.StartExecution(
                                pb.StartExecutionRequest(workflow_id=other), timeout=DEADLINE_S
                            )
                        )
                        for _ in range(HUNG_STARTS)
                    ),
                    ended_in_time(stub.ListExecutions(EVERYTHING, timeout=DEADLINE_S)),
                )
        finally:
            signal_family(pid, signal.SIGCONT)
        grown = {name: now - sizes[name] for name, now in resident(rig).items()}
        assert (await stub.StartExecution(request)).execution_id
        await scenario.finish(running, "F11", extra_deliveries=2)
    assert max(waits) <= allowed_s(DEADLINE_S + DEADLINE_SLACK_S)
    assert max(grown.values()) < GROWTH_MIB_MAX * MIB, grown


async def ended_in_time(call: Awaitable[object]) -> float:
    """How long a call took to be refused."""
    asked_s = time.monotonic()
    with pytest.raises((Timeout, Unavailable)):
        await call
    return time.monotonic() - asked_s


def resident(rig: Rig) -> dict[str, int]:
    """Resident bytes of each process of the cluster."""
    pids = {name: rig.member(name).pid for name in MEMBERS}
    return {name: psutil.Process(pid).memory_info().rss for name, pid in pids.items()}


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
        async with injected(lambda: backends, "error=EIO:when=1"):
            running.breaks()

            async def panicked() -> bool:
                return log.read_text(errors="replace").count("PANIC") > panics

            await until("PostgreSQL has given up", panicked, within_s=HIT_WITHIN_S)
        await scenario.finish(running, "F12", extra_deliveries=2)


@pytest.mark.long
@pytest.mark.fault("F13")
async def test_a_commit_that_loses_a_deadlock_is_sent_again(scenario: Scenario) -> None:
    """Another session locks an execution, then the partition that the commit holds."""
    async with scenario.drill("deadlock") as running:
        await scenario.whole()
        await running.in_flight()
        locked = running.orders.ids[:DEADLOCKS]
        held = [asyncio.Event() for _ in locked]
        met = [
            asyncio.create_task(deadlock(scenario, execution_id, event))
            for execution_id, event in zip(locked, held, strict=True)
        ]
        async with asyncio.timeout(HIT_WITHIN_S):
            await asyncio.gather(*(event.wait() for event in held))
        running.breaks()
        await asyncio.gather(*met)
        await scenario.finish(running, "F13", n=DEADLOCKS)


async def deadlock(scenario: Scenario, execution_id: str, held: asyncio.Event) -> None:
    """Takes what a commit needs in the other order than the commit does; says when it has begun."""
    rig = scenario.rig
    connection = await asyncpg.connect(rig.postgres)
    transaction = connection.transaction()
    await transaction.start()
    try:
        partition = await connection.fetchval(
            "select partition from orchestrator.executions where id = $1 for update", execution_id
        )
        held.set()

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
    """Nothing is lost or done twice, and with 50 ms more for each fsync nobody loses a lease."""
    rig = scenario.rig
    async with scenario.drill(f"fsync + {delay_ms} ms") as running:
        await scenario.whole()
        await running.in_flight()
        before = await epochs(rig)
        async with injected(
            lambda: family(rig.pids["postgres"]), f"delay_enter={delay_ms * 1_000}", children=True
        ):
            running.breaks()
            await scenario.finish(running, "F21", extra_deliveries=2)
        after = await epochs(rig)
    moved = sum(after[partition] != before[partition] for partition in after)
    print(f"{moved} partitions have changed their owner")
    assert not moved or delay_ms > LEASE_KEPT_MS
