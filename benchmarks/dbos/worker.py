"""An application of DBOS: its workflows are started over a socket, a JSON object per line.

It runs in the environment of the peers and imports nothing of the suite. The mode decides where a
workflow and its steps run: in the called process ("inline"), from a queue ("enqueued"), or in the
called process with every step on a queue ("queued-steps").
"""

import asyncio
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import psycopg
import uvloop
from dbos import DBOS, DBOSConfig

from benchmarks.answering import answer
from benchmarks.workloads import IN_FLIGHT, RECORDED_MS

POOL_SIZE = 20
THREADS = 8
"""Workflows that only compute are fastest with few threads, which compete for the interpreter."""
QUEUE = "bench"
CONNECT_WITHIN_S = 30.0
POLL_S = 0.05
QUEUE_POLL_S = 0.02

mode = sys.argv[2]
runs: Counter[str] = Counter()
guard = threading.Lock()


@DBOS.step()
def noop(value: Any) -> Any:
    return value


@DBOS.step()
async def noop_async(value: Any) -> Any:
    return value


@DBOS.step()
def counted(key: str, value: Any) -> Any:
    with guard:
        runs[key] += 1
    time.sleep(RECORDED_MS / 1_000)
    return value


@DBOS.workflow()
def queued_noop(value: Any) -> Any:
    return value


@DBOS.workflow()
def chain(size: int, value: Any) -> Any:
    for _ in range(size):
        if mode == "queued-steps":
            handle = DBOS.enqueue_workflow(QUEUE, queued_noop, value)
            value = handle.get_result(polling_interval_sec=POLL_S)
        else:
            value = noop(value)
    return value


@DBOS.workflow()
async def fan(size: int, value: Any) -> Any:
    await asyncio.gather(*(noop_async(value) for _ in range(size)))
    return await noop_async(value)


@DBOS.workflow()
def recorded(size: int, value: Any) -> Any:
    for number in range(size):
        value = counted(f"{DBOS.workflow_id}/{number}", value)
    return value


FLOWS: dict[str, Callable[..., Any]] = {"chain": chain, "recorded": recorded}


class Application:
    """Run the workflow of a request line and write a response line."""

    def __init__(self) -> None:
        self._few = ThreadPoolExecutor(THREADS)
        self._many = ThreadPoolExecutor(IN_FLIGHT)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running: set[asyncio.Task[None]] = set()
        while line := await reader.readline():
            task = asyncio.create_task(self._answer(json.loads(line), writer))
            running.add(task)
            task.add_done_callback(running.discard)
        writer.close()

    async def _answer(self, asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        try:
            value = await self._run(asked["flow"], asked["size"], asked["value"])
            answered = {"id": asked["id"], "value": value}
        except Exception as error:  # noqa: BLE001 the response reports the error
            answered = {"id": asked["id"], "error": repr(error)}
        writer.write(json.dumps(answered).encode() + b"\n")

    async def _run(self, name: str, size: int, value: Any) -> Any:
        if name == "fan":
            return await fan(size, value)
        waits = mode != "inline" or name == "recorded"
        threads = self._many if waits else self._few
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads, self._run_sync, FLOWS[name], size, value)

    @staticmethod
    def _run_sync(flow: Callable[..., Any], size: int, value: Any) -> Any:
        if mode == "enqueued":
            handle = DBOS.enqueue_workflow(QUEUE, flow, size, value)
            return handle.get_result(polling_interval_sec=POLL_S)
        return flow(size, value)


def connect(database: str) -> psycopg.Connection[Any]:
    """Make DBOS retry on a missing socket file, which it does not treat as a restarting server."""
    until = time.monotonic() + CONNECT_WITHIN_S
    while True:
        try:
            return psycopg.connect(database)
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(POLL_S)


async def repeated() -> int:
    """Return and reset the number of repeated step runs."""
    with guard:
        total = runs.total() - len(runs)
        runs.clear()
    return total


async def main(database: str, port: str) -> None:
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": database,
        "sys_db_pool_size": POOL_SIZE,
        "db_engine_kwargs": {"creator": partial(connect, database)},
        "max_executor_threads": THREADS,
        "application_version": "1",
        "run_admin_server": False,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    if mode != "inline":
        await DBOS.register_queue_async(QUEUE, polling_interval_sec=QUEUE_POLL_S)
    server = await asyncio.start_server(Application().serve, "127.0.0.1", int(port))
    await answer({"repeated": repeated})
    server.close()
    DBOS.destroy()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[3]))
