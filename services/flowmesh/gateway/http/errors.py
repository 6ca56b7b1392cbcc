"""Errors as JSON responses.

An expected error is a `FlowmeshError` with a reason of the table. Any other exception is a bug:
the application logs it and sends a fixed text.
"""

import math
from typing import Any

import msgspec

from flowmesh.errors import FlowmeshError, Violation
from flowmesh.gateway.http.requests import Headers, Response

# The text of the exception is never sent.
INTERNAL_MESSAGE = "An internal error occurred; the log of the gateway has the details."


def error_value(error: FlowmeshError) -> dict[str, Any]:
    """`{"code", "reason", "message", "details"}`."""
    return {
        "code": error.http_status,
        "reason": error.reason,
        "message": error.message,
        "details": [_detail(violation) for violation in error.violations],
    }


def error_response(error: FlowmeshError, *, headers: Headers = (), **beside: Any) -> Response:
    """Return an error as a response; `beside` are members next to `error`."""
    if (seconds := _retry_after_s(error)) is not None:
        headers = (*headers, (b"retry-after", str(seconds).encode()))
    body = msgspec.json.encode({"error": error_value(error), **beside})
    return Response(error.http_status, body, headers=headers)


def internal_error() -> FlowmeshError:
    """Return the error that is shown for an unexpected one."""
    return FlowmeshError("INTERNAL", INTERNAL_MESSAGE)


def _retry_after_s(error: FlowmeshError) -> int | None:
    """Return the value of `Retry-After` in seconds if a retry can succeed."""
    if error.http_status not in (429, 503) and not error.retry_after_ms:
        return None
    return max(1, math.ceil(error.retry_after_ms / 1_000))


def _detail(violation: Violation) -> dict[str, Any]:
    detail: dict[str, Any] = {"field": violation.field, "description": violation.description}
    if violation.code:
        detail["code"] = violation.code
    if violation.line:
        detail["line"] = violation.line
    if violation.column:
        detail["column"] = violation.column
    if violation.schema_path:
        detail["schemaPath"] = violation.schema_path
    return detail
