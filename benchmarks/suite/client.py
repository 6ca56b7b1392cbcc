"""The load generator of the suite, a separate process."""

import sys

import uvloop

from benchmarks.answering import answer
from benchmarks.suite.extremes import ExtremeLoad
from flowmesh.sdk import Client


async def main(address: str) -> None:
    async with Client(address) as client:
        load = ExtremeLoad(address, client)
        try:
            await answer(load.handlers())
        finally:
            await load.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
