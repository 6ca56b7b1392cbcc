"""Task handlers and the mode in which each is called.

A coroutine function without an `await` cannot suspend and is called inline. Any other coroutine
function gets its own asyncio task. A plain function runs in a thread, or in a process if it is
registered with `pool="process"`.
"""

import dis
import inspect
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache, partial
from types import CodeType
from typing import Any, Literal

from flowmesh.errors import Invalid

TaskHandler = Callable[..., Any]
"""`handler(input)` or `handler(input, context)`, async or not."""

Pool = Literal["", "process"]
"""The pool of a handler: the default of its kind, or a pool of processes."""

# The bytecode of await, async for and async with.
_SUSPENDING = frozenset(("SEND", "YIELD_VALUE", "GET_AWAITABLE", "GET_ANEXT"))


class Mode(Enum):
    """The way in which a handler is called."""

    INLINE = "inline"
    TASK = "task"
    THREAD = "thread"
    PROCESS = "process"
    DURABLE = "durable"


@dataclass(frozen=True, slots=True)
class Handler:
    """A handler with its mode and number of parameters, determined at registration."""

    function: TaskHandler
    mode: Mode
    takes: int


def handler_of(task_type: str, function: TaskHandler, pool: Pool = "") -> Handler:
    """Create a handler; raises Invalid if `function` does not fit the pool or the call."""
    if not callable(function):
        raise Invalid("REQUEST_INVALID", f"the handler of {task_type!r} is not callable")
    takes = _takes(task_type, function)
    if pool not in ("", "process"):
        raise Invalid(
            "REQUEST_INVALID", f"the pool of {task_type!r} must be 'process' or empty, not {pool!r}"
        )
    if not pool:
        return Handler(function, mode_of(function), takes)
    _check_portable(task_type, function)
    return Handler(function, Mode.PROCESS, takes)


def durable_handler_of(task_type: str, function: TaskHandler) -> Handler:
    """Create a durable handler; raises Invalid unless it is `async def handler(ctx, input)`."""
    if not inspect.iscoroutinefunction(function) or _takes(task_type, function) != 2:
        message = f"the durable handler of {task_type!r} must be `async def handler(ctx, input)`"
        raise Invalid("REQUEST_INVALID", message)
    return Handler(function, Mode.DURABLE, 2)


def _check_portable(task_type: str, function: TaskHandler) -> None:
    """Check that another process can import the function by its name."""
    try:
        pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise Invalid(
            "REQUEST_INVALID",
            f"the handler of {task_type!r} cannot run in another process ({error}); define it at"
            " the top level of a module",
        ) from error


def mode_of(function: TaskHandler) -> Mode:
    """Return the default mode of a function."""
    target = function
    while isinstance(target, partial):
        target = target.func
    if not inspect.isroutine(target) and not isinstance(target, type):
        target = type(target).__call__
    if not inspect.iscoroutinefunction(target):
        return Mode.THREAD
    code = getattr(target, "__code__", None)
    if isinstance(code, CodeType) and not _suspends(code):
        return Mode.INLINE
    return Mode.TASK


@lru_cache(maxsize=1024)
def _suspends(code: CodeType) -> bool:
    return any(instruction.opname in _SUSPENDING for instruction in dis.get_instructions(code))


def _takes(task_type: str, function: TaskHandler) -> int:
    """Return the number of arguments of (input, context) that a handler takes."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return 1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    count = sum(parameter.kind in positional for parameter in parameters)
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        count = 2
    required = sum(
        parameter.kind in positional and parameter.default is inspect.Parameter.empty
        for parameter in parameters
    )
    if required > 2:
        raise Invalid(
            "REQUEST_INVALID",
            f"the handler of {task_type!r} needs {required} arguments; it is called with"
            " (input) or (input, context)",
        )
    return min(count, 2)
