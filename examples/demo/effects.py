"""The append-only file in which the world notes every call: what was done, for whom, how often."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

APPLIED = "applied"
# The key was known: the first answer was given again, nothing was done.
REPEATED = "repeated"
REFUSED = "refused"
# Failed on purpose before anything was done.
FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Effect:
    """One call of a service. Times are microseconds since the epoch.

    `subject` is what the call was about in the caller's business: an order, a batch, an
    execution for callbacks. It does not depend on the Idempotency-Key.
    """

    begun_us: int
    at_us: int
    service: str
    path: str
    key: str
    subject: str
    outcome: str
    status: int
    result: Any
    # A workflow's onComplete or onFailure, delivered at least once under one id.
    callback: bool = False

    @property
    def route(self) -> str:
        return self.service + self.path

    @property
    def answered(self) -> bool:
        """Whether the service got as far as an answer of its own."""
        return self.outcome != FAULT


class EffectsFile:
    """Where the world writes; lines leave the process one by one."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def append(self, effect: Effect) -> None:
        self._file.write(orjson.dumps(asdict(effect)) + b"\n")

    def close(self) -> None:
        self._file.close()


def read_effects(path: Path) -> Iterator[Effect]:
    """Every complete line."""
    for line in path.read_bytes().split(b"\n")[:-1]:
        yield Effect(**orjson.loads(line))
