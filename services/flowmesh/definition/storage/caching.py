"""Size-bounded LRU caches. A key identifies immutable content, so no entry is ever stale."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from flowmesh.telemetry import Metrics

Key = TypeVar("Key")
Value = TypeVar("Value")


class CacheMetrics:
    """`flowmesh_definition_cache_reads_total` and the hit ratio."""

    def __init__(self, metrics: Metrics) -> None:
        self._reads = metrics.counter(
            "flowmesh_definition_cache_reads", "Reads of a cache.", ("cache", "result")
        )
        self._ratio = metrics.gauge(
            "flowmesh_definition_cache_hit_ratio", "Share of reads that hit.", ("cache",)
        )
        self._counts: dict[str, list[int]] = {}

    def observe(self, cache: str, *, hit: bool) -> None:
        counts = self._counts.setdefault(cache, [0, 0])
        counts[hit] += 1
        self._reads.labels(cache, "hit" if hit else "miss").inc()
        self._ratio.labels(cache).set(counts[True] / sum(counts))


class Cache(Generic[Key, Value]):
    """The most recently used values."""

    def __init__(self, name: str, metrics: CacheMetrics, *, count_max: int, bytes_max: int) -> None:
        self._name = name
        self._metrics = metrics
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._values: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._making: dict[Key, asyncio.Task[Value]] = {}
        self._bytes = 0

    def get(self, key: Key) -> Value | None:
        found = self._values.get(key)
        self._metrics.observe(self._name, hit=found is not None)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: Key, value: Value, size_bytes: int) -> None:
        if key in self._values or size_bytes > self._bytes_max:
            return
        self._values[key] = (value, size_bytes)
        self._bytes += size_bytes
        while self._bytes > self._bytes_max or len(self._values) > self._count_max:
            _, (_, freed) = self._values.popitem(last=False)
            self._bytes -= freed

    async def get_or_make(
        self, key: Key, make: Callable[[], Value], size_bytes: Callable[[Value], int]
    ) -> Value:
        """Return the value. If absent, make it in a thread, once for all concurrent callers."""
        found = self.get(key)
        if found is not None:
            return found
        if key not in self._making:
            self._making[key] = asyncio.create_task(self._make(key, make, size_bytes))
        # A canceled caller does not cancel the task that others wait for.
        return await asyncio.shield(self._making[key])

    async def _make(
        self, key: Key, make: Callable[[], Value], size_bytes: Callable[[Value], int]
    ) -> Value:
        try:
            value = await asyncio.to_thread(make)
            self.put(key, value, size_bytes(value))
            return value
        finally:
            del self._making[key]
