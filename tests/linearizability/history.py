"""Histories of calls with their times, and the checker that reads them."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from flowmesh.errors import FlowmeshError, WrongState

CHECKER = Path(__file__).parent / "checker"
BUILD_S, CHECK_S = 300, 200


@dataclass(slots=True)
class Operation:
    """One call of a client; the fields are those that checker/main.go reads."""

    model: str
    key: str
    client: int
    op: str
    value: str = ""
    expected: int = 0
    capacity: int = 0
    outcome: str = "unknown"
    seen: list[str] = field(default_factory=list)
    call: int = 0
    # 0 if the response never came.
    returned: int = 0

    def line(self) -> str:
        """Return the JSON that the checker reads."""
        fields = asdict(self)
        fields["return"] = fields.pop("returned")
        return json.dumps(fields)


class History:
    """The operations of all clients of a run."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    async def call(
        self,
        operation: Operation,
        made: Callable[[Operation], Awaitable[str]],
        *,
        refusals: dict[str, str] | None = None,
        within_s: float,
    ) -> str:
        """Make a call and note its outcome: `unknown` after a failure or `within_s` seconds.

        `made` returns the outcome; `refusals` are outcomes by the reason of an error.
        """
        self.operations.append(operation)
        operation.call = time.monotonic_ns()
        try:
            async with asyncio.timeout(within_s):
                operation.outcome = await made(operation)
        except WrongState as error:
            operation.outcome = (refusals or {})[error.reason]
        except (FlowmeshError, TimeoutError):
            return operation.outcome
        operation.returned = time.monotonic_ns()
        return operation.outcome

    def of(self, model: str) -> list[Operation]:
        return [each for each in self.operations if each.model == model]

    def text(self) -> str:
        return "".join(f"{each.line()}\n" for each in self.operations)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The exit code of the checker: 0 linearizable, 1 not, 2 wrong input; and its output."""

    code: int
    printed: str


def build(folder: Path) -> Path:
    """Compile the checker and return the path of the program."""
    program = folder / "checker"
    subprocess.run(
        ("go", "build", "-o", str(program), "."),
        cwd=CHECKER,
        env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"},
        check=True,
        timeout=BUILD_S,
    )
    return program


def check(program: Path, text: str) -> Verdict:
    """Check a history in JSON lines."""
    done = subprocess.run(
        (str(program),), input=text, capture_output=True, text=True, check=False, timeout=CHECK_S
    )
    return Verdict(done.returncode, done.stdout + done.stderr)
