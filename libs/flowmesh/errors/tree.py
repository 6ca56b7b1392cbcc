"""The error classes. A class has an HTTP status and a gRPC code; a reason is more specific."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Violation:
    """One problem that the caller can fix.

    `field` is a path into the request (`tasks[1].input.email`); `code` is the reason of this
    violation where several are reported at once; `line` and `column` are 1-based, 0 is unknown.
    `schema_path` points to the schema keyword that the value violates.
    """

    field: str
    description: str
    code: str = ""
    line: int = 0
    column: int = 0
    schema_path: str = ""


class FlowmeshError(Exception):
    """An error that is reported to the caller, with a reason that never changes.

    The message names the problem, its place and the expected form. It never holds the text of a
    foreign exception.
    """

    grpc_code: ClassVar[str] = "INTERNAL"
    http_status: ClassVar[int] = 500

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        violations: tuple[Violation, ...] = (),
        retry_after_ms: int = 0,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.violations = violations
        self.retry_after_ms = retry_after_ms

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class Invalid(FlowmeshError):
    grpc_code = "INVALID_ARGUMENT"
    http_status = 400


class Unauthenticated(FlowmeshError):
    grpc_code = "UNAUTHENTICATED"
    http_status = 401


class Forbidden(FlowmeshError):
    grpc_code = "PERMISSION_DENIED"
    http_status = 403


class NotFound(FlowmeshError):
    grpc_code = "NOT_FOUND"
    http_status = 404


class Conflict(FlowmeshError):
    grpc_code = "ALREADY_EXISTS"
    http_status = 409


class WrongState(FlowmeshError):
    grpc_code = "FAILED_PRECONDITION"
    http_status = 409


class Gone(FlowmeshError):
    grpc_code = "OUT_OF_RANGE"
    http_status = 410


class TooLarge(FlowmeshError):
    grpc_code = "RESOURCE_EXHAUSTED"
    http_status = 413


class Misdirected(WrongState):
    """Another cell serves the call: its gRPC address, and its URL."""

    http_status = 421
    address = ""
    location = ""


class Overloaded(FlowmeshError):
    grpc_code = "RESOURCE_EXHAUSTED"
    http_status = 429


class Unavailable(FlowmeshError):
    grpc_code = "UNAVAILABLE"
    http_status = 503


class Unimplemented(FlowmeshError):
    grpc_code = "UNIMPLEMENTED"
    http_status = 501


class Timeout(FlowmeshError):
    grpc_code = "DEADLINE_EXCEEDED"
    http_status = 504


class MethodNotAllowed(FlowmeshError):
    grpc_code = "UNIMPLEMENTED"
    http_status = 405


class UnsupportedMediaType(FlowmeshError):
    grpc_code = "INVALID_ARGUMENT"
    http_status = 415


class UpgradeRequired(FlowmeshError):
    grpc_code = "UNIMPLEMENTED"
    http_status = 426
