"""Delays of retries, the default retry policy of a task, and the failure classes that it covers.

One rule for all formats and SDKs: an error of a handler is retried unless its class says that it is
final; a built-in task is retried for the temporary failures only, because the same input gives the
same error.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_EXPONENT_MAX = 64


def backoff(initial: float, failures: int, *, factor: float = 2.0, most: float = math.inf) -> float:
    """Return the delay after a number of failures, from 1, in the unit of `initial`."""
    return min(initial * factor ** min(failures - 1, _EXPONENT_MAX), most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Attempts of an action, the first one included, with growing delays between them."""

    attempts: int = 1
    initial_s: float = 0.1
    factor: float = 2.0
    most_s: float = math.inf

    def delay_s(self, failures: int) -> float:
        """Return the delay after a number of failures, from 1."""
        return backoff(self.initial_s, failures, factor=self.factor, most=self.most_s)

    def delays(self) -> Iterator[float]:
        """Yield the delay after each attempt but the last."""
        return map(self.delay_s, range(1, self.attempts))


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
