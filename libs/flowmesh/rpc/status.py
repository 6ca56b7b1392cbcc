"""Conversion of domain errors to `google.rpc.Status` and back."""

from typing import Any, NoReturn

import grpc
import grpc.aio
import orjson
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from flowmesh.errors import (
    REASONS,
    Conflict,
    FlowmeshError,
    Forbidden,
    Gone,
    Invalid,
    Misdirected,
    NotFound,
    Overloaded,
    Timeout,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Violation,
    WrongState,
)
from flowmesh.rpc.limits import STATUS_BYTES_MAX, STATUS_MESSAGE_CHARS_MAX

DOMAIN = "flowmesh"
UNREACHABLE_RETRY_MS = 500
# The beginning of gRPC's message for a missing connection.
NEVER_SENT = "failed to connect"
# The beginning of grpc.aio's message for a write to a call that the server has just ended. The
# status of the server is lost then (github.com/grpc/grpc/issues/36066).
WROTE_TOO_LATE = "Internal error from Core"
STREAM_ENDED = "the stream has ended"
DETAILS_KEY = "grpc-status-details-bin"
CELL_ADDRESS = "flowmesh-cell-address"
"""The trailer, and the header of HTTP, with the gRPC address of the cell that serves a call."""

INTERNAL_TEXT = "internal error; the log of the service describes it under this trace id"

_BY_CODE: dict[grpc.StatusCode, tuple[type[FlowmeshError], str]] = {
    grpc.StatusCode.INVALID_ARGUMENT: (Invalid, "REQUEST_INVALID"),
    grpc.StatusCode.UNAUTHENTICATED: (Unauthenticated, "UNAUTHENTICATED"),
    grpc.StatusCode.PERMISSION_DENIED: (Forbidden, "FORBIDDEN"),
    grpc.StatusCode.NOT_FOUND: (NotFound, "NOT_FOUND"),
    grpc.StatusCode.ALREADY_EXISTS: (Conflict, "ALREADY_EXISTS"),
    grpc.StatusCode.FAILED_PRECONDITION: (WrongState, "FAILED_PRECONDITION"),
    grpc.StatusCode.OUT_OF_RANGE: (Gone, "OUT_OF_RANGE"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (Overloaded, "OVERLOADED"),
    grpc.StatusCode.UNAVAILABLE: (Unavailable, "SERVICE_UNAVAILABLE"),
    grpc.StatusCode.CANCELLED: (Unavailable, "SERVICE_UNAVAILABLE"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (Timeout, "DEADLINE_EXCEEDED"),
    grpc.StatusCode.UNIMPLEMENTED: (Unimplemented, "UNIMPLEMENTED"),
}


class Unreachable(Unavailable):
    """The address did not respond; `never_sent` if the call did not leave this process."""

    def __init__(self, reason: str, message: str, *, never_sent: bool) -> None:
        super().__init__(reason, message, retry_after_ms=UNREACHABLE_RETRY_MS)
        self.never_sent = never_sent


def internal_error() -> FlowmeshError:
    """Return the error for an unexpected failure."""
    return FlowmeshError("INTERNAL", INTERNAL_TEXT)


def deadline_error() -> FlowmeshError:
    """Return the error for an exceeded deadline."""
    return Timeout("DEADLINE_EXCEEDED", "the deadline of the call was exceeded")


def status_of(error: FlowmeshError) -> status_pb2.Status:
    """Return the status with its details; violations are truncated to the size of a trailer."""
    code: int = grpc.StatusCode[error.grpc_code].value[0]
    message = error.message[:STATUS_MESSAGE_CHARS_MAX]
    count = len(error.violations)
    while True:
        status = status_pb2.Status(code=code, message=message)
        status.details.extend(_details(error, error.violations[:count]))
        if count == 0 or status.ByteSize() <= STATUS_BYTES_MAX:
            return status
        count = count * 3 // 4


def _details(error: FlowmeshError, violations: tuple[Violation, ...]) -> list[any_pb2.Any]:
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    if isinstance(error, Misdirected):
        info.metadata["address"] = error.address
    details: list[Any] = [info]
    if violations:
        places = [_place(violation) for violation in violations]
        info.metadata["violations"] = orjson.dumps(places).decode()
        fields = [
            error_details_pb2.BadRequest.FieldViolation(
                field=v.field, description=v.description[:STATUS_MESSAGE_CHARS_MAX]
            )
            for v in violations
        ]
        details.append(error_details_pb2.BadRequest(field_violations=fields))
    if error.retry_after_ms:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(error.retry_after_ms)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = []
    for detail in details:
        wrapped = any_pb2.Any()
        wrapped.Pack(detail)
        packed.append(wrapped)
    return packed


def _place(violation: Violation) -> dict[str, str | int]:
    place: dict[str, str | int] = {
        "code": violation.code,
        "line": violation.line,
        "column": violation.column,
    }
    if violation.schema_path:
        place["schemaPath"] = violation.schema_path
    return place


async def abort(context: "grpc.aio.ServicerContext[Any, Any]", error: FlowmeshError) -> NoReturn:
    """End a call with an error, its details, and the address of the cell that serves it."""
    status = status_of(error)
    await context.abort(
        grpc.StatusCode[error.grpc_code],
        status.message,
        (
            (DETAILS_KEY, status.SerializeToString()),
            *(((CELL_ADDRESS, error.address),) if isinstance(error, Misdirected) else ()),
        ),
    )


def error_of(error: grpc.aio.AioRpcError) -> FlowmeshError:
    """Return the domain error of a failed call with reason, violations and retry delay."""
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            found = _from_status(value, error.code())
            if found is not None:
                return found
    if "larger than max" in (error.details() or ""):
        return TooLarge("PAYLOAD_TOO_LARGE", "the message exceeds the limit of this service")
    if (error.details() or "").startswith(WROTE_TOO_LATE):
        return Unavailable("SERVICE_UNAVAILABLE", STREAM_ENDED)
    text = _transport_text(error.code())
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        never_sent = (error.details() or "").startswith(NEVER_SENT)
        return Unreachable("SERVICE_UNAVAILABLE", text, never_sent=never_sent)
    return error_for_code(error.code(), text)


def error_for_code(code: grpc.StatusCode, message: str) -> FlowmeshError:
    """Return the domain error of a gRPC code without details."""
    kind, reason = _BY_CODE.get(code, (FlowmeshError, "INTERNAL"))
    return kind(reason, message)


def _transport_text(code: grpc.StatusCode) -> str:
    if code is grpc.StatusCode.UNAVAILABLE or code is grpc.StatusCode.CANCELLED:
        return "no response from the service"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "the deadline of the call was exceeded"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return "the service does not have this method"
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return "the service has too many concurrent calls"
    return "the call failed"


def _from_status(data: bytes, code: grpc.StatusCode) -> FlowmeshError | None:
    try:
        status = status_pb2.Status.FromString(data)
    except DecodeError:
        return None
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        for message in (info, bad, retry):
            if detail.Is(message.DESCRIPTOR):
                detail.Unpack(message)
    if not info.reason:
        return None
    known = REASONS.get(info.reason)
    kind = known.error if known else _BY_CODE.get(code, (FlowmeshError, ""))[0]
    error = kind(
        info.reason,
        status.message,
        violations=_violations(info, bad),
        retry_after_ms=retry.retry_delay.ToMilliseconds(),
    )
    if isinstance(error, Misdirected):
        error.address = info.metadata.get("address", "")
    return error


def _violations(
    info: error_details_pb2.ErrorInfo, bad: error_details_pb2.BadRequest
) -> tuple[Violation, ...]:
    try:
        places = orjson.loads(info.metadata.get("violations", "[]"))
    except orjson.JSONDecodeError:
        places = []
    found = []
    for index, violation in enumerate(bad.field_violations):
        place = places[index] if index < len(places) else {}
        found.append(
            Violation(
                violation.field,
                violation.description,
                place.get("code", ""),
                place.get("line", 0),
                place.get("column", 0),
                place.get("schemaPath", ""),
            )
        )
    return tuple(found)
