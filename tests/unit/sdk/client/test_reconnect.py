"""A broken stream fails after a minute without a server, not after two breaks."""

import grpc
import pytest

from flowmesh.errors import Misdirected
from flowmesh.rpc.status import DETAILS_KEY, status_of
from flowmesh.sdk.transport.calls import Caller
from flowmesh.sdk.transport.reconnect import Reconnect
from flowmesh.sdk.values import limits

BROKEN = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata())
REFUSED = grpc.aio.AioRpcError(
    grpc.StatusCode.PERMISSION_DENIED, grpc.aio.Metadata(), grpc.aio.Metadata()
)


class Clock:
    """Seconds that pass when a stream lasts."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowmesh.sdk.transport.reconnect.stream_retry_s", lambda _away_s: 0.0)


async def _lasts(reconnect: Reconnect, clock: Clock, seconds: float) -> None:
    """A stream on which nothing comes, and which breaks after so long."""
    await reconnect.opening()
    clock.now_s += seconds
    await reconnect.broken(BROKEN)
    reconnect.ended()
    await reconnect.pause()


async def test_a_server_that_stays_away_is_given_up() -> None:
    """Attempts fail at once, or after some seconds."""
    clock = Clock()
    reconnect = Reconnect(Caller("127.0.0.1:1"), clock)
    while not reconnect.hopeless:
        await _lasts(reconnect, clock, 5.0)
    assert limits.RECONNECT_BUDGET_S < reconnect.down_s <= limits.RECONNECT_BUDGET_S + 5.0
    assert clock.now_s == reconnect.down_s + 5.0


async def test_a_stream_on_which_something_comes_works_again() -> None:
    """What was before it is forgotten: the time without a server, and its error."""
    clock = Clock()
    reconnect = Reconnect(Caller("127.0.0.1:1"), clock)
    assert (reconnect.error().reason, reconnect.down_s) == ("SERVICE_UNAVAILABLE", 0.0)
    await _lasts(reconnect, clock, 5.0)
    await reconnect.broken(REFUSED)
    clock.now_s += 1.0
    assert (reconnect.refused, reconnect.hopeless, reconnect.down_s) == (True, True, 1.0)
    assert reconnect.error().message == "the call failed"
    reconnect.connected()
    assert (reconnect.refused, reconnect.hopeless, reconnect.down_s) == (False, False, 0.0)
    assert "closed the stream" in reconnect.error().message


async def test_a_silent_stream_that_lasted_was_open() -> None:
    """Two restarts of a server, an hour apart, with nothing to say in between."""
    clock = Clock()
    reconnect = Reconnect(Caller("127.0.0.1:1"), clock)
    for _ in range(3):
        await _lasts(reconnect, clock, 3_600.0)
        assert not reconnect.hopeless


def _misdirected(address: str) -> grpc.aio.AioRpcError:
    error = Misdirected("CELL_MISDIRECTED", "another cell serves this call")
    error.address = address
    details = grpc.aio.Metadata((DETAILS_KEY, status_of(error).SerializeToString()))
    return grpc.aio.AioRpcError(grpc.StatusCode.FAILED_PRECONDITION, grpc.aio.Metadata(), details)


async def test_a_stream_of_another_cell_is_opened_there_once() -> None:
    """A second refusal is that of the stream."""
    caller = Caller("127.0.0.1:1")
    reconnect = Reconnect(caller, Clock())
    await reconnect.broken(_misdirected("127.0.0.1:2"))
    assert (caller.address, reconnect.refused) == ("127.0.0.1:2", False)
    await reconnect.broken(_misdirected("127.0.0.1:1"))
    assert (caller.address, reconnect.refused) == ("127.0.0.1:2", True)
    await caller.close()


async def test_a_stream_does_not_follow_to_a_cell_that_is_less_safe() -> None:
    """A credential stays on this machine without TLS."""
    reconnect = Reconnect(Caller("127.0.0.1:1", token="token"), Clock())
    await reconnect.broken(_misdirected("example.com:7450"))
    assert (reconnect.refused, reconnect.error().reason) == (True, "PLAINTEXT_REFUSED")
