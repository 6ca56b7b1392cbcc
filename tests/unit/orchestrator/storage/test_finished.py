"""Ended executions in Redis, up to their limits."""

from typing import Any

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.engine import State
from flowmesh.orchestrator.storage.finished import (
    FINISHED_BYTES_MAX,
    KEPT_BYTES_MAX,
    FinishedStates,
)
from flowmesh.telemetry import Metrics
from tests.unit.engine.factories import node, plan

SECONDS = 60


class Kept:
    """A Redis of which only what it is given counts."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.now_ms = 1_000.0
        cache: Any = self
        self.finished = FinishedStates(
            cache=cache,
            prefix="t",
            seconds=SECONDS,
            metrics=Metrics(),
            monotonic_ms=lambda: self.now_ms,
        )

    def pipeline(self, *, transaction: bool) -> "Kept":
        assert not transaction
        return self

    def set(self, key: str, value: bytes, *, ex: int) -> None:
        assert (key, ex) == ("t:finished:exec-1", SECONDS)
        self.sizes.append(len(value))

    async def execute(self) -> list[Any]:
        return []


@pytest.fixture
def kept() -> Kept:
    return Kept()


def state(size: int) -> State:
    """With an input of so many bytes."""
    made = State("exec-1", plan(node("a")))
    made.input = payload_pb2.Payload(data=b"1" * size)
    return made


async def test_a_large_state_is_not_kept(kept: Kept) -> None:
    """It would be most of what others have to share."""
    await kept.finished.keep([state(FINISHED_BYTES_MAX), state(10)])
    assert len(kept.sizes) == 1


async def test_redis_is_not_filled(kept: Kept) -> None:
    """However much is read: what the registry has is in there too. Later there is room again."""
    large = FINISHED_BYTES_MAX // 2
    for _ in range(10 * KEPT_BYTES_MAX // large):
        await kept.finished.keep([state(large)])
    first = sum(kept.sizes)
    assert KEPT_BYTES_MAX / 2 < first <= KEPT_BYTES_MAX + 1_000
    kept.now_ms += SECONDS * 1_000
    await kept.finished.keep([state(large)])
    assert sum(kept.sizes) > first
