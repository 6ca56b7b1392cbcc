"""Redis asked for what can be had without it: no answer in time is as if nothing were there."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.exceptions import RedisError

ANSWER_TIMEOUT_S = 0.05
AWAY_MS = 1_000
"""After a failure nobody is asked for so long."""

T = TypeVar("T")


class OptionalCache:
    """Asks, and counts by `failed` what is not answered."""

    def __init__(self, monotonic_ms: Callable[[], float], failed: Callable[[], None]) -> None:
        self._monotonic_ms = monotonic_ms
        self._failed = failed
        self._away_until_ms = 0.0

    async def query(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """The answer, or None."""
        if self._monotonic_ms() < self._away_until_ms:
            return None
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await ask()
        except (RedisError, TimeoutError, OSError):
            self._away_until_ms = self._monotonic_ms() + AWAY_MS
            self._failed()
            return None
