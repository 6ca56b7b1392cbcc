"""The choice of an instance for each call, by health, load and latency. Pure.

Of two random candidates the one with fewer open calls and lower latency is chosen, and now and then
the other one, which may be faster again. An instance that fails is ejected for a time. Retries have
a budget, so that they do not multiply an overload.
"""

import math
import random
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

EJECT_AFTER: Final = 5
EJECT_SHARE: Final = 0.5
EJECT_CALLS_MIN: Final = 10
WINDOW_S: Final = 10.0
EJECT_S: Final = 5.0
EJECT_MAX_S: Final = 300.0
LATENCY_DECAY_S: Final = 10.0
# The latency that a failed call counts for, so that failing fast attracts no calls.
FAILURE_LATENCY_S: Final = 1.0
# A new instance begins as a fast one.
LATENCY_INITIAL_S: Final = 0.001
# The share of the former latency after a slower and after a faster call.
SLOWER_KEEPS: Final = 0.5
FASTER_KEEPS: Final = 0.7
# One of so many calls ignores the cost.
EXPLORE_EVERY: Final = 8
TOKENS_MAX: Final = 10.0
TOKENS_PER_SUCCESS: Final = 0.1
RANKS: Final = {"HEALTHY": 0, "": 1, "DEGRADED": 1, "UNHEALTHY": 2}


@dataclass(frozen=True, slots=True)
class Place:
    """An instance as the registry lists it; a lower rank is better."""

    id: str
    address: str
    rank: int = 0
    zone: str = ""


@dataclass(slots=True, eq=False)
class Backend:
    """An instance with the outcomes of its calls; times in seconds of a monotonic clock."""

    place: Place
    open_calls: int = 0
    latency_s: float = LATENCY_INITIAL_S
    latency_at_s: float = 0.0
    failures_in_row: int = 0
    window_since_s: float = 0.0
    window_calls: int = 0
    window_failures: int = 0
    ejected_until_s: float = 0.0
    ejections: int = 0

    @property
    def cost(self) -> float:
        return (self.open_calls + 1) * self.latency_s


@dataclass(slots=True)
class RetryBudget:
    """Tokens of retries: a failure takes one, a success returns a tenth (gRFC A6)."""

    tokens: float = TOKENS_MAX

    @property
    def permits(self) -> bool:
        return self.tokens > TOKENS_MAX / 2

    def record(self, *, failed: bool) -> None:
        change = -1.0 if failed else TOKENS_PER_SUCCESS
        self.tokens = min(TOKENS_MAX, max(0.0, self.tokens + change))


@dataclass(slots=True)
class Balancer:
    """The instances of a service. `draw` returns a random number below its argument."""

    zone: str = ""
    now_s: Callable[[], float] = time.monotonic
    draw: Callable[[int], int] = random.randrange
    backends: dict[str, Backend] = field(default_factory=dict)

    def update(self, places: Iterable[Place]) -> list[Backend]:
        """Replace the instances; return those that are gone."""
        present = {place.id: place for place in places}
        gone = [self.backends.pop(each) for each in set(self.backends) - set(present)]
        for place_id, place in present.items():
            known = self.backends.get(place_id)
            if known is None:
                self.backends[place_id] = Backend(place)
            elif known.place.address != place.address:
                gone.append(known)
                self.backends[place_id] = Backend(place)
            else:
                known.place = place
        return gone

    def pick(self, tried: Collection[str] = ()) -> Backend | None:
        """Return the instance of the next call; None if there is none but the tried ones."""
        now_s = self.now_s()
        usable = [each for each in self.backends.values() if each.place.id not in tried]
        admitted = [each for each in usable if each.ejected_until_s <= now_s]
        candidates = _best(admitted or usable, self.zone)
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        first = self.draw(len(candidates))
        second = self.draw(len(candidates) - 1)
        pair = candidates[first], candidates[second + (second >= first)]
        if self.draw(EXPLORE_EVERY) == 0:
            return pair[0]
        return min(pair, key=lambda each: each.cost)

    def begin(self, backend: Backend) -> float:
        """Record the start of a call; return its time."""
        backend.open_calls += 1
        return self.now_s()

    def end(self, backend: Backend, began_s: float, *, failed: bool | None) -> None:
        """Record the end of a call; `failed` is None if it says nothing about the instance."""
        now_s = self.now_s()
        backend.open_calls -= 1
        if failed is None:
            return
        self._measure(backend, now_s, max(now_s - began_s, FAILURE_LATENCY_S if failed else 0.0))
        self._count(backend, now_s, failed)

    def _measure(self, backend: Backend, now_s: float, took_s: float) -> None:
        """Add a duration; the first one of an instance includes its connection, and is ignored."""
        if backend.latency_at_s or took_s >= FAILURE_LATENCY_S:
            age_s = max(0.0, now_s - backend.latency_at_s)
            most = SLOWER_KEEPS if took_s > backend.latency_s else FASTER_KEEPS
            weight = min(most, math.exp(-age_s / LATENCY_DECAY_S))
            backend.latency_s = backend.latency_s * weight + took_s * (1 - weight)
        backend.latency_at_s = now_s

    def _count(self, backend: Backend, now_s: float, failed: bool) -> None:
        if now_s - backend.window_since_s > WINDOW_S:
            backend.window_since_s = now_s
            backend.window_calls = backend.window_failures = 0
        backend.window_calls += 1
        backend.window_failures += failed
        if not failed:
            backend.failures_in_row = 0
            lasting_s = now_s - backend.ejected_until_s
            if backend.ejections and lasting_s > EJECT_S * backend.ejections:
                backend.ejections -= 1
                backend.ejected_until_s = now_s
            return
        backend.failures_in_row += 1
        many = (
            backend.window_calls >= EJECT_CALLS_MIN
            and backend.window_failures >= EJECT_SHARE * backend.window_calls
        )
        if backend.failures_in_row >= EJECT_AFTER or many:
            self._eject(backend, now_s)

    def _eject(self, backend: Backend, now_s: float) -> None:
        """Eject an instance unless half of them are ejected; a single one never is."""
        ejected = sum(each.ejected_until_s > now_s for each in self.backends.values())
        if backend.ejected_until_s > now_s or 2 * (ejected + 1) > len(self.backends):
            return
        backend.ejections += 1
        backend.ejected_until_s = now_s + min(EJECT_S * backend.ejections, EJECT_MAX_S)
        backend.failures_in_row = backend.window_calls = backend.window_failures = 0


def _best(backends: list[Backend], zone: str) -> list[Backend]:
    """Return those of the best rank, and of them those of the zone if there are any."""
    if not backends:
        return []
    rank = min(each.place.rank for each in backends)
    ranked = [each for each in backends if each.place.rank == rank]
    near = [each for each in ranked if zone and each.place.zone == zone]
    return near or ranked
