"""Accounts of the installation: no outsider keeps their owner out."""

import asyncio
import math
import time
from typing import Any

import aiohttp
import pytest

from flowmesh.identity.limits import FAILURES_FREE
from tests.features.closed import OWNER, PASSWORD, Closed

LOGIN = "/api/v1/auth/login"
OUTSIDER = "127.9.9.9"


async def login(closed: Closed, password: str, *, source: str, count: int = 1) -> list[Any]:
    """Send logins of the owner at once from an address; return status and reason of each."""
    connector = aiohttp.TCPConnector(local_addr=(source, 0), limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def once() -> Any:
            body = {"email": OWNER, "password": password}
            async with session.post(closed.suite.http_url + LOGIN, json=body) as answer:
                found = await answer.json()
                return answer.status, found.get("error", {}).get("reason")

        return list(await asyncio.gather(*(once() for _ in range(count))))


@pytest.mark.feature("S1-112")
async def test_an_outsider_cannot_lock_an_account(installation: Closed) -> None:
    """Guesses at once from another network are counted before they are verified, and the owner
    logs in meanwhile."""
    begun = time.monotonic()
    found = await login(installation, "a wrong guess", source=OUTSIDER, count=40)
    # After the free guesses one more follows each delay, of 1 s, 2 s, and so on.
    delays = int(math.log2(time.monotonic() - begun + 1))
    assert found.count((401, "CREDENTIALS_INVALID")) <= FAILURES_FREE + delays
    assert set(found) == {(401, "CREDENTIALS_INVALID"), (429, "LOGIN_DELAYED")}
    assert await login(installation, PASSWORD, source=OUTSIDER) == [(429, "LOGIN_DELAYED")]
    assert await login(installation, PASSWORD, source="127.0.0.1") == [(200, None)]
