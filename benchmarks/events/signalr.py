"""From the commit of an event to 500 clients of the SignalR hub.

`.venv/bin/python -m benchmarks.events.signalr [--clients 500] [--rounds 3]`: each client watches an
execution of its own, which are signaled one after the other; then all watch the same one.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from benchmarks.events.common import PATIENCE_S, medians, percentiles, show
from benchmarks.load import Metrics
from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from tests.features.natives import applied, workflow

END = "\x1e"
PACE_S = 0.01
AT_ONCE = 20
T = TypeVar("T")


class Watcher:
    """A connection that notes the age of each event that it receives."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.ages: list[float] = []

    async def subscribe(self, execution: str) -> None:
        """Subscribe to the events from now on."""
        record = {"type": 1, "invocationId": "1", "target": "Subscribe", "arguments": [execution]}
        await self._socket.send_str(json.dumps(record) + END)
        while not any(each.get("type") == 3 for each in await self._records()):
            pass

    async def until_end(self) -> None:
        """Note the events up to the end of the execution."""
        while True:
            found = await self._records()
            now = time.time()
            for each in found:
                if each.get("type") != 1:
                    continue
                event = each["arguments"][0]
                self.ages.append(now - datetime.fromisoformat(event["timestamp"]).timestamp())
                if each["target"] == "WorkflowCompleted":
                    return

    async def _records(self) -> list[dict[str, Any]]:
        async with asyncio.timeout(PATIENCE_S):
            text = await self._socket.receive_str()
        return [json.loads(each) for each in text.split(END) if each]


async def at_once(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results of calls, of which some run at the same time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def gated(call: Coroutine[Any, Any, T]) -> T:
        async with gate:
            return await call

    return list(await asyncio.gather(*(gated(call) for call in calls)))


async def connect(stack: AsyncExitStack, session: aiohttp.ClientSession, url: str) -> Watcher:
    socket = await stack.enter_async_context(session.ws_connect(url))
    await socket.send_str('{"protocol":"json","version":1}' + END)
    await socket.receive_str()
    return Watcher(socket)


async def measure(suite: Suite, client: Client, count: int, *, shared: bool) -> dict[str, float]:
    """Return the ages of the events after a signal at its subscribers."""
    number = 1 if shared else count
    handles = await at_once(client.start("waits", {}) for _ in range(number))
    async with (
        AsyncExitStack() as stack,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        url = f"{suite.http_url}/hubs/executions"
        watchers = await at_once(connect(stack, session, url) for _ in range(count))
        pairs = zip(watchers, handles * count if shared else handles, strict=False)
        await at_once(watcher.subscribe(handle.id) for watcher, handle in pairs)
        watching = [asyncio.create_task(each.until_end()) for each in watchers]
        await asyncio.sleep(1)
        for watcher in watchers:
            watcher.ages.clear()
        for handle in handles:
            await handle.signal("go")
            await asyncio.sleep(PACE_S)
        await asyncio.gather(*watching)
    ages = [age for watcher in watchers for age in watcher.ages]
    name = "shared" if shared else "own"
    return {f"{name}_events": len(ages), **percentiles(ages, name)}


async def main(count: int, rounds: int) -> Metrics:
    """Print the figures of each round, and return their medians."""
    found: list[Metrics] = []
    with tempfile.TemporaryDirectory() as folder:
        async with Suite(Path(folder) / "data") as suite, Client(suite.grpc_address) as client:
            await applied(suite, workflow("waits", {"id": "wait", "wait": {"event": "go"}}))
            for _ in range(rounds):
                figures = await measure(suite, client, count, shared=False)
                found.append(figures | await measure(suite, client, count, shared=True))
                show(found[-1])
    return medians(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(main(given.clients, given.rounds))
