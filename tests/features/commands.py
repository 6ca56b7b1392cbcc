"""The command as a process of its own, against a running suite."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Any

import orjson

from flowmesh.testing.suite import Executing, Launcher, Suite

COMMAND_TIMEOUT_S = 60


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


async def command(
    suite: Suite,
    *tokens: str,
    stdin: str = "",
    addressed: bool = True,
    environment: Mapping[str, str] | None = None,
    program: str = "",
) -> Outcome:
    """`await command(suite, "start", "order")`; `addressed` names the suite by a flag.

    `program` is the text of a program of Python that runs the command.
    """
    address = ("--address", suite.grpc_address) if addressed else ()
    launcher = Executing(sys.executable, "-c", program) if program else None
    words = (*tokens, *address)
    return await outcome(words, stdin=stdin, environment=environment, launcher=launcher)


async def outcome(
    words: Sequence[str],
    *,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
    launcher: Launcher | None = None,
) -> Outcome:
    """Run `flowmesh WORDS` to its end."""
    launcher = launcher or Suite.launcher or Executing(sys.executable)
    with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        process = await launcher.launch(
            words,
            environment={**os.environ, **(environment or {})},
            stdin=given.fileno(),
            stdout=out.fileno(),
            stderr=err.fileno(),
        )
        code = await asyncio.wait_for(process.wait(), COMMAND_TIMEOUT_S)
        return Outcome(code, _text(out), _text(err))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()
