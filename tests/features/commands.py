"""The command as a process of its own, against a running suite."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from flowmesh.testing.suite import Suite

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
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(("-c", program) if program else ()),
        "-m",
        "flowmesh.suite",
        *tokens,
        *(("--address", suite.grpc_address) if addressed else ()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )
    out, err = await asyncio.wait_for(process.communicate(stdin.encode()), COMMAND_TIMEOUT_S)
    assert process.returncode is not None
    return Outcome(process.returncode, out.decode(), err.decode())
