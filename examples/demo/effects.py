"""The append-only file of effects: every call of a service with its subject and outcome."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

APPLIED = "applied"
# A known key: the first response was repeated without an effect.
REPEATED = "repeated"
REFUSED = "refused"
# An injected failure before any effect.
FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Effect:
    """A call of a service. Times are microseconds since the epoch.

    `subject` is the business object of the call: an order, a batch, or an execution for callbacks.
    It does not depend on the Idempotency-Key.
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
    # The onComplete or onFailure of a workflow, delivered at least once with one id.
    callback: bool = False

    @property
    def route(self) -> str:
        return self.service + self.path

    @property
    def answered(self) -> bool:
        """Return whether the service responded itself."""
        return self.outcome != FAULT


class EffectsFile:
    """The writer of the file; each line is written separately."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def append(self, effect: Effect) -> None:
        self._file.write(orjson.dumps(asdict(effect)) + b"\n")

    def close(self) -> None:
        self._file.close()


def read_effects(path: Path) -> Iterator[Effect]:
    """Read every complete line."""
    for line in path.read_bytes().split(b"\n")[:-1]:
        yield Effect(**orjson.loads(line))
