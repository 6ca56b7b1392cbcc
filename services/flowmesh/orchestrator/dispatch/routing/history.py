"""Past attempts of one kind of task: the expected duration at each worker, and what it is worth.

The expectation of a worker is the mean of its latest attempts, shrunk towards the mean of all (a
ridge regression on the workers). It is used only while three measures hold: it predicted better
than the mean of all, the best worker is faster than the workers in turn, and the tasks that were
sent by it ended sooner than those that were sent in turn. There is no clock and no chance here: the
same history gives the same decisions.
"""

from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass

RESULTS_MIN = 50
RESULTS_MOST = 800
"""Attempts sent in turn before the expectations are used; twice as many after each time that they
were of no use, up to the second."""

WORKER_RESULTS_MIN = 5
"""Attempts of a worker before it counts in the comparison."""

RECENT = 50
"""Latest attempts by which the measures are taken."""

ROUTED_MIN = 25
"""Attempts sent by expectation before these are compared with those sent in turn."""

WORKER_RECENT = 20
"""Latest attempts of a worker of which its expectation is the mean."""

WORKERS_MAX = 200
"""Workers of one kind that are remembered; the one without results for longest is dropped."""

SHRINKAGE = 2.0
"""Attempts of mean duration that are added to those of each worker."""

FAILURE_FACTOR = 2.0
"""A failed attempt counts as this multiple of the mean, or as its duration if that is longer."""

MARGIN = 0.9
"""Largest ratio to the error of the mean, and to the duration in turn, that counts as better."""

GAIN = 0.8
"""Largest ratio of the best worker's expectation to that of the workers in turn."""


def _mean(values: Collection[float]) -> float:
    return sum(values) / len(values) if values else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether tasks go by expectation, and the reason in words."""

    used: bool
    reason: str


@dataclass(slots=True)
class _Worker:
    """The moving mean of the latest attempts at one worker, and their number."""

    mean_ms: float = 0.0
    results: int = 0

    def add(self, duration_ms: float) -> float:
        """Add a duration. Return the change of the mean."""
        self.results = min(self.results + 1, WORKER_RECENT)
        change = (duration_ms - self.mean_ms) / self.results
        self.mean_ms += change
        return change


class History:
    """Results of one kind, in bounded memory."""

    def __init__(self) -> None:
        self.verdict = _no("no results yet")
        self._workers: OrderedDict[str, _Worker] = OrderedDict()
        # The sum of their means: workers count alike, however many tasks each was sent.
        self._sum_ms = 0.0
        self._in_turn: deque[float] = deque(maxlen=RECENT)
        self._routed: deque[float] = deque(maxlen=RECENT)
        # Errors of the expectation and of the mean of all, made before each result.
        self._errors: deque[float] = deque(maxlen=RECENT)
        self._plain_errors: deque[float] = deque(maxlen=RECENT)
        # Results of attempts that were sent in turn since the expectations were last of no use,
        # and the number that is needed.
        self._in_turn_count = 0
        self._needed = RESULTS_MIN
        self._changed = False

    def add(self, worker_id: str, duration_ms: float, *, failed: bool, routed: bool) -> None:
        """Add the result of an attempt; `routed` if it was sent by expectation."""
        mean_ms = self._mean_ms
        if failed:
            duration_ms = max(duration_ms, FAILURE_FACTOR * mean_ms)
        if self._workers:
            self._errors.append(abs(duration_ms - self.expected_ms(worker_id)))
            self._plain_errors.append(abs(duration_ms - mean_ms))
        worker = self._workers.setdefault(worker_id, _Worker())
        self._workers.move_to_end(worker_id)
        self._sum_ms += worker.add(duration_ms)
        if len(self._workers) > WORKERS_MAX:
            _, dropped = self._workers.popitem(last=False)
            self._sum_ms -= dropped.mean_ms
        if routed:
            self._routed.append(duration_ms)
        else:
            self._in_turn.append(duration_ms)
            self._in_turn_count += 1
        self._changed = True

    @property
    def _mean_ms(self) -> float:
        return self._sum_ms / len(self._workers) if self._workers else 0.0

    def expected_ms(self, worker_id: str) -> float:
        """Return the expected duration at a worker; the mean of all for an unknown one."""
        worker = self._workers.get(worker_id, _Worker())
        total = worker.mean_ms * worker.results + SHRINKAGE * self._mean_ms
        return total / (worker.results + SHRINKAGE)

    def results(self, worker_id: str) -> int:
        """Return the number of results on which the expectation of a worker rests."""
        worker = self._workers.get(worker_id)
        return worker.results if worker is not None else 0

    def judge(self) -> Verdict:
        """Return whether the expectations are used now; measured once per new results."""
        if self._changed:
            self._changed = False
            before, self.verdict = self.verdict, self._judged()
            if before.used and not self.verdict.used:
                self._routed.clear()
                self._in_turn_count = 0
                self._needed = min(2 * self._needed, RESULTS_MOST)
            elif len(self._routed) == RECENT:
                self._needed = RESULTS_MIN
        return self.verdict

    def _judged(self) -> Verdict:
        if self._in_turn_count < self._needed:
            return _no(f"{self._in_turn_count} of {self._needed} results")
        known = [id_ for id_, of in self._workers.items() if of.results >= WORKER_RESULTS_MIN]
        if len(known) < 2:
            return _no("fewer than two workers with results")
        expected = [self.expected_ms(each) for each in known]
        best, usual = min(expected), _mean(expected)
        error, plain = _mean(self._errors), _mean(self._plain_errors)
        if error > MARGIN * plain:
            return _no(f"the expectations were off by {error:.0f} ms, the mean by {plain:.0f} ms")
        if best > GAIN * usual:
            return _no(f"the fastest worker takes {best:.0f} ms, the mean is {usual:.0f} ms")
        if len(self._routed) >= ROUTED_MIN:
            routed, in_turn = _mean(self._routed), _mean(self._in_turn)
            if routed > MARGIN * in_turn:
                return _no(f"tasks took {routed:.0f} ms by expectation, {in_turn:.0f} ms in turn")
        return Verdict(used=True, reason=f"{best:.0f} ms expected, {usual:.0f} ms in turn")


def _no(reason: str) -> Verdict:
    return Verdict(used=False, reason=f"in turn: {reason}")
