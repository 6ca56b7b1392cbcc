"""Faults drawn from the seed."""

from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from random import Random


class Fate(Enum):
    """The fate of a statement or a call."""

    FINE = auto()
    # Never arrives.
    LOST = auto()
    # Applied, and its answer is lost.
    UNANSWERED = auto()
    # Given up by its sender, and applied after that.
    LATE = auto()
    # Applied at once, answered late.
    SLOW = auto()


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates of faults, per statement, call or message."""

    lost: float = 0.0
    unanswered: float = 0.0
    late: float = 0.0
    slow: float = 0.0
    broken_stream: float = 0.0
    lost_publish: float = 0.0


CALM = Rates()
LATE_S = (0.001, 0.06, 0.4, 2.5, 4.0)
"""How long after it was given up a statement may still be applied."""

LATE_S_MAX = 4.1


class Faults:
    """The faults of one run; `rates` change during it."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.rates = CALM
        self.injected: Counter[str] = Counter()
        # Statements and calls whose fate is decided by hand, by name, in order.
        self.scripted: dict[str, list[tuple[Fate, float]]] = {}

    def script(self, name: str, *fates: tuple[Fate, float]) -> None:
        """The next statements of this name meet these fates."""
        self.scripted.setdefault(name, []).extend(fates)

    def statement(self, name: str) -> tuple[Fate, float]:
        """The fate of one statement or call, and the delay that goes with it."""
        scripted = self.scripted.get(name)
        if scripted:
            fate, delay_s = scripted.pop(0)
        else:
            fate, delay_s = self._draw()
        if fate is not Fate.FINE:
            self.injected[fate.name.lower()] += 1
        return fate, delay_s

    def _draw(self) -> tuple[Fate, float]:
        rates = self.rates
        if rates is CALM:
            return Fate.FINE, 0.0
        drawn = self._random.random()
        if drawn < rates.lost:
            return Fate.LOST, 0.0
        if drawn < rates.lost + rates.unanswered:
            return Fate.UNANSWERED, self._random.choice((0.0, 0.01, 0.5))
        if drawn < rates.lost + rates.unanswered + rates.late:
            return Fate.LATE, self._random.choice(LATE_S)
        return Fate.FINE, 0.0

    def latency(self) -> float:
        """Draw the delay of a message."""
        if self._random.random() < self.rates.slow:
            self.injected["slow"] += 1
            return self._random.uniform(0.05, 1.5)
        return self._random.uniform(0.0001, 0.001)

    def breaks_stream(self) -> bool:
        """Draw whether a stream breaks at this message."""
        if self.rates.broken_stream and self._random.random() < self.rates.broken_stream:
            self.injected["broken_stream"] += 1
            return True
        return False

    def loses_publish(self) -> bool:
        if self.rates.lost_publish and self._random.random() < self.rates.lost_publish:
            self.injected["lost_publish"] += 1
            return True
        return False
