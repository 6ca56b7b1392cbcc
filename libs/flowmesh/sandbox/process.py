"""One child process: start it, hand it a call, kill it. It knows nothing of pools."""

import asyncio
import contextlib
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from flowmesh.sandbox.child import ANSWER_BYTES_MAX

EXIT_SECONDS_MAX = 1.0
CHILD = Path(__file__).with_name("child.py")

Language = Literal["javascript", "jq", "jmespath", "jsonata", "python", "condition"]
_INTERPRETERS: dict[Language, str] = {
    "javascript": "_quickjs",
    "jq": "jq",
    "jmespath": "jmespath",
    "jsonata": "jsonata",
}


@dataclass(frozen=True, slots=True)
class Call:
    """What a child is asked to run; variables and `subject` are JSON.

    The subject is what the language adds: JavaScript's proxied steps, the others' value.
    """

    language: Language
    code: bytes
    variables: bytes
    subject: bytes
    timeout_ms: int

    def frame(self) -> bytes:
        parts = [struct.pack(">I", self.timeout_ms)]
        for text in (self.code, self.variables, self.subject):
            parts += [struct.pack(">I", len(text)), text]
        return b"".join(parts)


class ChildGone(Exception):
    """The process ended before it answered, in the run of this number."""

    def __init__(self, runs: int) -> None:
        super().__init__()
        self.runs = runs


class Child:
    """A running child; `runs` counts its calls, `idle_since` is the pool's to set."""

    def __init__(self, language: Language, process: asyncio.subprocess.Process) -> None:
        self.language = language
        self._process = process
        self._gone = False
        self._reading = asyncio.Lock()
        self.runs = 0
        self.idle_since = 0.0

    @classmethod
    async def start(cls, language: Language) -> "Child":
        process = await asyncio.create_subprocess_exec(
            *command(language),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
        )
        return cls(language, process)

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
            async with self._reading:
                requests.write(call.frame())
                await requests.drain()
                length = struct.unpack(">I", await answers.readexactly(4))[0]
                if not 1 <= length <= ANSWER_BYTES_MAX + 1:
                    raise ChildGone(self.runs)
                return await answers.readexactly(length)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            self._gone = True
            raise ChildGone(self.runs) from error

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
        # Of a process whose answer nobody reads to its end, asyncio never sees the end.
        answers = self._process.stdout
        assert answers is not None
        async with self._reading:
            await answers.read()
        await self._process.wait()


def command(language: Language) -> Sequence[str]:
    """What starts a child; it gets no environment."""
    if language == "condition":
        # It runs what is installed beside this.
        return (sys.executable, "-I", str(CHILD), language, str(CHILD.parent))
    if language == "python":
        return (sys.executable, "-I", "-S", str(CHILD), language, str(CHILD.parent))
    name = _INTERPRETERS[language]
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{language} needs the module {name}", name=name)
    # What the child finds there: an extension module by itself, a package by its folder.
    folder = str(Path(spec.origin).parents[1 if spec.submodule_search_locations else 0])
    return (sys.executable, "-I", "-S", str(CHILD), language, folder)
