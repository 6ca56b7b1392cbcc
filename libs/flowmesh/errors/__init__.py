"""The errors every service and client share: a stable reason, a code, and what the caller can mend.

FlowmeshError
├── Invalid              400 INVALID_ARGUMENT      the request is wrong; violations say where
├── Unauthenticated      401 UNAUTHENTICATED
├── Forbidden            403 PERMISSION_DENIED
├── NotFound             404 NOT_FOUND
├── MethodNotAllowed     405 UNIMPLEMENTED         the gateway's routes only
├── Conflict             409 ALREADY_EXISTS        the name or key is taken by other content
├── WrongState           409 FAILED_PRECONDITION   the thing is there, but not in a state for this
├── Gone                 410 OUT_OF_RANGE          it was there and is no longer held
├── TooLarge             413 RESOURCE_EXHAUSTED    over a limit of size; the limit is named
├── UnsupportedMediaType 415 INVALID_ARGUMENT      the gateway's routes only
├── UpgradeRequired      426 UNIMPLEMENTED         the gateway's routes only
├── Overloaded           429 RESOURCE_EXHAUSTED    come back after `retry_after_ms`
├── Unavailable          503 UNAVAILABLE           come back after `retry_after_ms`
├── Unimplemented        501 UNIMPLEMENTED         the service has no such method
└── Timeout              504 DEADLINE_EXCEEDED

A reason is upper snake case and never changes; `REASONS` is the one table of them, and
`docs/errors.md` is generated from it. Whoever raises picks a class and a reason of that class.
"""

from flowmesh.errors.reasons import REASONS, Reason
from flowmesh.errors.tree import (
    Conflict,
    FlowmeshError,
    Forbidden,
    Gone,
    Invalid,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    Timeout,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    UnsupportedMediaType,
    UpgradeRequired,
    Violation,
    WrongState,
)

__all__ = [
    "REASONS",
    "Conflict",
    "FlowmeshError",
    "Forbidden",
    "Gone",
    "Invalid",
    "MethodNotAllowed",
    "NotFound",
    "Overloaded",
    "Reason",
    "Timeout",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "UnsupportedMediaType",
    "UpgradeRequired",
    "Violation",
    "WrongState",
]
