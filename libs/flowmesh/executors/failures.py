"""The failure of an attempt: a class for retry policies, a message for the user, JSON details.

TaskFailure   raised by executors, turned into a result of the attempt; never an RPC error
"""

from typing import Any

import orjson

from flowmesh.api.common.v1.failure_pb2 import Failure
from flowmesh.api.worker.v1.task_pb2 import TaskResult

TIMEOUT = "Timeout"
NETWORK = "NetworkError"
RATE_LIMIT = "RateLimitError"
AUTHENTICATION = "AuthenticationError"
CLIENT = "ClientError"
SERVER = "ServerError"
VALIDATION = "ValidationError"
CANCELLED = "Cancelled"
EGRESS_BLOCKED = "EgressBlocked"
# The circuit breaker of the upstream is open.
CIRCUIT_OPEN = "CIRCUIT_OPEN"
# A fault of the executor itself; its text stays in the log.
INTERNAL = "InternalError"
# A secret of the task is not stored, or cannot be opened.
SECRET_UNAVAILABLE = "SecretUnavailable"  # noqa: S105 (a failure class)


class TaskFailure(Exception):
    """The failure of an attempt; `node` is set if it reports the failure of another node."""

    def __init__(
        self,
        class_: str,
        message: str,
        *,
        retry_after_ms: int = 0,
        details: dict[str, Any] | None = None,
        node: str = "",
    ) -> None:
        super().__init__(message)
        self.class_ = class_
        self.message = message
        self.retry_after_ms = retry_after_ms
        self.details = details or {}
        self.node = node

    def result(self, token: str, worker_id: str) -> TaskResult:
        failure = Failure(
            message=self.message,
            node=self.node,
            retry_after_ms=self.retry_after_ms,
            details=orjson.dumps(self.details) if self.details else b"",
        )
        setattr(failure, "class", self.class_)  # a keyword in Python
        return TaskResult(token=token, failure=failure, worker_id=worker_id)


def invalid(message: str, **details: Any) -> TaskFailure:
    """Return a ValidationError: the input or configuration is wrong, so a retry cannot help."""
    return TaskFailure(VALIDATION, message, details=details or None)
