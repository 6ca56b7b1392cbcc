"""The rules of retries: which errors, after which delay, and how many for all calls together."""

from flowmesh.errors import FlowmeshError, Overloaded, Unavailable
from flowmesh.sdk.values import limits


def retry_delay_s(error: FlowmeshError, wait_s: float) -> float | None:
    """Return the delay before a retry: the server's or `wait_s`; None for no retry."""
    if not isinstance(error, Unavailable | Overloaded):
        return None
    if error.retry_after_ms > 0:
        return min(error.retry_after_ms / 1000, limits.RETRY_WAIT_MAX_S)
    return wait_s if isinstance(error, Unavailable) else None


class RetryBudget:
    """The retries of all calls of a client together.

    A server that fails them gets at most a tenth more calls: a retry takes a token, a success
    returns a tenth. A retry after a delay that the server named, or after no answer at all, is
    free.
    """

    def __init__(self) -> None:
        self._tokens = limits.RETRY_TOKENS

    def permits(self, failure: FlowmeshError) -> bool:
        """Take the token of a retry; False if there is none."""
        if failure.retry_after_ms > 0:
            return True
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def succeeded(self) -> None:
        """Return the share of a success."""
        returned = self._tokens + limits.RETRY_TOKENS_PER_SUCCESS
        self._tokens = min(limits.RETRY_TOKENS, returned)
