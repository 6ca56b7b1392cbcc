"""When tasks of the two open standards are tried again, and what their errors are called."""

import pytest

from flowmesh.executors.serverless import retry as serverless_retry
from flowmesh.executors.states import retry as states_retry
from flowmesh.executors.states.retry import error_name, matches

SERVERLESS = {"delay_ms": 100, "jitter_ms": [0, 0], "count": 3, "limit_ms": 0}
STATES = {"interval_ms": 1_000, "rate": 2.0, "max_attempts": 3, "max_delay_ms": 0, "jitter": False}


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        ("constant", [100, 100, 100, None]),
        ("linear", [100, 200, 300, None]),
        ("exponential", [100, 200, 400, None]),
    ],
)
def test_the_pauses_of_a_try(backoff: str, waits: list[int | None]) -> None:
    """Each kind of back-off grows in its way and ends after its count."""
    policy = {**SERVERLESS, "backoff": backoff}
    wait = serverless_retry.wait_before_retry
    assert [wait(policy, tries, 0, 0.5) for tries in (1, 2, 3, 4)] == waits


def test_a_try_ends_with_its_time() -> None:
    """A pause that would end after the limit is not begun; jitter is drawn from its range."""
    policy = {**SERVERLESS, "backoff": "constant", "limit_ms": 500, "jitter_ms": [10, 30]}
    assert serverless_retry.wait_before_retry(policy, 1, 380, 0.5) == 120
    assert serverless_retry.wait_before_retry(policy, 1, 381, 0.5) is None


def test_the_pauses_of_a_retrier() -> None:
    """Intervals grow by the rate up to the longest; full jitter draws from nothing to all of it."""
    wait = states_retry.wait_before_retry
    assert [wait(STATES, n, 0.5) for n in range(4)] == [1_000, 2_000, 4_000, None]
    assert wait({**STATES, "max_delay_ms": 1_500}, 2, 0.5) == 1_500
    assert wait({**STATES, "jitter": True}, 1, 0.5) == 1_000
    assert wait({**STATES, "max_attempts": 0}, 0, 0.5) is None
    assert wait({**STATES, "max_attempts": 999, "rate": 100.0}, 900, 0.5) == 604_800_000


@pytest.mark.parametrize(
    ("class_", "details", "name"),
    [
        ("Timeout", None, "States.Timeout"),
        ("Timeout", {"http": {"status": 408}}, "States.Http.StatusCode.408"),
        ("ServerError", {"http": {"status": 503}}, "States.Http.StatusCode.503"),
        ("NetworkError", None, "States.Http.Socket"),
        ("EgressBlocked", None, "States.Permissions"),
        ("OutOfStock", None, "OutOfStock"),
        ("States.Runtime", {"http": {"status": 503}}, "States.Runtime"),
    ],
)
def test_errors_have_the_names_of_the_language(class_: str, details: object, name: str) -> None:
    """The table of docs/amazon-states.md."""
    assert error_name(class_, details) == name


def test_what_matches_an_error() -> None:
    """Everything but timeouts is a failed task; a missing heartbeat is a timeout too."""
    assert matches("OutOfStock", ["States.TaskFailed"])
    assert not matches("States.Timeout", ["States.TaskFailed"])
    assert matches("States.Timeout", ["States.ALL"])
    assert matches("States.HeartbeatTimeout", ["States.Timeout"])
    assert not matches("OutOfStock", ["OutOfMoney"])
