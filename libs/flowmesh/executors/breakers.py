"""Circuit breakers by upstream: calls to a failing upstream stop, then one trial call is made.

Closed: calls are sent. Open, after too many failures: attempts fail at once with CIRCUIT_OPEN and
the time until the trial. Half open: one trial call is sent, and its outcome decides. Worker
services report opened breakers to each other and open theirs too.
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
"""The period in which outcomes are counted."""

CALLS_MIN = 20
FAILURES_SHARE = 0.5
"""A breaker opens after this many calls in its window of which this share failed."""

OPEN_MS = 5_000
OPEN_MS_MAX = 60_000
"""Bounds of the open time, which doubles after each failed trial call."""

UPSTREAMS_MAX = 10_000
"""The maximum of breakers; the least recently used one is evicted."""


class State(Enum):
    """The state of a breaker."""

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
    """The breakers of a process; `changed` is called for each that opens or closes."""

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
        """Admit a call; the caller must `record` its outcome. Raises CIRCUIT_OPEN."""
        breaker = self._breakers.get(upstream)
        if breaker is None or breaker.state is State.CLOSED:
            return
        now_ms = self._monotonic_ms()
        if breaker.state is State.OPEN and now_ms >= breaker.until_ms:
            self._change(breaker, State.HALF_OPEN)
            # Limits the wait for an outcome that is never recorded.
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

    def record(self, upstream: str, *, failed: bool | None) -> None:
        """Record the outcome of an admitted call; None if it is unknown, so the next call tries."""
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
                self._change(breaker, State.CLOSED)
            case State.OPEN:
                # The call was sent before the breaker opened.
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
            # Keep half of the last window, unless it ended long ago.
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
        self._change(breaker, State.OPEN)

    def opened_elsewhere(self, upstream: str, for_ms: float) -> None:
        """Open a breaker that another process has opened, without reporting it again."""
        breaker = self._used(upstream)
        if breaker.state is State.CLOSED:
            breaker.state = State.OPEN
            breaker.until_ms = self._monotonic_ms() + min(for_ms, OPEN_MS_MAX)
            breaker.calls = breaker.failures = 0

    def _change(self, breaker: Breaker, state: State) -> None:
        breaker.state = state
        self.changed(breaker)

    def not_closed(self) -> list[Breaker]:
        """Return the breakers that are open or half open."""
        return [each for each in self._breakers.values() if each.state is not State.CLOSED]

    def wait_ms(self, breaker: Breaker) -> int:
        """Return the time until the trial call, in ms."""
        return max(0, math.ceil(breaker.until_ms - self._monotonic_ms()))


class GuardedSender:
    """A Sender behind breakers. A status of 500 or above counts as a failure."""

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
        # The outcome of a canceled or rejected call is unknown.
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
            self._breakers.record(upstream, failed=failed)


# Failures that the service caused, or that prevented the call from reaching it.
_SERVICE_FAILURES = frozenset({failures.NETWORK, failures.TIMEOUT, failures.SERVER})
_NOT_SENT = frozenset({failures.VALIDATION, failures.EGRESS_BLOCKED})


class GuardedCaller:
    """A gRPC Caller behind breakers. A refusal of the request does not count as a failure."""

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
            failed = None if failure.class_ in _NOT_SENT else failure.class_ in _SERVICE_FAILURES
            raise
        finally:
            self._breakers.record(upstream, failed=failed)


def upstream_of(url: str) -> str:
    """Return the host, with the port if the URL has one; invalid URLs are returned as they are."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower() or url[:128]
    except ValueError:
        return url[:128]
