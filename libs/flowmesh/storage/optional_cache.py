"""Redis queries whose failure is treated as a missing value."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.exceptions import RedisError

ANSWER_TIMEOUT_S = 0.05
PAUSE_MS = 1_000
"""The time without queries after a failure."""

T = TypeVar("T")


class OptionalCache:
    """Runs queries with a short timeout, and calls `failed` for each failure."""

    def __init__(self, monotonic_ms: Callable[[], float], failed: Callable[[], None]) -> None:
        self._monotonic_ms = monotonic_ms
        self._failed = failed
        self._paused_until_ms = 0.0

    async def query(self, query: Callable[[], Awaitable[T]]) -> T | None:
        """Return the result; None after a failure and during the pause that follows it."""
        if self._monotonic_ms() < self._paused_until_ms:
            return None
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await query()
        except (RedisError, TimeoutError, OSError):
            self._paused_until_ms = self._monotonic_ms() + PAUSE_MS
            self._failed()
            return None
