"""Results that stand for later ones, in Redis: looked up before a task runs, kept after it did.

Nothing depends on it: what is not there, or cannot be asked for in time, is done again.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import orjson

from flowmesh.cache.aside import Aside
from flowmesh.executors.base import Attempt, Output
from flowmesh.executors.memo import MemoRule
from flowmesh.telemetry import Metrics

# Larger results are done again.
CACHED_BYTES_MAX = 256 * 1024
_STAMP_BYTES = 8


class Store(Protocol):
    """The part of a Redis client that it takes."""

    def get(self, name: str) -> Awaitable[Any]: ...
    def set(self, name: str, value: bytes, *, px: int) -> Awaitable[Any]: ...


class Memo:
    """The results of one worker and of all others on the same Redis."""

    def __init__(
        self,
        store: Store,
        prefix: str,
        metrics: Metrics,
        now_us: Callable[[], int],
        monotonic_ms: Callable[[], float],
    ) -> None:
        self._store = store
        self._prefix = f"{prefix}:result:"
        self._now_us = now_us
        self._counted = metrics.counter(
            "flowmesh_result_cache_total", "Tasks with a cache, by what it had.", ("outcome",)
        )
        self._aside = Aside(monotonic_ms, lambda: self._counted.labels("unavailable").inc())

    async def through(
        self, rule: MemoRule, attempt: Attempt, run: Callable[[], Awaitable[Output]]
    ) -> Output:
        """The result that is kept, or the one of running it, kept from now on. Failures are not."""
        key = self._prefix + rule.key(attempt)
        found = await self._aside.asked(lambda: self._store.get(key))
        if isinstance(found, bytes) and len(found) > _STAMP_BYTES:
            self._counted.labels("hit").inc()
            return self._cached(found)
        self._counted.labels("miss").inc()
        output = await run()
        if len(output.data) > CACHED_BYTES_MAX:
            self._counted.labels("too_large").inc()
            return output
        value = self._now_us().to_bytes(_STAMP_BYTES, "big") + output.data
        await self._aside.asked(lambda: self._store.set(key, value, px=rule.ttl_ms))
        return output

    def _cached(self, found: bytes) -> Output:
        age_ms = max(0, self._now_us() - int.from_bytes(found[:_STAMP_BYTES], "big")) // 1_000
        return Output(found[_STAMP_BYTES:], orjson.dumps({"cached": True, "ageMs": age_ms}))
