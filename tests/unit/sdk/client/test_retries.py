"""Which calls are made again, how often, and after which waits."""

import asyncio
from collections.abc import Callable

import grpc
import pytest

from flowmesh.errors import FlowmeshError, NotFound, Overloaded, Unavailable
from flowmesh.rpc.status import DETAILS_KEY, status_of
from flowmesh.sdk.transport.calls import Caller
from flowmesh.sdk.transport.retries import RetryBudget, retry_delay_s
from flowmesh.sdk.values import limits

AWAY = Unavailable("SERVICE_UNAVAILABLE", "away")


def named(error_class: Callable[..., FlowmeshError], retry_after_ms: int) -> FlowmeshError:
    return error_class("NAMED", "later", retry_after_ms=retry_after_ms)


def test_the_delay_of_a_retry_is_that_of_the_server_or_the_own_one() -> None:
    """Nothing else is tried again, and no server makes a client wait for long."""
    assert retry_delay_s(AWAY, 0.4) == 0.4
    for error_class in (Unavailable, Overloaded):
        assert retry_delay_s(named(error_class, 1), 0.4) == 0.001
        assert retry_delay_s(named(error_class, 3_600_000), 0.4) == limits.RETRY_WAIT_MAX_S
    assert retry_delay_s(Overloaded("FULL", "full"), 0.4) is None
    assert retry_delay_s(NotFound("GONE", "gone"), 0.4) is None


def test_failures_get_a_tenth_more_calls() -> None:
    """A tenth of a token comes back with each success, and never more than all of them."""
    budget = RetryBudget()
    budget.succeeded()

    def taken() -> int:
        count = 0
        while budget.permits(AWAY):
            count += 1
        return count

    assert taken() == int(limits.RETRY_TOKENS)
    assert budget.permits(named(Unavailable, 1))
    successes = round(1 / limits.RETRY_TOKENS_PER_SUCCESS)
    for _ in range(successes - 1):
        budget.succeeded()
    assert taken() == 0
    for _ in range(2):
        budget.succeeded()
    assert taken() == 1


class Failing:
    """A call that fails so often before it succeeds, or always."""

    def __init__(self, error: FlowmeshError, count: int = 1_000) -> None:
        details = grpc.aio.Metadata((DETAILS_KEY, status_of(error).SerializeToString()))
        code = grpc.StatusCode.UNAVAILABLE
        self._error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), details)
        self._left = count

    async def __call__(self) -> str:
        if not self._left:
            return "answered"
        self._left -= 1
        raise self._error


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits of retries, none of which takes time."""
    found: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        found.append(seconds)
        await sleep(0)

    monkeypatch.setattr("flowmesh.sdk.transport.calls.asyncio.sleep", noted)
    return found


@pytest.mark.parametrize("jitter", [0.0, 0.5])
async def test_waits_double_up_to_the_longest(waits: list[float], jitter: float) -> None:
    """Each has some jitter on top, by which clients come apart."""
    caller = Caller("127.0.0.1:1", draw=lambda: jitter)
    assert await caller.retried(Failing(AWAY, 7)) == "answered"
    plain = [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert waits == pytest.approx([each * (1 + jitter) for each in plain])


async def test_a_call_that_keeps_failing_raises_its_error(waits: list[float]) -> None:
    """After the tokens, or where the next wait would end after its time."""
    caller = Caller("127.0.0.1:1", draw=lambda: 0.0)
    with pytest.raises(Unavailable, match="away"):
        await caller.retried(Failing(AWAY), total_s=0.3)
    assert waits == pytest.approx([0.1, 0.2])
    waits.clear()
    with pytest.raises(Unavailable, match="away"):
        await caller.retried(Failing(AWAY))
    assert len(waits) == limits.RETRY_TOKENS - 2
