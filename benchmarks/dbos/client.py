"""The load generator of DBOS: one connection to its application, a JSON object per line."""

import asyncio
import itertools
import json
import sys
import time
from typing import Any

import uvloop

from benchmarks.answering import LINE_BYTES_MAX, Handlers, answer
from benchmarks.peer import PeerLoad
from benchmarks.workloads import PAYLOAD, STEPS_W5


class DbosLoad(PeerLoad):
    """Sends lines whose responses arrive at the end of the workflow."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count()
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._recovering: list[asyncio.Task[None]] = []

    async def read(self) -> None:
        while line := await self._reader.readline():
            answered = json.loads(line)
            self._asked.pop(answered["id"]).set_result(answered)

    async def run(self, flow: str, size: int) -> None:
        number = next(self._ids)
        done = self._asked[number] = asyncio.get_running_loop().create_future()
        asked = {"id": number, "flow": flow, "size": size, "value": PAYLOAD}
        self._writer.write(json.dumps(asked).encode() + b"\n")
        answered = await done
        if answered.get("value") != PAYLOAD:
            raise AssertionError(f"{flow} answered {answered}")

    async def w5(self, count: int) -> int:
        """Start all workflows; `w5_end` waits for their end."""
        self._recovering = [
            asyncio.create_task(self.run("recorded", STEPS_W5)) for _ in range(count)
        ]
        return count

    async def w5_end(self, within_s: float) -> dict[str, float]:
        """Return the time of the last result and the number of lost ones."""
        _, pending = await asyncio.wait(self._recovering, timeout=within_s)
        failed = sum(1 for one in self._recovering if one.done() and one.exception())
        return {"last_at": time.monotonic(), "lost": len(pending) + failed}

    def handlers(self) -> Handlers:
        return {**super().handlers(), "W5": self.w5, "W5-end": self.w5_end}


async def main(port: str) -> None:
    load = DbosLoad(*await asyncio.open_connection("127.0.0.1", int(port), limit=LINE_BYTES_MAX))
    reading = asyncio.create_task(load.read())
    await answer(load.handlers())
    reading.cancel()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
