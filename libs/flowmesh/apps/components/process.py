"""One process of a component: start it, call it, answer its requests, end it."""

import asyncio
import contextlib
import struct
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from flowmesh.apps.components.contract import Contract, ContractInvalid, read_contract
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.sandbox import process as sandbox

Ask = Callable[[str, Mapping[str, Json]], Awaitable[Json]]
"""Does what a component asks for. Raises HttpProblem."""

CHILD = Path(__file__).with_name("child.py")
CONFINEMENT = Path(sandbox.__file__).parent
START_S = 20.0
FRAME_BYTES_MAX = 4 * 1024 * 1024
PRINTED_BYTES_MAX = 64 * 1024
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a process; memory is in addition to the needs of Python itself."""

    memory_bytes: int = 128 * MIB
    cpu_s: int = 3_600
    timeout_s: float = 30.0


class Gone(Exception):
    """The process ended before it answered."""


class ComponentProcess:
    """A running source. Calls are answered in order; a late one ends the process."""

    def __init__(self, process: asyncio.subprocess.Process, ask: Ask, limits: Limits) -> None:
        self._process = process
        self._ask = ask
        self._limits = limits
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._number = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.printed = bytearray()
        self.contract = Contract()
        self.has_health = False
        self.ended = asyncio.Event()

    @classmethod
    async def start(
        cls, source: str, config: Mapping[str, Json], limits: Limits, ask: Ask
    ) -> "ComponentProcess":
        """Start a process with a source. Raises Invalid for a source that does not load."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(CHILD), str(CONFINEMENT), str(limits.cpu_s)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={},
        )
        made = cls(process, ask, limits)
        try:
            async with asyncio.timeout(START_S):
                await made._load(source, config)
        except TimeoutError:
            await made.kill()
            text = f"the component did not load within {START_S:g} s"
            raise Invalid("COMPONENT_INVALID", text) from None
        except BaseException:
            await made.kill()
            raise
        made._tasks.append(asyncio.create_task(made._read()))
        return made

    async def call(self, kind: str, params: Json) -> Json:
        """Run a call. Raises HttpProblem; after a late one the process is gone."""
        if self.ended.is_set():
            raise Gone
        self._number += 1
        number = self._number
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            await self._write({"id": number, "call": kind, "params": params})
            async with asyncio.timeout(self._limits.timeout_s):
                return await future
        except TimeoutError:
            await self.kill()
            text = f"the component did not answer within {self._limits.timeout_s:g} s"
            raise HttpProblem(504, "COMPONENT_LATE", text) from None
        except (ConnectionError, OSError):
            raise Gone from None
        finally:
            self._waiting.pop(number, None)

    async def drain(self, timeout_s: float) -> None:
        """Let running calls end, then end the process."""
        waiting = list(self._waiting.values())
        if waiting:
            await asyncio.wait(waiting, timeout=timeout_s)
        await self.kill()

    async def kill(self) -> None:
        self._end(HttpProblem(502, "COMPONENT_GONE", "the process of the component was ended"))
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        await self._process.wait()

    def takes_printed(self) -> str:
        """Return the text that was printed since the last look."""
        text = bytes(self.printed).decode("utf-8", "replace").strip()
        self.printed.clear()
        return text

    async def _load(self, source: str, config: Mapping[str, Json]) -> None:
        self._tasks.append(asyncio.create_task(self._print()))
        await self._write(
            {"source": source, "config": config, "memory_bytes": self._limits.memory_bytes}
        )
        while True:
            frame = await self._frame()
            if "ask" in frame:
                await self._answer(frame)
                continue
            break
        if "ready" not in frame:
            name, said = frame.get("error") or ("Error", "")
            raise Invalid("COMPONENT_INVALID", f"the source does not load: {name}: {said}")
        ready = frame["ready"]
        try:
            self.contract = read_contract(ready.get("contract"))
        except ContractInvalid as error:
            raise Invalid("COMPONENT_INVALID", str(error)) from None
        self.has_health = ready.get("health") is True

    async def _write(self, frame: Json) -> None:
        body = orjson.dumps(frame)
        if len(body) > FRAME_BYTES_MAX:
            text = f"the input of a component has at most {FRAME_BYTES_MAX} bytes"
            raise HttpProblem(413, "COMPONENT_INPUT_TOO_LARGE", text)
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(struct.pack(">I", len(body)) + body)
        await stdin.drain()

    async def _frame(self) -> dict[str, Json]:
        """Read a frame, which the code of the component may have forged. Raises Invalid."""
        stdout = self._process.stdout
        assert stdout is not None
        try:
            length = struct.unpack(">I", await stdout.readexactly(4))[0]
            if length > FRAME_BYTES_MAX:
                text = f"the output of a component has at most {FRAME_BYTES_MAX} bytes"
                raise Invalid("COMPONENT_INVALID", text)
            found = orjson.loads(await stdout.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Invalid("COMPONENT_INVALID", "the component ended its process") from None
        except orjson.JSONDecodeError:
            raise Invalid("COMPONENT_INVALID", "the component answered no JSON") from None
        if not isinstance(found, dict):
            raise Invalid("COMPONENT_INVALID", "the component answered no frame")
        return found

    async def _read(self) -> None:
        """Take answers and requests until the process ends."""
        try:
            while True:
                frame = await self._frame()
                if "ask" in frame:
                    await self._answer(frame)
                    continue
                future = self._waiting.get(frame.get("id"))  # type: ignore[arg-type]
                if future is None or future.done():
                    continue
                if "error" in frame:
                    name, said = (*map(str, frame["error"]), "")[:2]
                    status = 507 if name == "MemoryError" else 502
                    problem = HttpProblem(status, "COMPONENT_FAILED", f"{name}: {said}")
                    future.set_exception(problem)
                else:
                    future.set_result(frame.get("value"))
        except Exception as error:  # noqa: BLE001 - its output is not used again
            text = getattr(error, "message", str(error))
            self._end(HttpProblem(502, "COMPONENT_GONE", text))
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _answer(self, frame: Mapping[str, Json]) -> None:
        values = frame.get("values")
        answer: dict[str, Json] = {"answer": None}
        try:
            answer["answer"] = await self._ask(
                str(frame["ask"]), values if isinstance(values, dict) else {}
            )
        except HttpProblem as error:
            answer["error"] = error.detail
        except Exception as error:  # noqa: BLE001 - the component gets the class only
            answer["error"] = type(error).__name__
        await self._write(answer)

    async def _print(self) -> None:
        """Keep the first printed bytes between two looks; the rest is read and dropped."""
        stderr = self._process.stderr
        assert stderr is not None
        while data := await stderr.read(64 * 1024):
            room = PRINTED_BYTES_MAX - len(self.printed)
            self.printed += data[: max(0, room)]

    def _end(self, problem: HttpProblem) -> None:
        self.ended.set()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(problem)
