"""The default retry policy of a task, and the failure classes that it covers.

One rule for all formats and SDKs: an error of a handler is retried unless its class says that it is
final; a built-in task is retried for the temporary failures only, because the same input gives the
same error.
"""

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

TEMPORARY = ("Timeout", "NetworkError", "RateLimitError", "ServerError", "CIRCUIT_OPEN")
"""Failure classes of built-in tasks that a policy without `retryOn` retries."""

FINAL_BY_DEFAULT = (
    "AuthenticationError",
    "ClientError",
    "ValidationError",
    "EgressBlocked",
    "SecretUnavailable",
    "ScheduleToStartTimeout",
)
"""Failure classes of handlers that a policy without `retryOn` does not retry."""

NEVER_RETRIED = (
    "NonRetryable",
    "Cancelled",
    "POISON",
    "NON_DETERMINISTIC",
    "DepthLimit",
    "PERMISSION_DENIED",
)
"""Failure classes that no policy retries."""
