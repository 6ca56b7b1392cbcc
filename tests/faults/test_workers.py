"""F3, F25, F26: remote workers that die, sleep too long, or are killed by their work."""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack

import pytest

from flowmesh.testing.polling import allowed_s
from tests.drills.breaking import REPOSITORY, packer
from tests.drills.drill import Outcome
from tests.drills.packer import ACTION
from tests.faults.harness.scenario import Scenario
from tests.faults.harness.tally import share

KILLS = 10
REPLACED_S = 1.0
FROZEN_REPLACED_S = 15.0
POISON_STEP = {"id": "take", "name": "take", "action": "poison", "params": {}}
POISONED_WITHIN_S = 40.0
HARMLESS = {"id": "rest", "name": "rest", "action": "delay", "params": {"duration": 1}}
# Dies of every task it gets, as a worker does whose memory a task eats up.
VICTIM = """
import asyncio, os, sys
from flowmesh.sdk import Worker
async def die(params, context):
    os._exit(137)
async def main():
    async with Worker(sys.argv[1], {"poison": die}, slots=1, worker_id=sys.argv[2]):
        await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.fault("F3")
async def test_workers_are_killed_one_after_the_other(scenario: Scenario) -> None:
    """What a worker held goes to another within a second, under the same key: N5."""
    rig = scenario.rig
    waits = []
    await scenario.whole()
    for number in range(KILLS):
        async with AsyncExitStack() as stack:
            first = rig.member("worker-1").grpc
            killed = await stack.enter_async_context(packer(first, f"killed-{number}"))
            second = rig.member("worker-2").grpc
            await stack.enter_async_context(packer(second, f"stays-{number}"))
            running = await stack.enter_async_context(scenario.drill("kill -9 remote worker"))
            await running.in_flight(remote=ACTION)
            killed.kill()
            running.breaks()
            outcome = await scenario.finish(running, "F3", extra_deliveries=0)
        waits.append(max(outcome.recoveries_s))
    p50, p99 = share(waits, 0.5), share(waits, 0.99)
    scenario.tally.figure("N5", n=KILLS, p50_s=p50, p99_s=p99)
    assert max(waits) <= allowed_s(REPLACED_S + 0.5)


@pytest.mark.slow
@pytest.mark.fault("F3")
async def test_a_worker_service_dies_while_workers_beat(scenario: Scenario) -> None:
    """Its workers come back, to it or to another one, and bring what they hold."""
    rig = scenario.rig
    await scenario.whole()
    async with AsyncExitStack() as stack:
        for name in ("worker-1", "worker-2"):
            await stack.enter_async_context(packer(rig.member(name).grpc, f"beats-{name}"))
        running = await stack.enter_async_context(
            scenario.drill("kill -9 at worker.heartbeat", late_orders=40)
        )
        await running.in_flight(remote=ACTION)
        pid = rig.member("worker-1").pid
        rig.arm("worker-1", "worker.heartbeat=kill9@1")
        running.breaks()
        await rig.hit("worker-1")
        await rig.replaced("worker-1", pid)
        await scenario.finish(running, "F3", extra_deliveries=2)


@pytest.mark.slow
@pytest.mark.fault("F25")
async def test_a_frozen_worker_wakes_up_too_late(scenario: Scenario) -> None:
    """Silent for ten seconds its tasks are another's; its own late results change nothing."""
    rig = scenario.rig
    await scenario.whole()
    async with AsyncExitStack() as stack:
        address = rig.member("worker-1").grpc
        frozen = await stack.enter_async_context(packer(address, "frozen"))
        address = rig.member("worker-2").grpc
        await stack.enter_async_context(packer(address, "awake"))
        running = await stack.enter_async_context(scenario.drill("SIGSTOP remote worker"))
        await running.in_flight(remote=ACTION)
        frozen.send_signal(signal.SIGSTOP)
        try:
            running.breaks()
            took_s = await running.all_ended()
        finally:
            frozen.send_signal(signal.SIGCONT)
        # It has sent what it had when it gets the tasks of another round.
        await running.orders.start(ROUND_TWO, 4)
        await scenario.finish(running, "F25")
    refused = [line for line in rig.logged("orchestrator").splitlines() if REFUSED in line]
    assert any("by frozen" in line for line in refused)
    assert took_s <= allowed_s(FROZEN_REPLACED_S)


ROUND_TWO = 1_000
REFUSED = "results_refused"


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.fault("F26")
async def test_work_that_kills_its_workers_is_given_up(scenario: Scenario) -> None:
    """After five lost workers the step fails with POISON; everybody else's work goes on."""
    rig = scenario.rig
    await scenario.whole()
    workflow = await rig.define({"id": "poison", "name": "poison", "steps": [POISON_STEP]})
    other = await rig.define({"id": "harmless", "name": "harmless", "steps": [HARMLESS]})
    address = rig.member("worker-1").grpc
    keeper = asyncio.create_task(kept_alive(address))
    try:
        execution_id = await rig.begin(workflow)
        beside = await rig.wait(await rig.begin(other))
        ended = await rig.wait(execution_id, POISONED_WITHIN_S)
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
    assert beside["status"] == "completed"
    assert ended["status"] == "failed"
    assert "POISON" in str(ended), ended
    outcome = Outcome("kills its workers", executions=2)
    scenario.tally.add("F26", outcome.fault, outcome)


async def kept_alive(address: str) -> None:
    """Starts the victim again whenever it has died."""
    for number in range(20):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", VICTIM, address, f"victim-{number}"), cwd=REPOSITORY
        )
        try:
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
