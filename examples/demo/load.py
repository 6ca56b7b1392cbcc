"""The callers: most over one gRPC session, some with curl, all with request ids.

While the suite is down they retry with the same request id, as any careful caller does.
"""

import asyncio
import json
import shutil
from collections.abc import Sequence
from typing import Any, Final

from examples.demo.progress import Board, Run
from examples.demo.workflows import Order, Source
from flowmesh.errors import Overloaded, Timeout, Unavailable
from flowmesh.sdk import Client, ExecutionFailed, Session, SessionCall

# The retry interval and total time of a caller, longer than any outage of the demo.
AGAIN_S: Final = 0.3
PATIENCE_S: Final = 120.0
CURL_TIMEOUT_S: Final = 10
# The maximum of unacknowledged callers; further ones wait.
WAITING_MAX: Final = 32
AWAY: Final = (Unavailable, Overloaded, Timeout)


class CurlFailed(Exception):
    """curl did not receive the documented response."""


class Curl:
    """The documented curl commands, sent to the gateway."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.commands = 0

    @staticmethod
    def installed() -> bool:
        return shutil.which("curl") is not None

    async def register(self, source: Source) -> str:
        """Register a step-JSON definition."""
        answer = await self._patiently("POST", "/workflows", source.text)
        return str(answer["id"])

    async def start(self, order: Order) -> str:
        """Start an execution and return its id."""
        body = json.dumps({"workflowId": order.workflow_id, "context": order.input})
        answer = await self._patiently(
            "POST", "/executions/start", body, f"Idempotency-Key: {order.request_id}"
        )
        return str(answer["executionId"])

    async def execution(self, execution_id: str) -> dict[str, Any]:
        """Return an execution in its documented form."""
        return await self._patiently("GET", f"/executions/{execution_id}")

    async def _patiently(
        self, method: str, path: str, body: str = "", *headers: str
    ) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                status, answer = await self._once(method, path, body, *headers)
                if 200 <= status < 300:
                    found: dict[str, Any] = json.loads(answer)
                    return found
                if 400 <= status < 500 and status != 429:
                    raise CurlFailed(f"{method} {path}: {status} {answer}")
                await asyncio.sleep(AGAIN_S)

    async def _once(self, method: str, path: str, body: str, *headers: str) -> tuple[int, str]:
        """Run a command; status 0 means that no server responded."""
        argv = ["curl", "-sS", "-X", method, f"{self.url}{path}", "-w", "\n%{http_code}"]
        argv += ["--max-time", str(CURL_TIMEOUT_S)]
        if body:
            argv += ["-H", "Content-Type: application/json", "-d", body]
        for header in headers:
            argv += ["-H", header]
        self.commands += 1
        process = await asyncio.create_subprocess_exec(
            *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        answer, _, status = output.decode().rpartition("\n")
        return int(status or 0), answer


class Load:
    """Starts the orders at a constant rate and waits for every end."""

    def __init__(
        self, *, client: Client, curl: Curl | None, orders: Sequence[Order], board: Board
    ) -> None:
        self._client = client
        self._curl = curl
        self._orders = orders
        self._board = board
        self._waiting = asyncio.Semaphore(WAITING_MAX)

    async def run(self, per_second: float) -> None:
        """Wait until every execution has ended."""
        async with self._client.session() as session, asyncio.TaskGroup() as group:
            for order in self._orders:
                await self._waiting.acquire()
                group.create_task(self._follow(session, self._board.submitted(order)))
                await asyncio.sleep(1 / per_second)

    async def _follow(self, session: Session, run: Run) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                call = await self._acknowledged(session, run)
                await self._ended(session, run, call)
        except TimeoutError:
            self._board.ended(run, "lost", f"no end within {PATIENCE_S:g} s")
        except CurlFailed as failed:
            self._board.ended(run, "lost", str(failed))

    async def _acknowledged(self, session: Session, run: Run) -> SessionCall:
        """Start an execution; it counts as unacknowledged until its start is committed."""
        try:
            while True:
                try:
                    call = await self._start(session, run.order)
                    break
                except AWAY:
                    await asyncio.sleep(AGAIN_S)
        finally:
            self._waiting.release()
        self._board.acknowledged(run, call.execution_id)
        return call

    async def _start(self, session: Session, order: Order) -> SessionCall:
        if order.by_curl and self._curl is not None:
            return session.watch(await self._curl.start(order))
        return await session.start(order.workflow_id, order.input, request_id=order.request_id)

    async def _ended(self, session: Session, run: Run, call: SessionCall) -> None:
        while True:
            try:
                await call.result()
            except ExecutionFailed as failed:
                return self._board.ended(run, failed.status, str(failed.failure or ""))
            except AWAY:
                await asyncio.sleep(AGAIN_S)
                call = session.watch(run.execution_id)
            else:
                return self._board.ended(run, "completed")
