"""Handlers that another process can import; they work on the CPU, or pretend to."""

import asyncio
import multiprocessing
import os
import signal
import sys
from typing import Any

from flowmesh.sdk import TaskContext, TaskFailure, task


@task("square", pool="process")
def square(value: int) -> dict[str, int]:
    return {"square": value * value, "pid": os.getpid()}


async def square_later(value: int) -> dict[str, int]:
    await asyncio.sleep(0)
    return square(value)


def look(value: Any, context: TaskContext) -> list[Any]:
    context.heartbeat({"at": "half"})
    return [context.attempt, context.execution_id, context.config, (context.remaining_s or 0) > 0]


def half_a_character(value: Any) -> list[Any]:
    return [value, "\ud800"]


def endless(value: Any) -> None:
    while True:
        value = hash(value)


def limited(value: Any) -> None:
    raise TaskFailure("RateLimitError", "slow down", 1500)


def dies(how: str) -> None:
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "leave":
        os._exit(3)
    sys.exit(4)


def raises(name: str) -> None:
    raise {"GeneratorExit": GeneratorExit, "KeyboardInterrupt": KeyboardInterrupt}[name]


def large(value: int) -> str:
    return "x" * value


def lost(value: Any) -> Any:
    return value


if multiprocessing.parent_process() is not None:
    # As where the other process finds another module than the worker.
    del lost
