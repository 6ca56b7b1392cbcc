"""Retry delays of a `try` of Serverless Workflow."""

from flowmesh.contract.json_value import Json
from flowmesh.contract.retries import backoff

WAIT_MS_MAX = 7 * 24 * 3_600_000


def wait_before_retry(
    policy: dict[str, Json], tries: int, elapsed_ms: int, draw: float
) -> int | None:
    """Return the delay in ms after the `tries`-th failure, or None for no further retry.

    `elapsed_ms` is the time since the first failure; `draw` in [0, 1) decides the jitter.
    """
    if tries > policy["count"]:
        return None
    delay = policy["delay_ms"]
    match policy["backoff"]:
        case "exponential":
            delay = backoff(delay, tries)
        case "linear":
            delay *= tries
    least, most = policy["jitter_ms"]
    wait = min(int(delay + least + (most - least) * draw), WAIT_MS_MAX)
    limit = policy["limit_ms"]
    return None if limit and elapsed_ms + wait > limit else wait
