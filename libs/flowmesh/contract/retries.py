"""The default retry policy of a task, and the failure classes that it covers."""

from typing import NamedTuple


class RetryDefaults(NamedTuple):
    """Values of a retry policy. `max_attempts` counts the first attempt."""

    max_attempts: int
    initial_delay_ms: int
    multiplier: float
    max_delay_ms: int


DEFAULT_RETRY = RetryDefaults(
    max_attempts=4, initial_delay_ms=100, multiplier=2.0, max_delay_ms=30_000
)
"""Exponential backoff: 100 ms, 200 ms, 400 ms, at most 30 s."""

RETRIED_BY_DEFAULT = ("Timeout", "NetworkError", "RateLimitError", "ServerError", "CIRCUIT_OPEN")
"""Failure classes that a policy without `retryOn` retries."""

NEVER_RETRIED = ("Cancelled", "POISON", "NON_DETERMINISTIC", "DepthLimit", "PERMISSION_DENIED")
"""Failure classes that no policy retries."""
