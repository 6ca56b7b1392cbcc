"""One child process: start it, hand it a call, kill it. It knows nothing of pools."""

import asyncio
import contextlib
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from flowmesh.sandbox.child import RESULT_BYTES_MAX

EXIT_SECONDS_MAX = 1.0
CHILD = Path(__file__).with_name("child.py")


@dataclass(frozen=True, slots=True)
class Call:
    """What a child is asked to run; variables and steps are JSON."""

    code: bytes
    variables: bytes
    steps: bytes
    timeout_ms: int

    def frame(self) -> bytes:
        parts = [struct.pack(">I", self.timeout_ms)]
        for text in (self.code, self.variables, self.steps):
            parts += [struct.pack(">I", len(text)), text]
        return b"".join(parts)


class ChildGone(Exception):
    """The process ended before it answered."""


class Child:
    """A running child; `runs` counts its calls, `idle_since` is the pool's to set."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._gone = False
        self.runs = 0
        self.idle_since = 0.0

    @classmethod
    async def start(cls) -> "Child":
        command: Sequence[str] = (sys.executable, "-I", "-S", str(CHILD), _quickjs_folder())
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
        )
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def run(self, call: Call) -> bytes:
        """The answer's status byte and text; raises ChildGone."""
        self.runs += 1
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        try:
            requests.write(call.frame())
            await requests.drain()
            length = struct.unpack(">I", await answers.readexactly(4))[0]
            if not 1 <= length <= RESULT_BYTES_MAX + 1:
                raise ConnectionError
            return await answers.readexactly(length)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            self._gone = True
            raise ChildGone from error

    async def kill(self) -> None:
        """Ends the process at once and waits until it is gone.

        One that closed its pipes is waited for first: asyncio's watcher, not a signal sent to a
        process that is no more, should be the one to reap it.
        """
        if self._gone:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EXIT_SECONDS_MAX):
                    await self._process.wait()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


def _quickjs_folder() -> str:
    spec = find_spec("_quickjs")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("JavaScript needs quickjs-ng: install flowmesh[sandbox]")
    return str(Path(spec.origin).parent)
