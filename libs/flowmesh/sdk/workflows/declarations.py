"""What a function says of the task type it handles: `@task` and what it is told.

Not here: workflows. They are made of such functions in `flowmesh.sdk.workflows.flow`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.contract import DEFAULT_RETRY
from flowmesh.definitions.durations import duration_ms
from flowmesh.errors import Invalid
from flowmesh.sdk.payloads import Json
from flowmesh.sdk.worker.handlers import Pool, TaskHandler

RETRY_ANY = ("*",)

H = TypeVar("H", bound=TaskHandler)
Duration = str | int | float
"""`"500ms"`, `"30s"`, `"5m"`, or seconds as a number."""


def duration_text(duration: Duration) -> str:
    """The duration as resources write it."""
    if isinstance(duration, str):
        return duration
    milliseconds = round(duration * 1000)
    if milliseconds % 1000:
        return f"{milliseconds}ms"
    return f"{milliseconds // 1000}s"


def milliseconds(duration: Duration) -> int:
    """The duration in ms; raises Invalid for a text that is none."""
    if isinstance(duration, str):
        found = duration_ms(duration)
        if found is None:
            raise Invalid("REQUEST_INVALID", f"{duration!r} is no duration such as 500ms or 1h30m")
        return found
    return max(0, round(duration * 1000))


@dataclass(frozen=True, slots=True)
class Retry:
    """How a failed attempt is tried again; `attempts` counts the first.

    Any exception of a handler is retried unless `on` names classes.
    """

    attempts: int = DEFAULT_RETRY.max_attempts
    initial: Duration = f"{DEFAULT_RETRY.initial_delay_ms}ms"
    multiplier: float = DEFAULT_RETRY.multiplier
    max: Duration = f"{DEFAULT_RETRY.max_delay_ms // 1_000}s"
    on: Sequence[str] = RETRY_ANY

    def as_json(self) -> dict[str, Json]:
        return {
            "maxAttempts": self.attempts,
            "initialDelay": duration_text(self.initial),
            "multiplier": self.multiplier,
            "maxDelay": duration_text(self.max),
            "retryOn": list(self.on),
        }

    def as_message(self) -> failure_pb2.RetryPolicy:
        return failure_pb2.RetryPolicy(
            max_attempts=self.attempts,
            initial_delay_ms=milliseconds(self.initial),
            multiplier=self.multiplier,
            max_delay_ms=milliseconds(self.max),
            retry_on=self.on,
        )


@dataclass(frozen=True, slots=True)
class TaskType:
    """What `@task` says of a handler."""

    name: str
    retry: Retry | None = None
    timeout: Duration | None = None
    priority: str = ""
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    pool: Pool = ""


_TASK_TYPE = "__flowmesh_task__"


def task(
    name: str = "",
    *,
    retry: Retry | None = None,
    timeout: Duration | None = None,
    priority: str = "",
    input_schema: dict[str, Any] | None = None,
    output_schema: dict[str, Any] | None = None,
    pool: Pool = "",
) -> Callable[[H], H]:
    """Decorator: the function is the handler of task type `name` (its own name by default).

    `pool="process"` is for work on the CPU: each call has one of the worker's processes.
    """

    def mark(function: H) -> H:
        task_type = TaskType(
            name=name or _function_name(function),
            retry=retry,
            timeout=timeout,
            priority=priority,
            input_schema=input_schema,
            output_schema=output_schema,
            pool=pool,
        )
        setattr(function, _TASK_TYPE, task_type)
        return function

    return mark


def task_type_of(function: TaskHandler) -> TaskType | None:
    """What `@task` said of it; None where it was not used."""
    found = getattr(function, _TASK_TYPE, None)
    return found if isinstance(found, TaskType) else None


def _function_name(function: TaskHandler) -> str:
    name = getattr(function, "__name__", "")
    if not re.fullmatch(r"\w+", name):
        raise Invalid("ID_INVALID", f"{function!r} has no name; give one: task('name')")
    return name.replace("_", "-")
