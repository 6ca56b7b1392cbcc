"""A remote worker by the SDK whose steps do nothing, or say when they ended."""

import sys
import time

import uvloop

from benchmarks.answering import until_told
from benchmarks.suite.workflows import NOOP, STAMP
from flowmesh.sdk import Worker

SLOTS = 500


async def noop(params: object) -> object:
    """The answer is as large as the question."""
    return params


async def stamp(_params: object) -> dict[str, int]:
    """When the step ended, on the clock that the subscriber reads too."""
    return {"ended_at_us": time.time_ns() // 1_000}


async def main(address: str) -> None:
    async with Worker(address, {NOOP: noop, STAMP: stamp}, slots=SLOTS):
        await until_told()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
