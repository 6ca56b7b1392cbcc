"""Errors inside the orchestrator. Callers get the errors of `flowmesh.errors`.

Exception
├── IncarnationOver     this incarnation may not commit any more
├── StatementRefused    the database rejects a batch; retried command by command
├── StorageFull         the database has no room for a batch; nothing of it is stored
└── Moved               the partition has another owner, or none yet
"""

import json

from flowmesh.engine import Full
from flowmesh.errors import (
    Conflict,
    FlowmeshError,
    NotFound,
    Overloaded,
    Unavailable,
    WrongState,
)

RETRY_AFTER_MS = 200


class IncarnationOver(Exception):
    """The outbox position in the database is not the expected one: register a new incarnation."""


class StatementRefused(Exception):
    """The database rejects the batch; `by_content` if a repeat would fail the same way."""

    def __init__(self, problem: str, *, by_content: bool) -> None:
        super().__init__(problem)
        self.by_content = by_content


class StorageFull(Exception):
    """The database has no room: callers get an error, other commands wait."""


class Moved(Exception):
    """This incarnation does not own the partition."""

    def __init__(self, partition: int) -> None:
        super().__init__(partition)
        self.partition = partition


def execution_not_found(execution_id: str) -> NotFound:
    return NotFound("EXECUTION_NOT_FOUND", f"no execution {execution_id[:128]!r} in this namespace")


def command_failed() -> FlowmeshError:
    return FlowmeshError("INTERNAL", "the command could not be applied; the log says why")


def execution_unreadable(execution_id: str) -> Unavailable:
    return Unavailable(
        "EXECUTION_UNREADABLE",
        f"execution {execution_id} cannot be read by this version; the log says why",
        retry_after_ms=60_000,
    )


def execution_ended(execution_id: str, status: str) -> WrongState:
    return WrongState("EXECUTION_ENDED", f"execution {execution_id} is {status} already")


def retry_ended(execution_id: str, status: str, node_id: str) -> WrongState:
    """Return the error for a retry in an ended execution, with the rerun to use instead.

    Without a node the rerun starts from the failed nodes.
    """
    # A rerun starts from nodes of the workflow itself.
    first = node_id.partition("/")[0].partition("[")[0]
    body = {"fromNodes": [first]} if first else {"fromFailed": True}
    option = f"--from {first}" if first else "--from-failed"
    return WrongState(
        "EXECUTION_ENDED",
        f"execution {execution_id} is {status} already; run it again from there as a new execution:"
        f" POST /api/v1/executions/{execution_id}:rerun {json.dumps(body)}"
        f" or `flowmesh rerun {execution_id} {option}`."
        " A node with `onFailure: HOLD` waits for a retry in place",
    )


def execution_open(execution_id: str, status: str) -> WrongState:
    return WrongState(
        "EXECUTION_RUNNING", f"execution {execution_id} is {status}; it must have ended"
    )


def wrong_status(execution_id: str, status: str) -> WrongState:
    """Return the error for a command that the execution's present status does not allow."""
    reason = _REASONS.get(status, "EXECUTION_NOT_PAUSED")
    return WrongState(reason, f"execution {execution_id} is {status}")


_REASONS = {
    "paused": "EXECUTION_PAUSED",
    "pending": "EXECUTION_PENDING",
    "compensating": "EXECUTION_COMPENSATING",
}


def node_not_found(node: str) -> NotFound:
    return NotFound("NODE_NOT_FOUND", f"the execution has no node {node[:128]!r}")


def node_unfit(message: str) -> WrongState:
    return WrongState("NODE_STATE_WRONG", message)


def no_room(execution_id: str, full: Full) -> WrongState:
    return WrongState(full.reason, f"execution {execution_id} has {full}, the limit")


def partition_unavailable(partition: int) -> Unavailable:
    return Unavailable(
        "PARTITION_UNAVAILABLE",
        f"partition {partition} is changing its owner; try again",
        retry_after_ms=RETRY_AFTER_MS,
    )


class RequestReused(Conflict):
    """A start repeats a request id with another digest.

    `execution_id` and `digest` are those of the first start.
    """

    def __init__(self, request_id: str, execution_id: str, digest: bytes) -> None:
        text = f"request id {request_id[:128]!r} started an execution with other content"
        super().__init__("REQUEST_ID_REUSED", text)
        self.execution_id = execution_id
        self.digest = digest


def storage_full() -> Overloaded:
    return Overloaded("STORAGE_FULL", "the database has no room left", retry_after_ms=5_000)


def storage_unavailable() -> Unavailable:
    return Unavailable(
        "STORAGE_UNAVAILABLE", "the database did not answer in time", retry_after_ms=1_000
    )
