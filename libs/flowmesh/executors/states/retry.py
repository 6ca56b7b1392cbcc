"""Errors of the Amazon States Language: their names, matching, and retry delays."""

from collections.abc import Sequence

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.contract.retries import backoff
from flowmesh.executors import failures

ALL, TASK_FAILED, TIMEOUT = "States.ALL", "States.TaskFailed", "States.Timeout"
HEARTBEAT = "States.HeartbeatTimeout"
_NAMES = {
    failures.TIMEOUT: TIMEOUT,
    "HeartbeatTimeout": HEARTBEAT,
    failures.NETWORK: "States.Http.Socket",
    failures.EGRESS_BLOCKED: "States.Permissions",
    "ChildFailed": TASK_FAILED,
}
# Errors of the Lambda service itself; all others are errors of the function.
_OF_FUNCTIONS = {
    failures.RATE_LIMIT: "Lambda.TooManyRequestsException",
    failures.SERVER: "Lambda.ServiceException",
    failures.NETWORK: "Lambda.SdkClientException",
    "POISON": "Lambda.Unknown",
}
WAIT_MS_MAX = 7 * 24 * 3_600_000


def error_name(class_: str, details: Json, *, of_function: bool = False) -> str:
    """Return the error name of a failure; by default it is the failure class.

    `of_function` is set if a Lambda function failed.
    """
    if of_function and class_ in _OF_FUNCTIONS:
        return _OF_FUNCTIONS[class_]
    http = details.get("http") if isinstance(details, dict) else None
    if isinstance(http, dict) and "status" in http and not class_.startswith("States."):
        return f"States.Http.StatusCode.{http['status']}"
    return _NAMES.get(class_, class_)


def matches(name: str, wanted: Sequence[str]) -> bool:
    """Return whether `ErrorEquals` includes the error."""
    if name in wanted or ALL in wanted:
        return True
    if name == HEARTBEAT and TIMEOUT in wanted:
        return True
    return TASK_FAILED in wanted and name not in (TIMEOUT, HEARTBEAT)


def cause_of_function(name: str, message: str) -> str:
    """Return the cause of an error of a Lambda function, as JSON text like the service."""
    return orjson.dumps({"errorMessage": message, "errorType": name}).decode()


def wait_before_retry(retrier: dict[str, Json], retries: int, draw: float) -> int | None:
    """Return the delay in ms before the next retry, or None for no further retry."""
    if retries >= retrier["max_attempts"]:
        return None
    most = min(retrier["max_delay_ms"] or WAIT_MS_MAX, WAIT_MS_MAX)
    wait = backoff(retrier["interval_ms"], retries + 1, factor=retrier["rate"], most=most)
    return int(wait * draw) if retrier["jitter"] else int(wait)
