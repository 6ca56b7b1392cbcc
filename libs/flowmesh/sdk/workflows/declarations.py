"""Declarations of task handlers: the `@task` decorator with its options.

`flowmesh.sdk.workflows.flow` builds workflows from such functions.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.contract import DEFAULT_RETRY
from flowmesh.contract.durations import duration_ms
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.sdk.worker.handlers import Pool, TaskHandler

H = TypeVar("H", bound=TaskHandler)
Duration = str | int | float
"""`"500ms"`, `"30s"`, `"5m"`, or seconds as a number."""


def duration_text(duration: Duration) -> str:
    """Return the duration in the form of resources."""
    if isinstance(duration, str):
        return duration
    milliseconds = round(duration * 1000)
    if milliseconds % 1000:
        return f"{milliseconds}ms"
    return f"{milliseconds // 1000}s"


def milliseconds(duration: Duration) -> int:
    """Return the duration in ms; raises Invalid for a malformed text."""
    if isinstance(duration, str):
        found = duration_ms(duration)
        if found is None:
            raise Invalid(
                "REQUEST_INVALID", f"{duration!r} is not a duration such as 500ms or 1h30m"
            )
        return found
    return max(0, round(duration * 1000))


@dataclass(frozen=True, slots=True)
class Retry:
    """A retry policy; `attempts` includes the first attempt.

    `on` names the retried failure classes, `("*",)` is all. Without it an exception of a handler is
    retried unless its class is final: `NonRetryable`, `ValidationError` and the like.
    """

    attempts: int = DEFAULT_RETRY.max_attempts
    initial: Duration = f"{DEFAULT_RETRY.initial_delay_ms}ms"
    multiplier: float = DEFAULT_RETRY.multiplier
    max: Duration = f"{DEFAULT_RETRY.max_delay_ms // 1_000}s"
    on: Sequence[str] = ()

    def as_json(self) -> dict[str, Json]:
        return {
            "maxAttempts": self.attempts,
            "initialDelay": duration_text(self.initial),
            "multiplier": self.multiplier,
            "maxDelay": duration_text(self.max),
        } | ({"retryOn": list(self.on)} if self.on else {})

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
    """The declaration of a handler by `@task`."""

    name: str
    retry: Retry | None = None
    timeout: Duration | None = None
    priority: str = ""
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    pool: Pool = ""


_TASK_TYPE = "__flowmesh_task__"


@overload
def task(name: H, /) -> H: ...
@overload
def task(
    name: str = "",
    *,
    retry: Retry | None = None,
    timeout: Duration | None = None,
    priority: str = "",
    input_schema: dict[str, Any] | None = None,
    output_schema: dict[str, Any] | None = None,
    pool: Pool = "",
) -> Callable[[H], H]: ...
def task(
    name: str | H = "",
    *,
    retry: Retry | None = None,
    timeout: Duration | None = None,
    priority: str = "",
    input_schema: dict[str, Any] | None = None,
    output_schema: dict[str, Any] | None = None,
    pool: Pool = "",
) -> Callable[[H], H] | H:
    """Return a decorator that declares a handler of task type `name`, by default its own name.

    `@task` without parentheses declares it with its own name too. `pool="process"` runs CPU-bound
    calls in processes of the worker.
    """
    if not isinstance(name, str):
        return task()(name)

    def mark(function: H) -> H:
        task_type = TaskType(
            name=name or name_of(function),
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
    """Return the declaration of a function by `@task`, or None."""
    found = getattr(function, _TASK_TYPE, None)
    return found if isinstance(found, TaskType) else None


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function with hyphens: `charge_card` is `charge-card`."""
    name = getattr(function, "__name__", "")
    if not re.fullmatch(r"\w+", name):
        raise Invalid("ID_INVALID", f"{function!r} has no name; give the decorator one")
    return name.replace("_", "-")
