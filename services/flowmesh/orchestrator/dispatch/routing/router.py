"""The choice of worker sets by learned durations, for the queues whose operator asked for it.

A task never waits for a faster worker: among the sets that have credit now, the one with the
shortest expected duration is served first. Ordered once per pump, not per task.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from flowmesh.orchestrator.dispatch.attachment import WorkerSet
from flowmesh.orchestrator.dispatch.routing.history import History
from flowmesh.orchestrator.limits.ready_queues import Key

KINDS_MAX = 500
"""Kinds of tasks with a history; the one without results for longest is dropped."""

TRIAL_EVERY = 10
"""One in this many pumps sends the tasks of a kind in turn, so that changes are noticed."""

ALIKE = 1.1
"""Workers up to this multiple of the shortest expected duration take turns."""


@dataclass(slots=True)
class _Kind:
    """The history of a kind, and the number of times that its workers were ordered."""

    history: History
    orders: int = 0


@dataclass(frozen=True, slots=True)
class Preference:
    """The workers of one kind in this pump: all of `order` wait for those before them."""

    key: Key
    order: Sequence[tuple[float, WorkerSet]]

    def waiting(self) -> Iterator[WorkerSet]:
        """Return the sets that take none of these tasks while a better one has credit."""
        best_ms = min((ms for ms, each in self.order if each.credit > 0), default=0.0)
        return (each for ms, each in self.order if ms > best_ms)


class LearnedRouter:
    """Histories of the kinds whose queue is in `places`: a namespace, or `namespace/queue`."""

    def __init__(self, places: Collection[str]) -> None:
        self._places = frozenset(places)
        self._kinds: OrderedDict[Key, _Kind] = OrderedDict()
        # The kinds that are sent by expectation in the current pump.
        self.routed: frozenset[Key] = frozenset()

    def learns(self, key: Key) -> bool:
        """Return whether the tasks of a kind are routed by what is learned of them."""
        namespace, queue, *_ = key
        return namespace in self._places or f"{namespace}/{queue}" in self._places

    def ended(
        self, key: Key, worker_id: str, duration_ms: float, *, failed: bool, routed: bool
    ) -> None:
        """Learn from an attempt that ended at a worker."""
        kind = self._kinds.get(key)
        if kind is None:
            if not self.learns(key):
                return
            kind = self._kinds[key] = _Kind(History())
            if len(self._kinds) > KINDS_MAX:
                self._kinds.popitem(last=False)
        self._kinds.move_to_end(key)
        kind.history.add(worker_id, duration_ms, failed=failed, routed=routed)

    def preferences(
        self, sets: Sequence[WorkerSet], ready: Mapping[Key, int]
    ) -> tuple[Preference, ...]:
        """Return the order of workers for the kinds that wait and are sent by expectation."""
        found = []
        routed = set()
        for key, kind in self._kinds.items():
            if not ready.get(key) or not kind.history.judge().used:
                continue
            takers = [each for each in sets if key in each.keys]
            if len(takers) < 2:
                continue
            kind.orders += 1
            if kind.orders % TRIAL_EVERY == 0:
                found.append(Preference(key, _trial(takers, kind.orders // TRIAL_EVERY)))
            else:
                found.append(Preference(key, _by_expectation(takers, kind.history)))
                routed.add(key)
        self.routed = frozenset(routed)
        return tuple(found)

    def histories(self) -> Iterable[tuple[Key, History]]:
        """Return the kinds with their histories."""
        return ((key, kind.history) for key, kind in self._kinds.items())


def _by_expectation(takers: Iterable[WorkerSet], history: History) -> list[tuple[float, WorkerSet]]:
    expected = [(history.expected_ms(each.worker_id), each) for each in takers]
    shortest = min(ms for ms, _ in expected)
    return [(0.0 if ms <= ALIKE * shortest else ms, each) for ms, each in expected]


def _trial(takers: Sequence[WorkerSet], number: int) -> list[tuple[float, WorkerSet]]:
    """Return an order that begins with another worker in each trial."""
    by_id = sorted(takers, key=lambda each: each.worker_id)
    first = by_id[number % len(by_id)]
    return [(0.0 if each is first else 1.0, each) for each in takers]


def serve_by_preference(
    sets: Sequence[WorkerSet],
    preferences: Sequence[Preference],
    serve: Callable[[WorkerSet, Collection[Key]], object],
    ready_count: Callable[[], int],
) -> None:
    """Serve the sets in turn until none takes a task; each leaves tasks to better ones."""
    while count := ready_count():
        left: dict[WorkerSet, set[Key]] = {}
        for preference in preferences:
            for each in preference.waiting():
                left.setdefault(each, set()).add(preference.key)
        for each in sets:
            if each.credit > 0:
                keys = each.keys.keys()
                serve(each, keys - left[each] if each in left else keys)
        if ready_count() == count:
            return
