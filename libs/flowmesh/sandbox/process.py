"""One child process of the sandbox: start it, run a call in it, kill it."""

import asyncio
import contextlib
import signal
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from flowmesh.sandbox.child import ANSWER_BYTES_MAX, CPU_TIME_MS_MAX, PIPELINE_BYTES_MAX

EXIT_SECONDS_MAX = 1.0
CHILD = Path(__file__).with_name("child.py")

Language = Literal[
    "javascript", "jq", "jmespath", "jsonata", "python", "condition", "pipeline", "saml"
]
_INTERPRETERS: dict[Language, str] = {
    "javascript": "_quickjs",
    "jq": "jq",
    "jmespath": "jmespath",
    "jsonata": "jsonata",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a child; variables and `subject` are JSON.

    The subject is the argument of the language: proxied steps for JavaScript, else the value.
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


@dataclass(frozen=True, slots=True)
class Answer:
    """The response of a child, and the CPU time of the call."""

    status: bytes
    text: bytes = b""
    cpu_ms: int = 0


class ChildGone(Exception):
    """The process ended before it responded, in its run of this number.

    `cpu_ms` is above 0 if it exceeded its CPU time.
    """

    def __init__(self, runs: int, cpu_ms: int = 0) -> None:
        super().__init__()
        self.runs = runs
        self.cpu_ms = cpu_ms


class Child:
    """A running child; `runs` counts its calls, and the pool sets `idle_since`."""

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

    async def run(self, call: Call) -> Answer:
        """Return the response. Raises ChildGone."""
        self.runs += 1
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        try:
            async with self._reading:
                requests.write(call.frame())
                await requests.drain()
                length, cpu_ms = struct.unpack(">II", await answers.readexactly(8))
                if not 1 <= length <= _answer_bytes_max(self.language) + 1:
                    raise ChildGone(self.runs)
                text = await answers.readexactly(length)
                return Answer(text[:1], text[1:], cpu_ms)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            self._gone = True
            raise ChildGone(self.runs, await self._exceeded_cpu_ms()) from error

    async def _exceeded_cpu_ms(self) -> int:
        """Return the CPU time that the process used up, or 0 if it ended for another reason."""
        await self._exit()
        ended_by_timer = self._process.returncode == -getattr(signal, "SIGPROF", 0)
        return CPU_TIME_MS_MAX.get(self.language, 0) if ended_by_timer else 0

    async def _exit(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXIT_SECONDS_MAX):
                await self._process.wait()

    async def kill(self) -> None:
        """Kill the process and wait for its end.

        If it has closed its pipes, wait before the kill, so that asyncio reaps it and no signal
        is sent to an ended process.
        """
        if self._gone:
            await self._exit()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        # asyncio notices the end of a process only after its output is read to the end.
        answers = self._process.stdout
        assert answers is not None
        async with self._reading:
            await answers.read()
        await self._process.wait()


def _answer_bytes_max(language: Language) -> int:
    return PIPELINE_BYTES_MAX if language == "pipeline" else ANSWER_BYTES_MAX


def command(language: Language) -> Sequence[str]:
    """Return the command line of a child, which gets no environment."""
    if language in ("condition", "pipeline", "saml"):
        # These children import the installed packages.
        return (sys.executable, "-I", str(CHILD), language, str(CHILD.parent))
    if language == "python":
        return (sys.executable, "-I", "-S", str(CHILD), language, str(CHILD.parent))
    name = _INTERPRETERS[language]
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{language} needs the module {name}", name=name)
    # The import path of the child: the folder of the extension module or package.
    folder = str(Path(spec.origin).parents[1 if spec.submodule_search_locations else 0])
    return (sys.executable, "-I", "-S", str(CHILD), language, folder)
