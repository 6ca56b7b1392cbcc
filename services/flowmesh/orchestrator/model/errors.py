"""Errors inside the orchestrator. What callers see are those of `flowmesh.errors`.

Exception
├── IncarnationOver     the database says that this incarnation may not commit any more
├── StatementRefused    the database refused a batch for what is in it; retried row by row
├── StorageFull         the database has no room for a batch, and nothing of it is there
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
    """The position in the database is neither ours nor the one after: register anew."""


class StatementRefused(Exception):
    """The database refused the batch itself; sending it again would be refused again."""


class StorageFull(Exception):
    """The database has no room: callers are told, everything else waits for it."""


class Moved(Exception):
    """The partition is not this incarnation's."""

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
    """The refusal of a retry, with what repeats the node instead; without a node, what failed."""
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
    """The refusal of what does not fit whether an execution is paused or being undone."""
    reason = _REASONS.get(status, "EXECUTION_NOT_PAUSED")
    return WrongState(reason, f"execution {execution_id} is {status}")


_REASONS = {
    "paused": "EXECUTION_PAUSED",
    "pending": "EXECUTION_PENDING",
    "compensating": "EXECUTION_COMPENSATING",
}


def node_not_found(node: str) -> NotFound:
    return NotFound("NODE_NOT_FOUND", f"the execution has no node {node[:128]!r}")


def node_unfit(what: str) -> WrongState:
    return WrongState("NODE_STATE_WRONG", what)


def no_room(execution_id: str, full: Full) -> WrongState:
    return WrongState(full.reason, f"execution {execution_id} has {full}, the limit")


def partition_unavailable(partition: int) -> Unavailable:
    return Unavailable(
        "PARTITION_UNAVAILABLE",
        f"partition {partition} is changing its owner; try again",
        retry_after_ms=RETRY_AFTER_MS,
    )


class RequestReused(Conflict):
    """A start under a request id that another start has, told apart by their digests.

    `execution_id` and `digest` are those of the first one.
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
