"""The errors that all services and clients share: a stable reason, a code, a message.

FlowmeshError
├── Invalid              400 INVALID_ARGUMENT      the request is wrong; violations name the places
├── Unauthenticated      401 UNAUTHENTICATED
├── Forbidden            403 PERMISSION_DENIED
├── NotFound             404 NOT_FOUND
├── MethodNotAllowed     405 UNIMPLEMENTED         the gateway's routes only
├── Conflict             409 ALREADY_EXISTS        the name or key is used by other content
├── WrongState           409 FAILED_PRECONDITION   the state of the object does not allow the call
│   └── Misdirected      421 FAILED_PRECONDITION   another cell serves the call; it has its address
├── Gone                 410 OUT_OF_RANGE          the object existed and is no longer kept
├── TooLarge             413 RESOURCE_EXHAUSTED    over a size limit, which the message names
├── UnsupportedMediaType 415 INVALID_ARGUMENT      the gateway's routes only
├── UpgradeRequired      426 UNIMPLEMENTED         the gateway's routes only
├── Overloaded           429 RESOURCE_EXHAUSTED    retry after `retry_after_ms`
├── Unavailable          503 UNAVAILABLE           retry after `retry_after_ms`
├── Unimplemented        501 UNIMPLEMENTED         the service has no such method
└── Timeout              504 DEADLINE_EXCEEDED

A reason is upper snake case and never changes. `REASONS` is the table of all reasons;
`docs/errors.md` is generated from it. An error is raised with a reason of its own class.
"""

from flowmesh.errors.reasons import REASONS, Reason, table_of
from flowmesh.errors.tree import (
    Conflict,
    FlowmeshError,
    Forbidden,
    Gone,
    Invalid,
    MethodNotAllowed,
    Misdirected,
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
    "Misdirected",
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
    "table_of",
]
