"""How long to wait before something is tried again."""

from flowmesh.rpc.limits import STREAM_RETRY_MAX_S, STREAM_RETRY_MIN_S


def stream_retry_s(away_s: float) -> float:
    """The pause before a stream is opened again that has been away for so many seconds."""
    return min(max(away_s / 10, STREAM_RETRY_MIN_S), STREAM_RETRY_MAX_S)
