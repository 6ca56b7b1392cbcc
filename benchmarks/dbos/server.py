"""The PostgreSQL that DBOS uses: the same one, with the same settings, as the suite's."""

import asyncio
import signal
import sys

import uvloop

from benchmarks.answering import say_ready
from flowmesh.embedded import EmbeddedServers


async def main(data_dir: str) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with EmbeddedServers(data_dir, only=("postgres",)) as servers:
        say_ready(servers.postgres)
        await stopped.wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
