"""Delays of logins by account and network, counted on a real Redis and without one."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from flowmesh.embedded import EmbeddedServers
from flowmesh.errors import Overloaded
from flowmesh.identity.attempts import Attempts
from flowmesh.identity.limits import (
    ACCOUNT_FAILURES_MAX,
    ACCOUNT_WINDOW_S,
    DELAY_S_MAX,
    FAILURES_FREE,
)
from flowmesh.storage.redis_cache import open_cache

ACCOUNT, HOME, OUTSIDE = "ann@example.com", "192.0.2.7", "198.51.100.9"


class Clock:
    """Seconds that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["redis", "alone"])
async def attempts(
    request: pytest.FixtureRequest, servers: EmbeddedServers, clock: Clock
) -> AsyncIterator[Attempts]:
    """Attempts over Redis, and over a Redis that does not answer."""
    if request.param == "redis":
        cache = open_cache(servers.redis)
    else:
        cache = Redis.from_url("redis://127.0.0.1:1", retry=Retry(NoBackoff(), 0))
    yield Attempts(redis=cache, prefix=request.node.name, now=clock)
    await cache.aclose()


async def refused(attempts: Attempts, source: str) -> bool:
    try:
        await attempts.begin(ACCOUNT, source)
    except Overloaded:
        return True
    return False


async def test_guesses_that_are_sent_at_once_are_counted(attempts: Attempts) -> None:
    """Of many attempts at once no more begin than one after the other."""
    found = await asyncio.gather(*(refused(attempts, OUTSIDE) for _ in range(40)))
    assert found.count(False) == FAILURES_FREE


async def test_a_network_delays_an_account_for_itself(attempts: Attempts, clock: Clock) -> None:
    """Guesses of an outsider after each delay, for hours, do not delay the owner."""
    for _ in range(60):
        while not await refused(attempts, OUTSIDE):
            pass
        assert not await refused(attempts, HOME)
        await attempts.succeeded(ACCOUNT, HOME)
        clock.now += 900


async def test_delays_double(attempts: Attempts, clock: Clock) -> None:
    """Five failures are free, then the delay doubles up to fifteen minutes."""
    delays = []
    for _ in range(40):
        try:
            await attempts.begin(ACCOUNT, OUTSIDE)
        except Overloaded as error:
            delays.append(error.retry_after_ms // 1_000)
            clock.now += error.retry_after_ms / 1_000
    assert delays[:3] == [1, 2, 4]
    assert max(delays) == DELAY_S_MAX


async def test_success_gives_attempts_back(attempts: Attempts) -> None:
    """More right passwords than failures are free are never delayed."""
    for _ in range(3 * FAILURES_FREE):
        assert not await refused(attempts, HOME)
        await attempts.succeeded(ACCOUNT, HOME)


async def test_many_networks_are_bounded_but_for_known_ones(
    attempts: Attempts, clock: Clock
) -> None:
    """Within a window; a network that the account has logged in from passes."""
    await attempts.begin(ACCOUNT, HOME)
    await attempts.succeeded(ACCOUNT, HOME)
    for number in range(ACCOUNT_FAILURES_MAX):
        assert not await refused(attempts, f"10.1.{number}.1")
    assert await refused(attempts, "10.2.1.1")
    assert not await refused(attempts, HOME)
    clock.now += ACCOUNT_WINDOW_S
    assert not await refused(attempts, "10.2.1.1")


async def test_a_session_is_a_source_of_its_own(attempts: Attempts) -> None:
    """A stolen session that guesses the password delays neither logins nor other sessions."""
    while not await refused(attempts, "ses_stolen"):
        pass
    assert not await refused(attempts, "ses_own")
    assert not await refused(attempts, HOME)
