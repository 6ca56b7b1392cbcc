"""What goes wrong with a run or a task, as exceptions of the SDK.

Exception
├── ExecutionFailed     the execution ended and did not complete; `.failure` says why
├── TaskFailure         raised by a handler to choose the failure's class and retry delay
└── TaskCancelled       raised in a handler whose task is no longer wanted

Errors of calls are `flowmesh.errors`. A failed execution is data for those who ask for the
execution; it is an exception only for those who asked for its result.
"""

from dataclasses import dataclass

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.sdk.payloads import Json, decode_bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt, a node or an execution failed."""

    error_class: str
    message: str
    node: str = ""
    retry_after_ms: int = 0
    details: Json = None
    # Of a state machine in a standard format: the state that the node is a part of.
    state: str = ""

    def __str__(self) -> str:
        place = f"state {self.state}" if self.state else self.node
        where = f" in {place}" if place else ""
        return f"{self.error_class}{where}: {self.message}"


def failure_of(message: failure_pb2.Failure) -> Failure:
    return Failure(
        error_class=getattr(message, "class"),
        message=message.message,
        node=message.node,
        retry_after_ms=message.retry_after_ms,
        details=decode_bytes(message.details),
        state=message.state,
    )


class ExecutionFailed(Exception):
    """The execution ended as failed, canceled or terminated, so there is no result."""

    def __init__(self, execution_id: str, status: str, failure: Failure | None) -> None:
        because = f": {failure}" if failure is not None else ""
        super().__init__(f"execution {execution_id} {status}{because}")
        self.execution_id = execution_id
        self.status = status
        self.failure = failure


class TaskFailure(Exception):
    """Raise it in a handler to choose the class that retry policies look at.

    `retry_after_ms` is the earliest time before the next attempt; `details` any JSON value.
    """

    def __init__(
        self,
        class_: str,
        message: str = "",
        retry_after_ms: int = 0,
        details: Json = None,
    ) -> None:
        super().__init__(f"{class_}: {message}" if message else class_)
        self.class_ = class_
        self.message = message
        self.retry_after_ms = retry_after_ms
        self.details = details


class TaskCancelled(Exception):
    """The task is no longer wanted: canceled, timed out, or its worker stops."""
