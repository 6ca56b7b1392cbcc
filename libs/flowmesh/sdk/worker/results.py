"""Results of tasks as messages: failures from exceptions, and heartbeat details."""

import asyncio
import logging
import traceback

import orjson

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError, Timeout, Unavailable
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.failures import TaskCancelled, TaskFailure
from flowmesh.sdk.values.payloads import encode

_log = logging.getLogger("flowmesh.sdk")


def failed(
    token: str, error_class: str, message: str, retry_after_ms: int = 0, details: bytes = b""
) -> task_pb2.TaskResult:
    failure = failure_pb2.Failure(
        message=_unicode(message[: limits.MESSAGE_CHARS_MAX]),
        retry_after_ms=retry_after_ms,
        details=details,
        **{"class": _unicode(error_class)},  # `class` is a keyword of Python
    )
    return task_pb2.TaskResult(token=token, failure=failure)


def transfer_failed(token: str, field: str, error: FlowmeshError) -> task_pb2.TaskResult:
    """Return the failure for a value that could not be fetched, stored or encoded."""
    unreachable = isinstance(error, Unavailable | Timeout)
    error_class = "NetworkError" if unreachable else "ValidationError"
    return failed(token, error_class, f"{field}: {error.message}", error.retry_after_ms)


def result_of_error(token: str, error: BaseException) -> task_pb2.TaskResult:
    """Convert an exception of a handler to a failure, even if its own methods raise."""
    try:
        return _failure_of(token, error)
    except BaseException as fault:  # noqa: BLE001 - raised by code of the exception itself
        name, cause = type(error).__name__, type(fault).__name__
        return failed(token, name, f"{name} without details: reading it raised {cause}")


def result_of_attempt(task: task_pb2.Task, error: BaseException) -> task_pb2.TaskResult:
    """Convert and log an exception, with its traceback unless it is a TaskFailure."""
    result = result_of_error(task.token, error)
    failure = result.failure
    if not isinstance(error, TaskCancelled | asyncio.CancelledError):
        _log.warning(
            "attempt %d of %s in %s failed with %s: %s",
            task.attempt,
            task.node,
            task.execution_id,
            getattr(failure, "class"),
            failure.message,
            exc_info=None if isinstance(error, TaskFailure) else error,
        )
    return result


def _failure_of(token: str, error: BaseException) -> task_pb2.TaskResult:
    match error:
        case TaskFailure():
            try:
                details = encode(error.details) if error.details is not None else b""
            except FlowmeshError as invalid:
                return failed(token, "ValidationError", f"details of a failure: {invalid.message}")
            if len(details) > INLINE_BYTES_MAX:
                text = f"{error}: its details have {len(details)} bytes"
                return failed(token, error.class_, f"{text}, more than the limit of 256 KiB")
            message = error.message or error.class_
            return failed(token, error.class_, message, error.retry_after_ms, details)
        case TaskCancelled() | asyncio.CancelledError():
            return failed(token, "Cancelled", str(error) or "the task was canceled")
        case TimeoutError():
            return failed(token, "Timeout", str(error) or "the handler timed out")
        case _:
            text = "".join(traceback.format_exception(error))[-limits.TRACEBACK_CHARS_MAX :]
            details = orjson.dumps({"traceback": _unicode(text)})
            return failed(token, type(error).__name__, str(error), details=details)


def _unicode(text: str) -> str:
    """Replace characters that UTF-8 cannot encode by question marks."""
    return text.encode("utf-8", "replace").decode()


def heartbeat_data(details: Json) -> bytes:
    """Encode the details of a heartbeat; raises ValueError if they are too large."""
    data = encode(details) if details is not None else b""
    if len(data) > limits.HEARTBEAT_BYTES_MAX:
        raise ValueError(f"heartbeat details are limited to {limits.HEARTBEAT_BYTES_MAX} bytes")
    return data
