"""The driver of one language as a child process: commands in, answers out."""

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from flowmesh.contract.json_value import Json

ANSWER_TIMEOUT_S = 90.0
ROOT = Path(__file__).resolve().parents[2]
EXIT_TIMEOUT_S = 10.0
LINE_BYTES_MAX = 64 * 1024 * 1024


class DriverFailed(Exception):
    """An answer with an error, or a driver that ended or does not answer."""

    def __init__(self, verb: str, error: Json) -> None:
        super().__init__(f"{verb}: {json.dumps(error)[:1000]}")
        self.error = error


class Driver:
    """Sends commands and matches answers by id; an async context manager."""

    def __init__(self, argv: list[str], *, log: Path) -> None:
        self._argv = argv
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._last_id = 0

    async def __aenter__(self) -> Self:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("FLOWMESH_")}
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=environment,
                limit=LINE_BYTES_MAX,
                cwd=ROOT,
            )
        self._reader = asyncio.create_task(self._read(self._process))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.exit_code()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def exit_code(self) -> int:
        """End the input of the driver and return its exit code; -9 if it had to be killed."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        with suppress(ConnectionError):
            process.stdin.close()
        try:
            async with asyncio.timeout(EXIT_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
        code = await process.wait()
        if self._reader is not None:
            await self._reader
        return code

    async def ask(self, verb: str, *, timeout_s: float = ANSWER_TIMEOUT_S, **members: Json) -> Json:
        """Return the value of a command; raise DriverFailed with its error."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        self._last_id += 1
        number = self._last_id
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        line = json.dumps({"id": number, "verb": verb, **members}, ensure_ascii=False)
        try:
            process.stdin.write(line.encode("utf-8", "surrogatepass") + b"\n")
            async with asyncio.timeout(timeout_s):
                await process.stdin.drain()
                found = await answer
        except TimeoutError:
            raise DriverFailed(verb, f"no answer within {timeout_s:g} s") from None
        except ConnectionError:
            raise DriverFailed(verb, "the driver has ended") from None
        finally:
            self._waiting.pop(number, None)
        if "error" in found:
            raise DriverFailed(verb, found["error"])
        return found.get("value")

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            answer = json.loads(line)
            waiting = self._waiting.get(answer.get("id"))
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result({"error": f"the driver has ended; its log is {self._log}"})
