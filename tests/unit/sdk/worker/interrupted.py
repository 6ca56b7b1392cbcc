"""A worker program that is stopped with Ctrl-C: `interrupted.py ADDRESS HOW`."""

import asyncio
import signal
import sys
from typing import Any

from flowmesh.sdk import Worker

# A shell starts jobs in the background with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
worker = Worker(sys.argv[1])


@worker.task("raises")
async def raises(value: Any) -> None:
    raise KeyboardInterrupt


@worker.task("raises-in-a-thread")
def raises_in_a_thread(value: Any) -> None:
    raise KeyboardInterrupt


@worker.task("spins")
async def spins(value: Any) -> None:
    print("spins", flush=True)
    while True:
        pass


@worker.task("echo")
async def echo(value: Any) -> Any:
    return value


async def beside() -> None:
    async with worker:
        await asyncio.Event().wait()


match sys.argv[2]:
    case "run":
        worker.run()
    case "beside":
        asyncio.run(beside())
    case "bare loop":
        asyncio.new_event_loop().run_until_complete(beside())
