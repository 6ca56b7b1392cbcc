"""The cache of results on a real Redis: what stands for what, and what happens without it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from flowmesh.api.definition.v1.plan_pb2 import (
    CACHE_SCOPE_NAMESPACE,
    CACHE_SCOPE_WORKFLOW,
    TaskSpec,
)
from flowmesh.contract.json_value import Json
from flowmesh.embedded import EmbeddedServers
from flowmesh.executors.base import Attempt, Output
from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.executors.memo import MemoRule
from flowmesh.runtime import Clock
from flowmesh.storage.redis_cache import open_cache
from flowmesh.telemetry import Metrics
from flowmesh.worker.attempts.memo import CACHED_BYTES_MAX, Memo
from tests.integration.worker.orchestrator import spec_of, task_of

HUNG_MS = 2_000
BUDGET_S = 0.05
COUNTED = "flowmesh_result_cache_total"


class Cached:
    """Runs attempts of a task that counts how often it is run."""

    def __init__(self, redis: "Redis") -> None:
        self.metrics, self.clock = Metrics(), Clock()
        now_us, monotonic_ms = self.clock.now_us, self.clock.monotonic_ms
        self.memo = Memo(redis, "t", self.metrics, now_us, monotonic_ms)
        self.ran = 0

    async def __call__(
        self,
        value: Json,
        config: Json = None,
        *,
        scope: int = CACHE_SCOPE_WORKFLOW,
        key: Json = None,
        ttl_ms: int = 60_000,
        output: Json = None,
        **fields: Any,
    ) -> Output:
        spec = TaskSpec.FromString(spec_of("x", config).SerializeToString())
        spec.cache.ttl_ms, spec.cache.scope = ttl_ms, scope  # type: ignore[assignment]
        if key is not None:
            spec.cache.key_template = orjson.dumps(key)
        task = task_of("t", spec, value, **{"workflow_id": "w", **fields})
        attempt = Attempt(task, orjson.dumps(value), 1_000)

        async def run() -> Output:
            self.ran += 1
            if output == "fail":
                raise invalid("no")
            return Output.of(self.ran if output is None else output)

        return await self.memo.cached_or_run(MemoRule(spec, lambda: 0), attempt, run)

    def counted(self, outcome: str) -> float:
        found = self.metrics.registry.get_sample_value(COUNTED, {"outcome": outcome})
        return found or 0.0


@pytest.fixture
async def redis(servers: EmbeddedServers) -> AsyncIterator["Redis"]:
    opened = open_cache(servers.redis)
    await opened.flushall()
    yield opened
    await opened.aclose()


@pytest.fixture
def cached(redis: "Redis") -> Cached:
    return Cached(redis)


async def test_an_equal_attempt_is_not_run_again(cached: Cached) -> None:
    """Equal is the input as a value, whatever the order of its members; it says so."""
    first = await cached({"a": 1, "b": [2]})
    second = await cached({"b": [2], "a": 1}, node="another", execution_id="e2")
    assert (first.data, second.data, cached.ran) == (b"1", b"1", 1)
    assert orjson.loads(second.metadata)["cached"] is True
    assert first.metadata == b""
    assert (cached.counted("hit"), cached.counted("miss")) == (1, 1)


@pytest.mark.parametrize(
    ("more", "runs"),
    [
        ({"value": 2}, 2),
        ({"config": {"url": "x"}}, 2),
        ({"workflow_id": "other"}, 2),
        ({"workflow_id": "other", "scope": CACHE_SCOPE_NAMESPACE}, 1),
        ({"namespace": "other", "scope": CACHE_SCOPE_NAMESPACE}, 2),
        ({"value": {"id": 1, "at": 2}, "key": "{{input.id}}"}, 1),
        ({"value": {"id": 2, "at": 1}, "key": "{{input.id}}"}, 2),
    ],
)
async def test_what_is_not_equal_is_run(cached: Cached, more: Json, runs: int) -> None:
    """Another input, task, workflow or namespace; a key of one's own decides instead."""
    base = {key: more[key] for key in ("scope", "key") if key in more}
    await cached(**{"value": {"id": 1, "at": 1} if "key" in base else 1, **base})
    await cached(**{"value": 1, **more})
    assert cached.ran == runs


async def test_a_result_is_good_for_its_time(cached: Cached, redis: "Redis") -> None:
    """Redis forgets it, and holds nothing without an end."""
    await cached(1, ttl_ms=5_000)
    (key,) = await redis.keys("t:result:*")
    assert 0 < await redis.pttl(key) <= 5_000
    await redis.flushall()
    assert (await cached(1)).data == b"2"


async def test_failures_and_large_results_are_not_kept(cached: Cached) -> None:
    """They are done again."""
    for _ in range(2):
        with pytest.raises(TaskFailure):
            await cached(1, output="fail")
    for _ in range(2):
        await cached(2, output="x" * CACHED_BYTES_MAX)
    assert (cached.ran, cached.counted("too_large")) == (4, 2)


async def test_what_is_kept_and_makes_no_sense_is_a_miss(cached: Cached, redis: "Redis") -> None:
    """Nobody's mistake in Redis fails a task."""
    await cached(1)
    (key,) = await redis.keys("t:result:*")
    await redis.set(key, b"x")
    assert (await cached(1)).data == b"2"


async def test_without_redis_tasks_run_as_if_nothing_were_kept() -> None:
    """And it costs a moment once, not every task."""
    away = open_cache("redis://127.0.0.1:1/0")
    cached = Cached(away)
    started = asyncio.get_running_loop().time()
    for number in range(1, 21):
        assert (await cached(1)).data == str(number).encode()
    assert asyncio.get_running_loop().time() - started < 2
    assert cached.counted("unavailable") >= 1
    await away.aclose()


async def test_a_redis_that_hangs_costs_a_task_its_budget_and_no_more(
    cached: Cached, redis: "Redis", servers: EmbeddedServers
) -> None:
    """Which is spent once, not again by the next ones, and not by keeping the result."""
    await cached(1)
    hanging: Any = open_cache(servers.redis)
    await hanging.execute_command("CLIENT", "PAUSE", HUNG_MS, "ALL")
    started = asyncio.get_running_loop().time()
    assert [(await cached(1)).data for _ in range(20)] == [b"%d" % n for n in range(2, 22)]
    took_s = asyncio.get_running_loop().time() - started
    assert BUDGET_S <= took_s < 4 * BUDGET_S
    assert cached.counted("unavailable") == 1
    await hanging.aclose()
