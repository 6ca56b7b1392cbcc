"""Handlers that work on the CPU, at the top level of a module so that a process can import them."""

import os
from typing import Any

from flowmesh.sdk import task


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
