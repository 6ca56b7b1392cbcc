"""Pauses before retries."""

from flowmesh.rpc.limits import STREAM_RETRY_MAX_S, STREAM_RETRY_MIN_S


def stream_retry_s(away_s: float) -> float:
    """Return the pause before a broken stream is reopened, after `away_s` seconds of downtime."""
    return min(max(away_s / 10, STREAM_RETRY_MIN_S), STREAM_RETRY_MAX_S)
