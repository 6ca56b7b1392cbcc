"""Faults by chance, and by a seed: the same seed makes the same faults."""

from collections import Counter
from dataclasses import dataclass
from random import Random

from flowmesh.api.common.v1 import failure_pb2

DEATHS_MAX = 4
"""Workers that one attempt loses: with the fifth it would be given up as poison."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How often, from 0 to 1: at each point where it can be.

    `crashes`: the worker dies, before or after a commit; the owner dies after one. `repeats`: a
    result comes twice. `failures`: a task that succeeded fails with ServerError instead.
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

    def _hit(self, share: float) -> bool:
        return share > 0 and self._random.random() < share


def no_faults() -> Chance:
    return Chance(Faults(0.0, 0.0, 0.0), "")
