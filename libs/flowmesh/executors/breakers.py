"""Circuit breakers by upstream: one that fails is left alone for a while, then tried with one call.

Closed: calls leave. Open, after too many failures: none leaves, and attempts fail at once with
CIRCUIT_OPEN and the time until it is tried again. Half open: one call tries; its outcome decides.
An opened breaker is told to others, who open theirs.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from flowmesh.egress import EgressFailure, Response
from flowmesh.executors import failures
from flowmesh.executors.base import Sender
from flowmesh.executors.failures import TaskFailure
from flowmesh.executors.rpc.calls import Caller, Rpc, RpcAnswer

WINDOW_MS = 10_000
"""Outcomes of so long are counted."""

CALLS_MIN = 20
FAILURES_SHARE = 0.5
"""A breaker opens when so many calls were made in its window and this share of them failed."""

OPEN_MS = 5_000
OPEN_MS_MAX = 60_000
"""It stays open for so long, twice as long each time the call that tries it fails."""

UPSTREAMS_MAX = 10_000
"""Breakers kept; beyond, the one that was used least recently is forgotten."""


class State(Enum):
    """Whether calls leave."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half open"


@dataclass(slots=True)
class Breaker:
    """One upstream. Times are monotonic, in ms."""

    upstream: str
    state: State = State.CLOSED
    since_ms: float = 0.0
    calls: int = 0
    failures: int = 0
    until_ms: float = 0.0
    open_ms: float = OPEN_MS


class Breakers:
    """The breakers of a process; `changed` is told of each that opens or closes."""

    def __init__(
        self,
        *,
        monotonic_ms: Callable[[], float],
        changed: Callable[[Breaker], None] = lambda _: None,
    ) -> None:
        self._monotonic_ms = monotonic_ms
        self.changed = changed
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()

    def admit(self, upstream: str) -> None:
        """Lets a call leave; its outcome is to be told. Raises CIRCUIT_OPEN where none may."""
        breaker = self._breakers.get(upstream)
        if breaker is None or breaker.state is State.CLOSED:
            return
        now_ms = self._monotonic_ms()
        if breaker.state is State.OPEN and now_ms >= breaker.until_ms:
            self._turn(breaker, State.HALF_OPEN)
            # Nobody waits for ever for an outcome that is not told.
            breaker.until_ms = now_ms + breaker.open_ms
            return
        if breaker.state is State.HALF_OPEN and now_ms >= breaker.until_ms:
            breaker.until_ms = now_ms + breaker.open_ms
            return
        raise TaskFailure(
            failures.CIRCUIT_OPEN,
            f"{upstream} has failed too often; it is tried again soon",
            retry_after_ms=math.ceil(breaker.until_ms - now_ms),
            details={"upstream": upstream},
        )

    def tell(self, upstream: str, *, failed: bool | None) -> None:
        """How a call that left has ended; None where that says nothing: the next one tries."""
        breaker = self._breakers.get(upstream)
        if failed is None:
            if breaker is not None and breaker.state is State.HALF_OPEN:
                breaker.until_ms = self._monotonic_ms()
            return
        if breaker is None and not failed:
            return
        breaker = self._used(upstream)
        match breaker.state:
            case State.CLOSED:
                self._count(breaker, failed)
            case State.HALF_OPEN if failed:
                breaker.open_ms = min(breaker.open_ms * 2, OPEN_MS_MAX)
                self._open(breaker, breaker.open_ms)
            case State.HALF_OPEN:
                del self._breakers[upstream]
                self._turn(breaker, State.CLOSED)
            case State.OPEN:
                # It left before the breaker opened.
                pass

    def _used(self, upstream: str) -> Breaker:
        breaker = self._breakers.get(upstream)
        if breaker is None:
            breaker = self._breakers[upstream] = Breaker(upstream, since_ms=self._monotonic_ms())
            if len(self._breakers) > UPSTREAMS_MAX:
                self._breakers.popitem(last=False)
        self._breakers.move_to_end(upstream)
        return breaker

    def _count(self, breaker: Breaker, failed: bool) -> None:
        now_ms = self._monotonic_ms()
        passed_ms = now_ms - breaker.since_ms
        if passed_ms >= WINDOW_MS:
            # Half of the last window stays, unless that is long ago.
            keep = passed_ms < 2 * WINDOW_MS
            breaker.calls = breaker.calls // 2 if keep else 0
            breaker.failures = breaker.failures // 2 if keep else 0
            breaker.since_ms = now_ms
        breaker.calls += 1
        breaker.failures += failed
        if breaker.calls >= CALLS_MIN and breaker.failures >= FAILURES_SHARE * breaker.calls:
            self._open(breaker, breaker.open_ms)

    def _open(self, breaker: Breaker, for_ms: float) -> None:
        breaker.until_ms = self._monotonic_ms() + for_ms
        self._turn(breaker, State.OPEN)

    def opened_elsewhere(self, upstream: str, for_ms: float) -> None:
        """Another process has opened its breaker: so does this one, and tells nobody."""
        breaker = self._used(upstream)
        if breaker.state is State.CLOSED:
            breaker.state = State.OPEN
            breaker.until_ms = self._monotonic_ms() + min(for_ms, OPEN_MS_MAX)
            breaker.calls = breaker.failures = 0

    def _turn(self, breaker: Breaker, state: State) -> None:
        breaker.state = state
        self.changed(breaker)

    def not_closed(self) -> list[Breaker]:
        """Those that hold calls back."""
        return [each for each in self._breakers.values() if each.state is not State.CLOSED]

    def wait_ms(self, breaker: Breaker) -> int:
        """How long until a breaker is tried."""
        return max(0, math.ceil(breaker.until_ms - self._monotonic_ms()))


class GuardedSender:
    """Sends calls whose upstream has no open breaker; a status of 500 and above is a failure."""

    def __init__(self, sender: Sender, breakers: Breakers) -> None:
        self._sender = sender
        self._breakers = breakers

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_ms: int,
        response_bytes_max: int,
    ) -> Response:
        upstream = upstream_of(url)
        self._breakers.admit(upstream)
        # A call that is canceled, or that may not leave, says nothing of its upstream.
        failed: bool | None = None
        try:
            response = await self._sender.send(
                method,
                url,
                headers=headers,
                body=body,
                timeout_ms=timeout_ms,
                response_bytes_max=response_bytes_max,
            )
            failed = response.status >= 500
            return response
        except EgressFailure:
            failed = True
            raise
        finally:
            self._breakers.tell(upstream, failed=failed)


# Failures of a gRPC call that are the service's, and those that never came to it.
_ITS_OWN = frozenset({failures.NETWORK, failures.TIMEOUT, failures.SERVER})
_NOT_SENT = frozenset({failures.VALIDATION, failures.EGRESS_BLOCKED})


class GuardedCaller:
    """Makes gRPC calls whose target has no open breaker; who refuses what it is asked is well."""

    def __init__(self, caller: Caller, breakers: Breakers) -> None:
        self._caller = caller
        self._breakers = breakers

    async def call(self, rpc: Rpc) -> RpcAnswer:
        upstream = rpc.target.address.lower()
        self._breakers.admit(upstream)
        failed: bool | None = None
        try:
            answer = await self._caller.call(rpc)
            failed = False
            return answer
        except TaskFailure as failure:
            failed = None if failure.class_ in _NOT_SENT else failure.class_ in _ITS_OWN
            raise
        finally:
            self._breakers.tell(upstream, failed=failed)


def upstream_of(url: str) -> str:
    """Host, and port where the URL has one; the URL itself where it is none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower() or url[:128]
    except ValueError:
        return url[:128]
