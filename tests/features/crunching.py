"""Handlers that work on the CPU, at the top level of a module so that a process can import them."""

import os
from typing import Any

from flowmesh.sdk import TaskContext, task


@task("count-primes", pool="process")
def count_primes(below: int) -> dict[str, int]:
    found = sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, below))
    return {"primes": found, "pid": os.getpid()}


@task("never-ends", pool="process")
def never_ends(value: Any) -> None:
    while True:
        value = hash(value)


@task("is-killed", pool="process")
def is_killed(value: Any) -> None:
    """Ends as the kernel ends a process that takes all memory."""
    os.kill(os.getpid(), 9)


def notes(value: Any, context: TaskContext) -> int:
    """Logs and counts before it answers, or fails."""
    context.log("working", n=value["n"])
    context.metric("items", 2)
    context.metric("items", 3)
    return 6 // int(value["n"])
