"""Cached results of tasks in Redis: read before a task runs, written after it has run.

Nothing depends on the cache: a task runs if its result is missing or Redis does not answer.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import orjson

from flowmesh.executors.base import Attempt, Output
from flowmesh.executors.memo import MemoRule
from flowmesh.storage.optional_cache import OptionalCache
from flowmesh.telemetry import Metrics

# Larger results are not cached.
CACHED_BYTES_MAX = 256 * 1024
_STAMP_BYTES = 8


class Store(Protocol):
    """The used part of a Redis client."""

    def get(self, name: str) -> Awaitable[Any]: ...
    def set(self, name: str, value: bytes, *, px: int) -> Awaitable[Any]: ...


class Memo:
    """The results of all workers on the same Redis."""

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
            "flowmesh_result_cache_total", "Lookups of cached results, by outcome.", ("outcome",)
        )
        self._optional = OptionalCache(
            monotonic_ms, lambda: self._counted.labels("unavailable").inc()
        )

    async def cached_or_run(
        self, rule: MemoRule, attempt: Attempt, run: Callable[[], Awaitable[Output]]
    ) -> Output:
        """Return the cached result, or run the task and cache its result unless it fails."""
        key = self._prefix + rule.key(attempt)
        found = await self._optional.query(lambda: self._store.get(key))
        if isinstance(found, bytes) and len(found) > _STAMP_BYTES:
            self._counted.labels("hit").inc()
            return self._cached(found)
        self._counted.labels("miss").inc()
        output = await run()
        if len(output.data) > CACHED_BYTES_MAX:
            self._counted.labels("too_large").inc()
            return output
        value = self._now_us().to_bytes(_STAMP_BYTES, "big") + output.data
        await self._optional.query(lambda: self._store.set(key, value, px=rule.ttl_ms))
        return output

    def _cached(self, found: bytes) -> Output:
        age_ms = max(0, self._now_us() - int.from_bytes(found[:_STAMP_BYTES], "big")) // 1_000
        return Output(found[_STAMP_BYTES:], orjson.dumps({"cached": True, "ageMs": age_ms}))
