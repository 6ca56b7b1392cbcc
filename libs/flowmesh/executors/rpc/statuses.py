"""Failure classes of gRPC status codes."""

from typing import Any

import grpc
import grpc.aio

from flowmesh.executors import failures, limits
from flowmesh.executors.failures import TaskFailure

_DETAILS = "grpc-status-details-bin"
_MESSAGE_CHARACTERS_MAX = 500
# The retry class of a status code; all others are client errors.
_CLASSES = {
    "CANCELLED": failures.SERVER,
    "UNKNOWN": failures.SERVER,
    "DEADLINE_EXCEEDED": failures.TIMEOUT,
    "RESOURCE_EXHAUSTED": failures.RATE_LIMIT,
    "ABORTED": failures.SERVER,
    "INTERNAL": failures.SERVER,
    "UNAVAILABLE": failures.NETWORK,
    "DATA_LOSS": failures.SERVER,
    "UNAUTHENTICATED": failures.AUTHENTICATION,
    "PERMISSION_DENIED": failures.AUTHENTICATION,
}


def failure_of(error: grpc.aio.AioRpcError) -> TaskFailure:
    code = str(error.code().name)
    text = str(error.details() or "").partition("\n")[0][:_MESSAGE_CHARACTERS_MAX]
    if "ipv4:" in text or "ipv6:" in text:
        # A text of the library, which would reveal resolved addresses.
        text = "the service refused the connection or cannot be reached"
    return TaskFailure(
        _CLASSES.get(code, failures.CLIENT),
        f"the service answered {code}: {text}" if text else f"the service answered {code}",
        retry_after_ms=_retry_after_ms(error.trailing_metadata()),
        details={"grpc": {"code": code, "message": text}},
    )


def _retry_after_ms(metadata: Any) -> int:
    """Return the delay of `google.rpc.RetryInfo` in the details, or 0."""
    from google.protobuf.message import DecodeError
    from google.rpc import error_details_pb2, status_pb2

    for name, value in metadata or ():
        if name != _DETAILS:
            continue
        try:
            details = status_pb2.Status.FromString(value).details
            found = error_details_pb2.RetryInfo()
            if any(detail.Unpack(found) for detail in details):
                wait_ms = int(found.retry_delay.ToMilliseconds())
                return max(0, min(wait_ms, limits.RETRY_AFTER_MS_MAX))
        except DecodeError:
            return 0
    return 0
