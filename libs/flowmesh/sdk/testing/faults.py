"""Random faults; the same seed gives the same faults."""

from collections import Counter
from dataclasses import dataclass
from random import Random

from flowmesh.api.common.v1 import failure_pb2

DEATHS_MAX = 4
"""The maximum of worker deaths per attempt; a fifth would fail it as a poison task."""


@dataclass(frozen=True, slots=True)
class Faults:
    """The probability of each fault, from 0 to 1, at every point where it can occur.

    `crashes`: the worker dies before or after a commit, or the owner dies after one. `repeats`: a
    result is received twice. `failures`: a completed task fails with ServerError instead.
    """

    crashes: float = 0.1
    repeats: float = 0.1
    failures: float = 0.0


class Chance:
    """Draws the faults of one run."""

    def __init__(self, faults: Faults, seed: str) -> None:
        self._faults = faults
        self._random = Random(seed)
        self._deaths: Counter[str] = Counter()

    def worker_dies(self, token: str) -> bool:
        attempt = token.rpartition(".")[0]
        if self._deaths[attempt] >= DEATHS_MAX or not self._hit(self._faults.crashes):
            return False
        self._deaths[attempt] += 1
        return True

    def owner_dies(self) -> bool:
        return self._hit(self._faults.crashes)

    def repeats(self) -> int:
        return int(self._hit(self._faults.repeats))

    def failure(self) -> failure_pb2.Failure | None:
        if not self._hit(self._faults.failures):
            return None
        failure = failure_pb2.Failure(message="a fault of the simulation")
        setattr(failure, "class", "ServerError")
        return failure

    def _hit(self, probability: float) -> bool:
        return probability > 0 and self._random.random() < probability


def no_faults() -> Chance:
    return Chance(Faults(0.0, 0.0, 0.0), "")
