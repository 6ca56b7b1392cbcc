"""Failures of executions and tasks, and the exceptions for them.

Exception
├── ExecutionFailed     the execution ended and did not complete; `.failure` has the reason
├── TaskFailure         raised by a handler to choose the class and retry delay of the failure
│   └── NonRetryable    raised by a handler for a failure that no policy retries
└── TaskCancelled       raised in a handler whose task is canceled

Errors of calls are `flowmesh.errors`. A failed execution is data for a caller that reads the
execution, and an exception for a caller that waits for its result.
"""

from dataclasses import dataclass
from typing import Annotated

from flowmesh.contract.json_value import Json
from flowmesh.records import Source


@dataclass(frozen=True, slots=True)
class Failure:
    """The failure of an attempt, a node or an execution."""

    error_class: Annotated[str, Source("class")]
    message: str
    node: str = ""
    retry_after_ms: int = 0
    details: Json = None
    # The state of the node, in a state machine of a standard format.
    state: str = ""

    def __str__(self) -> str:
        place = f"state {self.state}" if self.state else self.node
        location = f" in {place}" if place else ""
        return f"{self.error_class}{location}: {self.message}"


class ExecutionFailed(Exception):
    """The execution failed or was canceled or terminated, and has no result."""

    def __init__(self, execution_id: str, status: str, failure: Failure | None) -> None:
        cause = f": {failure}" if failure is not None else ""
        super().__init__(f"execution {execution_id} {status}{cause}")
        self.execution_id = execution_id
        self.status = status
        self.failure = failure


class TaskFailure(Exception):
    """Raised by a handler to choose the class on which retry policies decide.

    `retry_after_ms` is the minimum delay before the next attempt; `details` is any JSON value.
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


class NonRetryable(TaskFailure):
    """Raised by a handler for a failure that no policy retries; `details` is any JSON value."""

    def __init__(self, message: str = "", details: Json = None) -> None:
        super().__init__("NonRetryable", message, details=details)


class TaskCancelled(Exception):
    """The task was canceled or timed out, or its worker stops."""
