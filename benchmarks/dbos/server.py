"""The PostgreSQL of DBOS, with the version and settings of the suite."""

import asyncio
import signal
import sys

import uvloop

from benchmarks.answering import report_ready
from flowmesh.embedded import EmbeddedServers


async def main(data_dir: str) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with EmbeddedServers(data_dir, only=("postgres",)) as servers:
        report_ready(servers.postgres)
        await stopped.wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
