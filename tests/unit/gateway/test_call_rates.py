"""The rate of calls of each caller."""

from flowmesh.gateway import call_rates
from flowmesh.gateway.call_rates import CallRate


def test_a_caller_above_its_rate_waits_for_the_next_call() -> None:
    """The wait is exact, a refused call costs nothing, and other callers are not affected."""
    now = 0.0
    rate = CallRate(60, lambda: now)
    assert [rate.take_ms("ann") for _ in range(60)] == [0] * 60
    assert rate.take_ms("ann") == 1_000
    assert rate.take_ms("ann") == 1_000
    assert rate.take_ms("bob") == 0
    now = 400.0
    assert rate.take_ms("ann") == 600
    now = 1_000.0
    assert rate.take_ms("ann") == 0
    now = 3_600_000.0
    assert [rate.take_ms("ann") > 0 for _ in range(61)] == [False] * 60 + [True]


def test_callers_are_bounded() -> None:
    """The caller that was silent for the longest time is dropped; 0 counts no one."""
    rate = CallRate(1, lambda: 0.0)
    for caller in range(call_rates.CALLERS_KEPT + 1):
        assert rate.take_ms(caller) == 0
    assert rate.take_ms(call_rates.CALLERS_KEPT) > 0
    assert rate.take_ms(0) == 0, "dropped"
    off = CallRate(0, lambda: 0.0)
    assert {off.take_ms("ann") for _ in range(1_000)} == {0}
