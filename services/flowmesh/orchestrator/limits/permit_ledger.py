"""The permits that one home grants, and the requests that wait for them. No I/O, no own clock.

A permit belongs to one attempt, by its token: a repeated request takes it once, a repeated release
returns it once. Granted permits are kept by partition, so the owner of a partition can replace them
by a report. Nothing is granted until the owners of all partitions have reported.
"""

import heapq
import math
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from flowmesh.orchestrator.limits.ready_queues import Need

IDLE_MAX = 10_000
"""At this number of counters, unused ones are dropped."""

MIN_WAIT_MS = 1.0
ABANDONED_KEPT = 64


@dataclass(slots=True, eq=False)
class PermitRequest:
    """A request for the permits of one attempt. `granted` is called when it is granted later."""

    namespace: str
    token: str
    partition: int
    epoch: int
    needs: tuple[Need, ...]
    due_ms: float
    fair: str
    granted: Callable[["PermitRequest"], None]
    # Abandoned by its sender, or granted.
    closed: bool = False
    # The counter it waits for; None while it waits for the reports of all partitions.
    waits_for: "Counter | None" = None

    @property
    def version(self) -> int:
        """The version of the limits that the sender of the request knows."""
        return self.needs[0].version if self.needs else 0


@dataclass(slots=True)
class Bucket:
    """A token bucket: refilled at a rate, up to the burst. Times in ms."""

    tokens: float
    at_ms: float
    closed_until_ms: float = 0.0

    def wait_ms(self, rate: float, burst: int, now_ms: float) -> float:
        """Return the milliseconds until a token is available; 0 means now."""
        most = float(burst or max(1, math.ceil(rate)))
        self.tokens = min(most, self.tokens + (now_ms - self.at_ms) * rate / 1000)
        self.at_ms = now_ms
        closed_ms = self.closed_until_ms - now_ms
        missing_ms = (1 - self.tokens) * 1000 / rate if self.tokens < 1 else 0.0
        return max(closed_ms, missing_ms, 0.0)


@dataclass(slots=True)
class Counter:
    """The use of one limit, or of one value of its key.

    Waiting requests are served in turn by their fairness key.
    """

    namespace: str
    rule: str
    name: str
    in_use: int = 0
    bucket: Bucket | None = None
    waiting: OrderedDict[str, list[tuple[float, int, PermitRequest]]] = field(
        default_factory=OrderedDict
    )
    # Time of the next check that its rate requires; 0 is none.
    wakes_ms: float = 0.0
    concurrency: int = 0
    rate: float = 0.0
    # Waiting requests, and abandoned ones that are still queued.
    waiting_count: int = 0
    abandoned: int = 0

    def abandon(self) -> None:
        """Count an abandoned request; remove abandoned ones once they are the majority."""
        self.waiting_count -= 1
        self.abandoned += 1
        if self.abandoned > self.waiting_count + ABANDONED_KEPT:
            self.abandoned = 0
            for fair, queue in list(self.waiting.items()):
                queue[:] = [each for each in queue if not each[2].closed]
                heapq.heapify(queue)
                if not queue:
                    del self.waiting[fair]

    def first(self) -> PermitRequest | None:
        """Return the next request to serve; remove abandoned ones before it."""
        while self.waiting:
            request = next(iter(self.waiting.values()))[0][2]
            if not request.closed:
                return request
            self._remove_first()
            self.abandoned -= 1
        return None

    def pop(self) -> None:
        """Remove the request that `first` returned."""
        self._remove_first()
        self.waiting_count -= 1

    def _remove_first(self) -> None:
        fair, queue = next(iter(self.waiting.items()))
        heapq.heappop(queue)
        if queue:
            self.waiting.move_to_end(fair)
        else:
            del self.waiting[fair]


LimitValues = tuple[int, float, int]
"""Concurrency, rate and burst of a limit; 0 is none."""

LimitValuesOf = Callable[[str, Need], LimitValues | None]
"""Returns the present values of a need's limit in a namespace; None while they are unknown."""


class PermitLedger:
    """Granted permits and the waiting requests."""

    def __init__(
        self,
        *,
        limit_values: LimitValuesOf,
        now_ms: Callable[[], float],
        wake_at: Callable[[float, Callable[[], None]], None],
        partitions: int,
    ) -> None:
        self._limit_values = limit_values
        self._now_ms = now_ms
        self._wake_at = wake_at
        self._counters: dict[tuple[str, str], Counter] = {}
        # Requests that were granted, by partition and token.
        self._granted: dict[int, dict[str, PermitRequest]] = {}
        self._requests: dict[str, PermitRequest] = {}
        self._order = 0
        self._epochs: dict[int, int] = {}
        self.unreported: set[int] = set(range(partitions))
        self._unassigned: list[PermitRequest] = []

    # --- requests ---

    def take(self, request: PermitRequest) -> bool:
        """Grant a request. Return True if granted at once; otherwise call its `granted` later."""
        known_grant = self._granted.get(request.partition, {}).get(request.token)
        if known_grant is not None and (
            known_grant.needs == request.needs or known_grant.epoch > request.epoch
        ):
            return True
        if request.epoch < self._epochs.get(request.partition, 0):
            return False
        known = self._requests.get(request.token)
        if known is not None and known.epoch > request.epoch:
            return False
        if known is not None and known.needs == request.needs:
            known.granted, known.epoch = request.granted, request.epoch
            return False
        # The limits have changed since the request with other needs.
        self.release(request.token, request.partition, request.epoch)
        return self._try(request, arrives=True)

    def _try(self, request: PermitRequest, *, arrives: bool) -> bool:
        """Grant a request or queue it at the first counter that blocks it.

        A request that `arrives` queues behind others; one that waited before does not.
        """
        if self.unreported:
            self._requests[request.token] = request
            self._unassigned.append(request)
            return False
        counters = []
        for need in request.needs:
            counter = self._counter(request.namespace, need)
            if (arrives and counter.waiting_count) or self._blocked(counter, need):
                self._wait(counter, request)
                return False
            counters.append(counter)
        self._grant(request, counters)
        return True

    def _counter(self, namespace: str, need: Need) -> Counter:
        counter = self._counters.get((namespace, need.counter))
        if counter is None:
            if len(self._counters) >= IDLE_MAX:
                self._drop_idle()
            counter = Counter(namespace, need.rule, need.counter)
            self._counters[namespace, need.counter] = counter
        return counter

    def _drop_idle(self) -> None:
        idle = [
            key
            for key, each in self._counters.items()
            if not each.in_use and not each.waiting_count and each.bucket is None
        ]
        for key in idle:
            del self._counters[key]

    def _blocked(self, counter: Counter, need: Need) -> bool:
        limit_values = self._limit_values(counter.namespace, need)
        if limit_values is None:
            return True
        concurrency, rate, burst = limit_values
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
            self._wake_by(counter, now_ms + max(wait_ms, MIN_WAIT_MS))
            return True
        return False

    def _wake_by(self, counter: Counter, at_ms: float) -> None:
        if not counter.wakes_ms or at_ms < counter.wakes_ms:
            counter.wakes_ms = at_ms
            self._wake_at(at_ms, partial(self.woken, counter))

    def _wait(self, counter: Counter, request: PermitRequest) -> None:
        self._requests[request.token] = request
        self._order += 1
        request.waits_for = counter
        counter.waiting_count += 1
        queue = counter.waiting.setdefault(request.fair, [])
        heapq.heappush(queue, (request.due_ms, self._order, request))

    def _grant(self, request: PermitRequest, counters: Iterable[Counter]) -> None:
        for counter in counters:
            counter.in_use += 1
            if counter.rate and counter.bucket is not None:
                counter.bucket.tokens -= 1
        self._requests.pop(request.token, None)
        request.closed = True
        self._granted.setdefault(request.partition, {})[request.token] = request

    # --- releases ---

    def release(self, token: str, partition: int, epoch: int) -> None:
        """Return the permits of a token, or abandon its request.

        A release under an older epoch of the partition than the request's has no effect.
        """
        request = self._requests.get(token)
        if request is not None and epoch >= request.epoch:
            self._abandon(request)
        known_grant = self._granted.get(partition, {}).get(token)
        if known_grant is not None and epoch >= known_grant.epoch:
            del self._granted[partition][token]
            self._free(known_grant)

    def _abandon(self, request: PermitRequest) -> None:
        del self._requests[request.token]
        request.closed = True
        if request.waits_for is not None:
            request.waits_for.abandon()

    def _free(self, request: PermitRequest) -> None:
        for need in request.needs:
            counter = self._counters.get((request.namespace, need.counter))
            if counter is not None:
                counter.in_use -= 1
                self.serve(counter)

    def close(self, token: str, partition: int, for_ms: float) -> None:
        """Close the narrowest rate that a granted token uses, for this time."""
        request = self._granted.get(partition, {}).get(token)
        for need in reversed(request.needs if request is not None else ()):
            assert request is not None
            counter = self._counters.get((request.namespace, need.counter))
            if counter is not None and counter.bucket is not None:
                until_ms = self._now_ms() + for_ms
                counter.bucket.closed_until_ms = max(counter.bucket.closed_until_ms, until_ms)
                return

    def woken(self, counter: Counter) -> None:
        """Serve a counter whose rate allows it again."""
        counter.wakes_ms = 0.0
        self.serve(counter)

    def serve(self, counter: Counter) -> None:
        """Grant waiting requests of a counter; each may then wait for another limit."""
        while (request := counter.first()) is not None:
            mine = next(need for need in request.needs if need.counter == counter.name)
            if self._blocked(counter, mine):
                return
            counter.pop()
            self._retry(request)

    def _retry(self, request: PermitRequest) -> None:
        """Try a request again that no counter blocks any more."""
        del self._requests[request.token]
        request.waits_for = None
        if self._try(request, arrives=False):
            request.granted(request)

    def serve_all(self) -> None:
        """Grant waiting requests that changed limits allow."""
        for counter in list(self._counters.values()):
            self.serve(counter)

    # --- owners ---

    def report(
        self,
        partitions: Mapping[int, int],
        held: Iterable[PermitRequest],
        wanted: Container[str] = (),
    ) -> None:
        """Replace the granted permits of partitions by those that their owner holds.

        `partitions` holds the owner's epochs. Permits of `wanted` tokens stay: their grants are on
        the way to the owner.
        """
        mine = {p for p, epoch in partitions.items() if epoch >= self._epochs.get(p, 0)}
        freed: list[PermitRequest] = []
        for partition in mine:
            self._epochs[partition] = partitions[partition]
            for token, request in self._granted.pop(partition, {}).items():
                if token in wanted:
                    self._granted.setdefault(partition, {})[token] = request
                else:
                    freed.append(request)
        for token in [t for t, request in self._requests.items() if request.partition in mine]:
            if self._requests[token].epoch < partitions[self._requests[token].partition]:
                self._abandon(self._requests[token])
        for request in held:
            if request.partition in mine:
                if (known := self._requests.get(request.token)) is not None:
                    self._abandon(known)
                counters = [self._counter(request.namespace, need) for need in request.needs]
                for counter in counters:
                    counter.in_use += 1
                self._granted.setdefault(request.partition, {})[request.token] = request
        for request in freed:
            self._free(request)
        if self.unreported:
            self.unreported -= mine
            if not self.unreported:
                self._all_reported()

    def _all_reported(self) -> None:
        unsettled, self._unassigned = self._unassigned, []
        for request in sorted(unsettled, key=lambda each: each.due_ms):
            if not request.closed:
                self._retry(request)

    def close_requests(self) -> None:
        """Drop all waiting requests: another process is the home now."""
        self._requests.clear()
        for counter in self._counters.values():
            counter.waiting.clear()
            counter.waiting_count = counter.abandoned = 0

    def counters(self, namespace: str) -> list[Counter]:
        """Return the counters of a namespace that are in use or have waiting requests."""
        return [
            each
            for each in self._counters.values()
            if each.namespace == namespace and (each.in_use or each.waiting_count)
        ]
