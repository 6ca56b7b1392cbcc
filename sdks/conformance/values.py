"""Values of the Python driver: JSON of commands, answers and errors."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

from flowmesh import errors
from flowmesh.contract.json_value import Json
from flowmesh.sdk import Event, ExecutionFailed
from flowmesh.sdk.values.executions import Execution
from flowmesh.sdk.values.failures import Failure

KINDS = (
    *("Invalid", "Unauthenticated", "Forbidden", "NotFound", "Conflict", "WrongState", "Gone"),
    *("TooLarge", "Overloaded", "Unavailable", "Unimplemented", "Timeout"),
)
TEXT_CHARS_MAX = 1_000


def expanded(value: Json) -> Json:
    """Replace `{"$text": n}` by the text, and `{"$bad": kind}` by a value that is not JSON."""
    if isinstance(value, dict):
        if "$text" in value:
            return "x" * value["$text"]
        if "$bad" in value:
            cycle: list[Json] = []
            cycle.append(cycle)
            bad = {"cycle": cycle, "surrogate": "\ud800", "function": print}
            return bad.get(value["$bad"], float("nan"))
        return {key: expanded(item) for key, item in value.items()}
    return [expanded(item) for item in value] if isinstance(value, list) else value


def shortened(value: Json) -> Json:
    """Replace long texts by their length and digest."""
    if isinstance(value, str) and len(value) > TEXT_CHARS_MAX:
        return {"$text": len(value), "sha256": hashlib.sha256(value.encode()).hexdigest()}
    if isinstance(value, dict):
        return {key: shortened(item) for key, item in value.items()}
    return [shortened(item) for item in value] if isinstance(value, list) else value


def failure_json(failure: Failure | None) -> Json:
    if failure is None:
        return None
    return {"class": failure.error_class, "message": failure.message, "node": failure.node}


def error_json(error: BaseException) -> Json:
    """Return an error in the form of the protocol."""
    if isinstance(error, ExecutionFailed):
        shown = {"status": str(error.status), "failure": failure_json(error.failure)}
        return {"kind": "ExecutionFailed", "reason": "", "message": str(error), **shown}
    if not isinstance(error, errors.FlowmeshError):
        # grpc.aio raises these two for calls on a closed channel.
        closed = isinstance(error, asyncio.CancelledError) or "closed" in str(error).lower()
        usage = isinstance(error, KeyError | AttributeError)
        kind = "Closed" if closed else "Usage" if usage else "Internal"
        return {"kind": kind, "reason": "", "message": f"{type(error).__name__}: {error}"}
    kinds = [name for name in KINDS if isinstance(error, getattr(errors, name))]
    kind = kinds[0] if kinds else "Internal"
    found: Json = {"kind": kind, "reason": error.reason, "message": error.message}
    if error.violations:
        found["violations"] = [
            {"field": v.field, "code": v.code, "line": v.line, "column": v.column}
            for v in error.violations
        ]
    return found | ({"retryAfterMs": error.retry_after_ms} if error.retry_after_ms else {})


def execution_json(execution: Execution) -> Json:
    return {
        "id": execution.id,
        "workflow": execution.workflow_id,
        "version": execution.workflow_version,
        "status": str(execution.status),
        "lastSequence": execution.last_sequence,
        "failure": failure_json(execution.failure),
        "variables": execution.variables,
        "nodes": {
            node.id: {
                "status": str(node.status),
                "attempts": node.attempts,
                "taskType": node.task_type,
                "failure": failure_json(node.failure),
                "held": node.held,
            }
            for node in execution.nodes
        },
    }


async def events_json(events: AsyncIterator[Event], delay_ms: int = 0) -> Json:
    found = []
    async for event in events:
        found.append({"type": event.type, "sequence": event.sequence, "node": event.node})
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)
    return {"events": found}
