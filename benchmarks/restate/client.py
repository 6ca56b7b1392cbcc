"""The load generator of Restate: HTTP calls of its ingress over persistent connections."""

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp
import uvloop

from benchmarks.answering import Handlers, answer
from benchmarks.peer import PeerLoad
from benchmarks.workloads import PAYLOAD, STEPS_W5

TIMEOUT_S = 120.0
AGAIN_S = 0.02
"""The delay between attempts to reach a starting server."""


class RestateLoad(PeerLoad):
    """Makes HTTP calls that wait for the result."""

    def __init__(self, ingress: str, session: aiohttp.ClientSession) -> None:
        self._ingress = ingress
        self._session = session
        self._recovering: list[str] = []

    async def run(self, flow: str, size: int) -> None:
        """Start a workflow and wait for its result in one call."""
        value = await self._post(f"flows/{flow}", {"size": size, "value": PAYLOAD})
        if value != PAYLOAD:
            raise AssertionError(f"{flow} answered {value}")

    async def _post(self, path: str, body: Any) -> Any:
        async with self._session.post(f"{self._ingress}/{path}", json=body) as answered:
            answered.raise_for_status()
            return json.loads(await answered.read())

    async def w5(self, count: int) -> int:
        """Start all workflows; `w5_end` waits for their end."""
        body = {"size": STEPS_W5, "value": PAYLOAD}
        sent = await asyncio.gather(
            *(self._post("flows/recorded/send", body) for _ in range(count))
        )
        self._recovering = [one["invocationId"] for one in sent]
        return len(self._recovering)

    async def w5_end(self, within_s: float) -> dict[str, float]:
        """Return the time of the last result and the number of lost ones."""
        until = time.monotonic() + within_s
        came = await asyncio.gather(*(self._attached(one, until) for one in self._recovering))
        return {"last_at": time.monotonic(), "lost": came.count(False)}

    async def _attached(self, invocation: str, until: float) -> bool:
        url = f"{self._ingress}/restate/invocation/{invocation}/attach"
        while time.monotonic() < until:
            try:
                async with self._session.get(url) as answered:
                    if answered.status == 200:
                        return bool(json.loads(await answered.read()) == PAYLOAD)
            except aiohttp.ClientError:
                pass  # the server is starting
            await asyncio.sleep(AGAIN_S)
        return False

    def handlers(self) -> Handlers:
        return {**super().handlers(), "W5": self.w5, "W5-end": self.w5_end}


async def main(ingress: str) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        await answer(RestateLoad(ingress, session).handlers())


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
