"""What a user gave as a task handler, and how it is to be called.

A coroutine function without any `await` cannot suspend, so it is run on the spot; any other
one gets an asyncio task of its own; a plain function runs in a thread. One that works on the CPU
can be given a process instead.
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
"""Where calls of a handler run: as its kind asks for, or in processes of their own."""

# What every await, async for and async with compiles to.
_SUSPENDING = frozenset(("SEND", "YIELD_VALUE", "GET_AWAITABLE", "GET_ANEXT"))


class Mode(Enum):
    """Where a handler runs."""

    INLINE = "inline"
    TASK = "task"
    THREAD = "thread"
    PROCESS = "process"
    DURABLE = "durable"


@dataclass(frozen=True, slots=True)
class Handler:
    """A handler with everything that is looked up once."""

    function: TaskHandler
    mode: Mode
    takes: int


def handler_of(task_type: str, function: TaskHandler, pool: Pool = "") -> Handler:
    """Raises Invalid when `function` cannot be called with one or two values, or not there."""
    if not callable(function):
        raise Invalid("REQUEST_INVALID", f"the handler of {task_type!r} is not callable")
    takes = _takes(task_type, function)
    if pool not in ("", "process"):
        raise Invalid("REQUEST_INVALID", f"the pool of {task_type!r} is process, not {pool!r}")
    if not pool:
        return Handler(function, mode_of(function), takes)
    _check_portable(task_type, function)
    return Handler(function, Mode.PROCESS, takes)


def durable_handler_of(task_type: str, function: TaskHandler) -> Handler:
    """Raises Invalid unless `function` is `async def handler(ctx, input)`."""
    if not inspect.iscoroutinefunction(function) or _takes(task_type, function) != 2:
        message = f"the durable handler of {task_type!r} is to be `async def handler(ctx, input)`"
        raise Invalid("REQUEST_INVALID", message)
    return Handler(function, Mode.DURABLE, 2)


def _check_portable(task_type: str, function: TaskHandler) -> None:
    """Another process finds a function by the name of its module and its own."""
    try:
        pickle.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise Invalid(
            "REQUEST_INVALID",
            f"the handler of {task_type!r} cannot run in another process ({error}); define it at"
            " the top level of a module",
        ) from error


def mode_of(function: TaskHandler) -> Mode:
    """How a function is to be called where nothing is said of that."""
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
    """How many of (input, context) it wants."""
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
