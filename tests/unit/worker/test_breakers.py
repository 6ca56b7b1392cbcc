"""Circuit breakers: closed, open, half open, and what others have opened."""

import pytest

from flowmesh.executors import failures
from flowmesh.executors.breakers import (
    CALLS_MIN,
    OPEN_MS,
    UPSTREAMS_MAX,
    WINDOW_MS,
    Breaker,
    Breakers,
    GuardedCaller,
    State,
    upstream_of,
)
from flowmesh.executors.failures import CIRCUIT_OPEN, TaskFailure
from flowmesh.executors.rpc.calls import Rpc, RpcAnswer, Target

API = "api.example:443"


class Desk:
    """Breakers with the time in our hands; remembers what was told."""

    def __init__(self) -> None:
        self.now_ms = 0.0
        self.told: list[State] = []
        self.breakers = Breakers(
            monotonic_ms=lambda: self.now_ms, changed=lambda each: self.told.append(each.state)
        )

    def call(self, *, failed: bool | None) -> None:
        self.breakers.admit(API)
        self.breakers.record(API, failed=failed)

    def opened(self) -> "Desk":
        for _ in range(CALLS_MIN):
            self.call(failed=True)
        return self

    def refused(self) -> int:
        """How long the call is to wait."""
        with pytest.raises(TaskFailure) as refused:
            self.breakers.admit(API)
        assert refused.value.class_ == CIRCUIT_OPEN
        return refused.value.retry_after_ms


def test_a_share_of_failures_opens_it() -> None:
    """Few calls say nothing, and neither do few failures among many."""
    desk = Desk()
    for number in range(10 * CALLS_MIN):
        desk.call(failed=number % 3 == 0)
    assert desk.told == []
    assert Desk().opened().told == [State.OPEN]


def test_it_is_tried_with_one_call_whose_outcome_decides() -> None:
    """Nobody else calls meanwhile; each failed try doubles the pause."""
    desk = Desk().opened()
    assert desk.refused() == OPEN_MS
    desk.now_ms += OPEN_MS
    desk.breakers.admit(API)
    desk.refused()
    desk.breakers.record(API, failed=True)
    assert desk.refused() == 2 * OPEN_MS
    desk.now_ms += 2 * OPEN_MS
    desk.call(failed=False)
    assert desk.told == [State.OPEN, State.HALF_OPEN, State.OPEN, State.HALF_OPEN, State.CLOSED]
    desk.call(failed=True)


def test_a_try_that_was_canceled_is_followed_by_another() -> None:
    """It says nothing of the upstream, and must not keep everybody waiting."""
    desk = Desk().opened()
    desk.now_ms += OPEN_MS
    desk.call(failed=None)
    desk.call(failed=False)
    assert desk.told[-1] is State.CLOSED


def test_old_outcomes_are_forgotten() -> None:
    """What failed long ago does not add to what fails now."""
    desk = Desk()
    for _ in range(CALLS_MIN - 1):
        desk.call(failed=True)
    desk.now_ms += 2 * WINDOW_MS
    desk.call(failed=True)
    assert desk.told == []


def test_what_another_process_has_opened_is_open_here() -> None:
    """Nobody is told of it again, or it would go round for ever."""
    desk = Desk()
    desk.breakers.opened_elsewhere(API, 1_000)
    assert desk.refused() == 1_000
    assert desk.told == []
    found: list[Breaker] = desk.breakers.not_closed()
    assert [each.upstream for each in found] == [API]


def test_those_that_others_open_are_bounded_too() -> None:
    """The ones that were used least recently are forgotten."""
    breakers = Breakers(monotonic_ms=lambda: 0.0)
    for number in range(UPSTREAMS_MAX + 10):
        breakers.opened_elsewhere(f"host-{number}", 5_000)
    kept = breakers.not_closed()
    assert (len(kept), kept[0].upstream) == (UPSTREAMS_MAX, "host-10")


def test_an_upstream_is_a_host_with_its_port() -> None:
    """Whatever the path; without who calls."""
    assert upstream_of("https://me:secret@Api.example:443/x?y") == API
    assert upstream_of("http://[half") == "http://[half"


class Failing:
    """A gRPC service that fails like this."""

    def __init__(self, class_: str) -> None:
        self._class = class_

    async def call(self, rpc: Rpc) -> RpcAnswer:
        raise TaskFailure(self._class, "no")


@pytest.mark.parametrize(
    ("class_", "opens"),
    [
        (failures.NETWORK, True),
        (failures.TIMEOUT, True),
        (failures.SERVER, True),
        (failures.CLIENT, False),
        (failures.RATE_LIMIT, False),
        (failures.VALIDATION, False),
        (failures.EGRESS_BLOCKED, False),
    ],
)
async def test_a_grpc_service_that_fails_has_one_too(class_: str, opens: bool) -> None:
    """One that refuses what it is asked, or that was never asked, is not failing."""
    desk = Desk()
    guarded = GuardedCaller(Failing(class_), desk.breakers)
    rpc = Rpc(Target("Api.Example:443"), "a.B/C", {}, {}, timeout_ms=1_000)
    for _ in range(CALLS_MIN):
        with pytest.raises(TaskFailure, match="no"):
            await guarded.call(rpc)
    if opens:
        assert desk.refused() == OPEN_MS
    assert desk.told == ([State.OPEN] if opens else [])
