"""The permits of limits, as whoever gives them keeps count of them. No I/O, no clock of its own.

A permit belongs to one attempt, by its token: asking twice takes one, giving back twice gives one
back. What is out is known by partition, so that the owner of a partition can say anew what its
tasks hold; until the owners of all partitions have, nothing is given.
"""

import heapq
import math
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from flowmesh.orchestrator.limits.ready_queues import Need

IDLE_MAX = 10_000
"""Counters nobody uses are forgotten when there are so many of them."""

MIN_WAIT_MS = 1.0
GIVEN_UP_KEPT = 64


@dataclass(slots=True, eq=False)
class Ask:
    """A task that wants to leave. `granted` is told when it may."""

    namespace: str
    token: str
    partition: int
    epoch: int
    needs: tuple[Need, ...]
    due_ms: float
    fair: str
    granted: Callable[["Ask"], None]
    # Given up by whoever asked, or granted.
    over: bool = False
    # What it waits for, unless it waits until somebody has said what is held.
    at: "Counter | None" = None

    @property
    def version(self) -> int:
        """Of the limits, as whoever asks knows them."""
        return self.needs[0].version if self.needs else 0


@dataclass(slots=True)
class Bucket:
    """Tokens that come in at a rate and are saved up to the burst. Times in ms."""

    tokens: float
    at_ms: float
    closed_until_ms: float = 0.0

    def wait_ms(self, rate: float, burst: int, now_ms: float) -> float:
        """How long until a token is there; 0 is now."""
        most = float(burst or max(1, math.ceil(rate)))
        self.tokens = min(most, self.tokens + (now_ms - self.at_ms) * rate / 1000)
        self.at_ms = now_ms
        closed_ms = self.closed_until_ms - now_ms
        missing_ms = (1 - self.tokens) * 1000 / rate if self.tokens < 1 else 0.0
        return max(closed_ms, missing_ms, 0.0)


@dataclass(slots=True)
class Counter:
    """One limit, or one value of its key. Those that wait take turns by their fair key."""

    namespace: str
    rule: str
    name: str
    in_use: int = 0
    bucket: Bucket | None = None
    waiting: OrderedDict[str, list[tuple[float, int, Ask]]] = field(default_factory=OrderedDict)
    # When it is looked at again because of its rate.
    wakes_ms: float = 0.0
    concurrency: int = 0
    rate: float = 0.0
    # How many wait, and how many have given up and stand in line nevertheless.
    waiting_count: int = 0
    given_up: int = 0

    def give_up(self) -> None:
        """One that waits does not any more; where those are most of the line, they leave it."""
        self.waiting_count -= 1
        self.given_up += 1
        if self.given_up > self.waiting_count + GIVEN_UP_KEPT:
            self.given_up = 0
            for fair, queue in list(self.waiting.items()):
                queue[:] = [each for each in queue if not each[2].over]
                heapq.heapify(queue)
                if not queue:
                    del self.waiting[fair]

    def next(self) -> Ask | None:
        """Who is to have what there is; those before it that have given up leave the line."""
        while self.waiting:
            ask = next(iter(self.waiting.values()))[0][2]
            if not ask.over:
                return ask
            self._leave()
            self.given_up -= 1
        return None

    def pop(self) -> None:
        """`next` has its turn."""
        self._leave()
        self.waiting_count -= 1

    def _leave(self) -> None:
        fair, queue = next(iter(self.waiting.items()))
        heapq.heappop(queue)
        if queue:
            self.waiting.move_to_end(fair)
        else:
            del self.waiting[fair]


Numbers = tuple[int, float, int]
"""Concurrency, rate and burst of a limit; 0 is none."""

NumbersOf = Callable[[str, Need], Numbers | None]
"""What holds of a need of a namespace now; None while that is not known here."""


class PermitLedger:
    """What is out and who waits."""

    def __init__(
        self,
        *,
        numbers: NumbersOf,
        now_ms: Callable[[], float],
        wake_at: Callable[[float, Callable[[], None]], None],
        partitions: int,
    ) -> None:
        self._numbers = numbers
        self._now_ms = now_ms
        self._wake_at = wake_at
        self._counters: dict[tuple[str, str], Counter] = {}
        # Permits that are out, by partition and token.
        self._out: dict[int, dict[str, Ask]] = {}
        self._asks: dict[str, Ask] = {}
        self._order = 0
        self._epochs: dict[int, int] = {}
        self.unreported: set[int] = set(range(partitions))
        self._unsettled: list[Ask] = []

    # --- asking ---

    def take(self, ask: Ask) -> bool:
        """Gives the permits if they are there; else the asker is told when they are."""
        given = self._out.get(ask.partition, {}).get(ask.token)
        if given is not None and (given.needs == ask.needs or given.epoch > ask.epoch):
            return True
        if ask.epoch < self._epochs.get(ask.partition, 0):
            return False
        known = self._asks.get(ask.token)
        if known is not None and known.epoch > ask.epoch:
            return False
        if known is not None and known.needs == ask.needs:
            known.granted, known.epoch = ask.granted, ask.epoch
            return False
        # The limits have changed since: what it was given, or waited for, is not what it needs.
        self.release(ask.token, ask.partition, ask.epoch)
        return self._try(ask, arrives=True)

    def _try(self, ask: Ask, *, arrives: bool) -> bool:
        """Who arrives stands in line; who has waited for one limit goes on to the next."""
        if self.unreported:
            self._asks[ask.token] = ask
            self._unsettled.append(ask)
            return False
        counters = []
        for need in ask.needs:
            counter = self._counter(ask.namespace, need)
            if (arrives and counter.waiting_count) or self._blocked(counter, need):
                self._wait(counter, ask)
                return False
            counters.append(counter)
        self._give(ask, counters)
        return True

    def _counter(self, namespace: str, need: Need) -> Counter:
        counter = self._counters.get((namespace, need.counter))
        if counter is None:
            if len(self._counters) >= IDLE_MAX:
                self._forget_idle()
            counter = Counter(namespace, need.rule, need.counter)
            self._counters[namespace, need.counter] = counter
        return counter

    def _forget_idle(self) -> None:
        idle = [
            key
            for key, each in self._counters.items()
            if not each.in_use and not each.waiting_count and each.bucket is None
        ]
        for key in idle:
            del self._counters[key]

    def _blocked(self, counter: Counter, need: Need) -> bool:
        numbers = self._numbers(counter.namespace, need)
        if numbers is None:
            return True
        concurrency, rate, burst = numbers
        counter.concurrency, counter.rate = concurrency, rate
        if concurrency and counter.in_use >= concurrency:
            return True
        if not rate:
            return False
        now_ms = self._now_ms()
        if counter.bucket is None:
            counter.bucket = Bucket(math.inf, now_ms)
        wait_ms = counter.bucket.wait_ms(rate, burst, now_ms)
        if wait_ms:
            self._look_again(counter, now_ms + max(wait_ms, MIN_WAIT_MS))
            return True
        return False

    def _look_again(self, counter: Counter, at_ms: float) -> None:
        if not counter.wakes_ms or at_ms < counter.wakes_ms:
            counter.wakes_ms = at_ms
            self._wake_at(at_ms, partial(self.woken, counter))

    def _wait(self, counter: Counter, ask: Ask) -> None:
        self._asks[ask.token] = ask
        self._order += 1
        ask.at = counter
        counter.waiting_count += 1
        queue = counter.waiting.setdefault(ask.fair, [])
        heapq.heappush(queue, (ask.due_ms, self._order, ask))

    def _give(self, ask: Ask, counters: Iterable[Counter]) -> None:
        for counter in counters:
            counter.in_use += 1
            if counter.rate and counter.bucket is not None:
                counter.bucket.tokens -= 1
        self._asks.pop(ask.token, None)
        ask.over = True
        self._out.setdefault(ask.partition, {})[ask.token] = ask

    # --- giving back ---

    def release(self, token: str, partition: int, epoch: int) -> None:
        """The task has ended, or does not want to leave any more: so says who had its partition at
        this epoch, which does not count for whoever has it since.
        """
        ask = self._asks.get(token)
        if ask is not None and epoch >= ask.epoch:
            self._give_up(ask)
        given = self._out.get(partition, {}).get(token)
        if given is not None and epoch >= given.epoch:
            del self._out[partition][token]
            self._freed(given)

    def _give_up(self, ask: Ask) -> None:
        del self._asks[ask.token]
        ask.over = True
        if ask.at is not None:
            ask.at.give_up()

    def _freed(self, ask: Ask) -> None:
        for need in ask.needs:
            counter = self._counters.get((ask.namespace, need.counter))
            if counter is not None:
                counter.in_use -= 1
                self.serve(counter)

    def close(self, token: str, partition: int, for_ms: float) -> None:
        """What a task called wants to be left alone: the narrowest of its rates rests so long."""
        ask = self._out.get(partition, {}).get(token)
        for need in reversed(ask.needs if ask is not None else ()):
            assert ask is not None
            counter = self._counters.get((ask.namespace, need.counter))
            if counter is not None and counter.bucket is not None:
                until_ms = self._now_ms() + for_ms
                counter.bucket.closed_until_ms = max(counter.bucket.closed_until_ms, until_ms)
                return

    def woken(self, counter: Counter) -> None:
        """It is time to look at a counter again."""
        counter.wakes_ms = 0.0
        self.serve(counter)

    def serve(self, counter: Counter) -> None:
        """Gives what there is to those that wait, who may have to wait for another limit then."""
        while (ask := counter.next()) is not None:
            mine = next(need for need in ask.needs if need.counter == counter.name)
            if self._blocked(counter, mine):
                return
            counter.pop()
            self._let(ask)

    def _let(self, ask: Ask) -> None:
        """It waits for nothing just now."""
        del self._asks[ask.token]
        ask.at = None
        if self._try(ask, arrives=False):
            ask.granted(ask)

    def serve_all(self) -> None:
        """The limits have changed."""
        for counter in list(self._counters.values()):
            self.serve(counter)

    # --- who owns what ---

    def report(
        self, partitions: Mapping[int, int], held: Iterable[Ask], wanted: Container[str] = ()
    ) -> None:
        """The owner of partitions, at these epochs, says what is held: that and no more, but for
        what is wanted and was given meanwhile.
        """
        mine = {p for p, epoch in partitions.items() if epoch >= self._epochs.get(p, 0)}
        freed: list[Ask] = []
        for partition in mine:
            self._epochs[partition] = partitions[partition]
            for token, ask in self._out.pop(partition, {}).items():
                if token in wanted:
                    self._out.setdefault(partition, {})[token] = ask
                else:
                    freed.append(ask)
        for token in [t for t, ask in self._asks.items() if ask.partition in mine]:
            if self._asks[token].epoch < partitions[self._asks[token].partition]:
                self._give_up(self._asks[token])
        for ask in held:
            if ask.partition in mine:
                if (known := self._asks.get(ask.token)) is not None:
                    self._give_up(known)
                counters = [self._counter(ask.namespace, need) for need in ask.needs]
                for counter in counters:
                    counter.in_use += 1
                self._out.setdefault(ask.partition, {})[ask.token] = ask
        for ask in freed:
            self._freed(ask)
        if self.unreported:
            self.unreported -= mine
            if not self.unreported:
                self._settled()

    def _settled(self) -> None:
        unsettled, self._unsettled = self._unsettled, []
        for ask in sorted(unsettled, key=lambda each: each.due_ms):
            if not ask.over:
                self._let(ask)

    def forget(self) -> None:
        """Permits are given elsewhere from now on: those that wait here are not told any more."""
        self._asks.clear()
        for counter in self._counters.values():
            counter.waiting.clear()
            counter.waiting_count = counter.given_up = 0

    def counters(self, namespace: str) -> list[Counter]:
        """Those in use, or waited for."""
        return [
            each
            for each in self._counters.values()
            if each.namespace == namespace and (each.in_use or each.waiting_count)
        ]
