"""F20: Redis is flushed, killed, hung and slow, and no result changes."""

import os
import signal

import pytest

from flowmesh.testing.polling import pause
from tests.faults.harness.scenario import Scenario

HUNG_S = 5.0
SLOW_S = 2.0
FLUSHES = 10


@pytest.mark.slow
@pytest.mark.fault("F20")
async def test_redis_is_flushed_again_and_again(scenario: Scenario) -> None:
    """Who was registered registers again; workers and orchestrators stay together."""
    from redis.asyncio import Redis

    async with scenario.drill("FLUSHALL") as running:
        await scenario.whole()
        await running.in_flight()
        running.breaks()
        async with Redis.from_url(scenario.rig.servers.redis) as redis:
            for _ in range(FLUSHES):
                await redis.flushall()
                await pause(0.2)
        await scenario.finish(running, "F20", n=FLUSHES)
    scenario.tally.figure("N7", redis_flushes=FLUSHES, lost=0)
    await scenario.whole()


@pytest.mark.slow
@pytest.mark.fault("F20")
async def test_redis_is_killed(scenario: Scenario) -> None:
    """What it held comes back from those who said it."""
    servers = scenario.rig.servers
    async with scenario.drill("kill -9 Redis") as running:
        await scenario.whole()
        await running.in_flight()
        servers.kill("redis")
        running.breaks()
        await servers.until_ready("redis")
        await scenario.finish(running, "F20")


@pytest.mark.slow
@pytest.mark.fault("F20")
async def test_redis_hangs(scenario: Scenario) -> None:
    """Nothing that must go on asks it."""
    rig = scenario.rig
    async with scenario.drill("Redis hangs") as running:
        await scenario.whole()
        await running.in_flight()
        os.kill(rig.pids["redis"], signal.SIGSTOP)
        try:
            running.breaks()
            await running.all_ended()
            await pause(HUNG_S)
        finally:
            os.kill(rig.pids["redis"], signal.SIGCONT)
        await scenario.finish(running, "F20")
    await scenario.whole()


@pytest.mark.slow
@pytest.mark.fault("F20")
async def test_redis_is_slow(scenario: Scenario) -> None:
    """Two seconds for each answer are waited for by nobody who has work to do."""
    cache = scenario.rig.cache
    async with scenario.drill("Redis is slow") as running:
        await scenario.whole()
        await running.in_flight()
        cache.delay_s = SLOW_S
        try:
            running.breaks()
            await running.all_ended()
        finally:
            cache.heal()
        await scenario.finish(running, "F20")
    await scenario.whole()
