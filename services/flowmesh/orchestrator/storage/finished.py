"""States of ended executions, cached in Redis so that they are not replayed again.

A cached state stands for the history up to its sequence. Later events, such as an erasure, are read
from the rows and applied. Nothing depends on the cache.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowmesh.access.encryption import NO_KEYS, DataKeys, snapshot_place
from flowmesh.engine import State
from flowmesh.orchestrator.storage.snapshots import snapshot
from flowmesh.storage.optional_cache import OptionalCache
from flowmesh.telemetry import Metrics

if TYPE_CHECKING:
    from redis.asyncio import Redis

FINISHED_BYTES_MAX = 256 * 1024
"""Larger states are not cached; they are replayed each time."""

KEPT_BYTES_MAX = 8 << 20
"""Bytes that one orchestrator caches within the lifetime of an entry: Redis is small, and the
registry needs room in it.
"""

_SEQUENCE_BYTES = 8


class FinishedStates:
    """The cache of all orchestrators on a Redis; entries live for `seconds`, 0 is off."""

    def __init__(
        self,
        *,
        cache: "Redis",
        prefix: str,
        seconds: int,
        metrics: Metrics,
        monotonic_ms: Callable[[], float],
        keys: DataKeys = NO_KEYS,
    ) -> None:
        self._keys = keys
        self._cache = cache
        self._prefix = f"{prefix}:finished:"
        self._seconds = seconds
        self._monotonic_ms = monotonic_ms
        self._since_ms = 0.0
        self._bytes_left = 0
        self._counted = metrics.counter(
            "flowmesh_finished_states_total",
            "Lookups of cached states of ended executions, by outcome.",
            ("outcome",),
        )
        self._optional = OptionalCache(
            monotonic_ms, lambda: self._counted.labels("unavailable").inc()
        )

    async def kept(self, execution_ids: Sequence[str]) -> Mapping[str, tuple[int, bytes]]:
        """Return sequence and snapshot of the cached executions."""
        if not self._seconds or not execution_ids:
            return {}
        keys = [self._prefix + execution_id for execution_id in execution_ids]
        bodies: list[Any] = await self._optional.query(lambda: self._cache.mget(keys)) or []
        found = {
            execution_id: (int.from_bytes(body[:_SEQUENCE_BYTES], "big"), body[_SEQUENCE_BYTES:])
            for execution_id, body in zip(execution_ids, bodies, strict=False)
            if body
        }
        self._counted.labels("hit").inc(len(found))
        self._counted.labels("miss").inc(len(execution_ids) - len(found))
        return found

    async def keep(self, states: Iterable[State]) -> None:
        """Cache states, as long as there is room."""
        if not self._seconds:
            return
        now_ms = self._monotonic_ms()
        if not self._since_ms or now_ms - self._since_ms >= self._seconds * 1_000:
            self._since_ms, self._bytes_left = now_ms, KEPT_BYTES_MAX
        pipeline = self._cache.pipeline(transaction=False)
        for state in states:
            place = snapshot_place(state.execution_id)
            body = self._keys.seal(state.plan.namespace, snapshot(state), place)
            if len(body) <= min(FINISHED_BYTES_MAX, self._bytes_left):
                self._bytes_left -= len(body)
                value = state.sequence.to_bytes(_SEQUENCE_BYTES, "big") + body
                pipeline.set(self._prefix + state.execution_id, value, ex=self._seconds)
        await self._optional.query(pipeline.execute)

    async def forget(self, execution_id: str) -> None:
        """Remove a state; if Redis does not answer, the entry expires."""
        if self._seconds:
            await self._optional.query(lambda: self._cache.delete(self._prefix + execution_id))
