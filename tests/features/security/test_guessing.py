"""Floods of guessed passwords: few are verified, none helps, and other callers are served.

`LOGIN_GUESSES=100000` makes it as many guesses, which take some minutes.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from statistics import quantiles

import grpc.aio
import pytest

from flowmesh.api.identity.v1.auth_service_pb2 import GetMeRequest, LoginRequest
from flowmesh.identity.limits import FAILURES_FREE, HASHES_AT_ONCE, NETWORK_FAILURES_FREE
from tests.features.closed import PASSWORD, Closed, closed_suite

GUESSES = int(os.environ.get("LOGIN_GUESSES", "1500"))
AT_ONCE = 50
# The delay doubles from a second, so a flood of minutes verifies a few more.
LATER_MAX = 12


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    async with closed_suite(tmp_path_factory.mktemp("guessing")) as made:
        yield made


async def outcomes(closed: Closed, emails: Iterable[str]) -> Counter[str]:
    """Guess a password of each account, many at once; count the reasons of the refusals."""
    waiting = iter(emails)
    counts: Counter[str] = Counter()
    anyone = closed.caller("")

    async def guess() -> None:
        for number, email in enumerate(waiting):
            try:
                await anyone.auth.Login(LoginRequest(email=email, password=f"guess {number}"))
                counts["OK"] += 1
            except grpc.aio.AioRpcError as error:
                counts[error.code().name] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(guess())
    return counts


async def latencies(closed: Closed, until: asyncio.Event) -> list[float]:
    """Return the seconds of calls of the owner."""
    taken: list[float] = []
    while not until.is_set() or len(taken) < 100:
        began = time.perf_counter()
        await closed.owner.auth.GetMe(GetMeRequest())
        taken.append(time.perf_counter() - began)
    return taken


@pytest.mark.long
@pytest.mark.timeout(60 + GUESSES // 100)
@pytest.mark.feature("S1-112")
async def test_a_flood_of_guesses_is_delayed(closed: Closed) -> None:
    """One account is guessed; another user is served, and the delay ends by itself."""
    ended = asyncio.Event()
    others = asyncio.create_task(latencies(closed, ended))
    counts = await outcomes(closed, ("guessed@example.com" for _ in range(GUESSES)))
    ended.set()
    assert counts.total() == GUESSES
    assert set(counts) == {"UNAUTHENTICATED", "RESOURCE_EXHAUSTED"}
    assert counts["UNAUTHENTICATED"] <= FAILURES_FREE + HASHES_AT_ONCE + LATER_MAX
    p99_ms = quantiles(await others, n=100)[98] * 1_000
    print(f"{GUESSES} guesses, {counts['UNAUTHENTICATED']} verified, others p99 {p99_ms:.1f} ms")
    owner = LoginRequest(email="owner@example.com", password=PASSWORD)
    assert (await closed.caller("").auth.Login(owner)).tokens.access_token


@pytest.mark.long
@pytest.mark.timeout(60 + GUESSES // 100)
@pytest.mark.feature("S1-112")
async def test_a_network_that_guesses_many_accounts_is_delayed(closed: Closed) -> None:
    """Few of the guesses are verified."""
    counts = await outcomes(closed, (f"user-{each}@example.com" for each in range(GUESSES)))
    assert set(counts) == {"UNAUTHENTICATED", "RESOURCE_EXHAUSTED"}
    verified_max = NETWORK_FAILURES_FREE + HASHES_AT_ONCE + LATER_MAX
    assert counts["UNAUTHENTICATED"] <= verified_max
    print(f"{GUESSES} accounts, {counts['UNAUTHENTICATED']} verified")
