"""Turns of namespaces at the children of a pool: round robin, with a bounded queue for each.

The namespace of a call is that of the asyncio task that makes it (`on_behalf_of`), so that no way
to the pool can lack it. Bookkeeping without I/O.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count

from flowmesh.errors import Overloaded

# Calls that wait: of one namespace, and of all.
WAITING_OF_ONE_MAX = 1_000
WAITING_MAX = 10_000
# Namespaces whose last turn is remembered.
NAMESPACES_MAX = 10_000
# Turns beyond the regular ones, for namespaces that have none.
SPARE_TURNS = 6


@dataclass(frozen=True, slots=True)
class Account:
    """The namespace and execution that a call is counted for."""

    namespace: str = ""
    execution_id: str = ""


_NO_ACCOUNT = Account()
_ACCOUNT: ContextVar[Account] = ContextVar("account", default=_NO_ACCOUNT)


def current_account() -> Account:
    return _ACCOUNT.get()


@contextmanager
def on_behalf_of(namespace: str, execution_id: str = "") -> Iterator[None]:
    """Count the calls of this asyncio task for a namespace and an execution."""
    token = _ACCOUNT.set(Account(namespace, execution_id))
    try:
        yield
    finally:
        _ACCOUNT.reset(token)


class Turns:
    """At most `regular` turns at a time, plus spare ones for namespaces without a turn.

    A free turn goes to the waiting namespace with the fewest turns, and of those to the one whose
    last turn began first. So a namespace gets a second turn only when every one that waits has one.
    """

    def __init__(self, regular: int, spare: int = SPARE_TURNS) -> None:
        self._regular = regular
        self._spare = spare
        self._taken: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        # The number of the last turn by namespace, the oldest first.
        self._last: OrderedDict[str, int] = OrderedDict()
        self._numbers = count(1)
        self._total = 0

    @property
    def waiting(self) -> int:
        """Return the number of calls that wait."""
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def turn(self, namespace: str) -> AsyncIterator[None]:
        """Wait for a turn and hold it. Raises Overloaded if too many calls wait."""
        await self._take(namespace)
        try:
            yield
        finally:
            self._give_back(namespace)

    async def _take(self, namespace: str) -> None:
        if len(self._waiting.get(namespace, ())) >= WAITING_OF_ONE_MAX:
            message = f"{WAITING_OF_ONE_MAX} calls of the namespace already wait for the sandbox"
            raise Overloaded("OVERLOADED", message, retry_after_ms=1_000)
        if self.waiting >= WAITING_MAX:
            message = f"{WAITING_MAX} calls already wait for the sandbox"
            raise Overloaded("OVERLOADED", message, retry_after_ms=1_000)
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(namespace, deque()).append(granted)
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._forget(namespace, granted)
            else:  # granted just before the cancellation
                self._give_back(namespace)
            raise

    def _give_back(self, namespace: str) -> None:
        self._total -= 1
        self._taken[namespace] -= 1
        if not self._taken[namespace]:
            del self._taken[namespace]
        self._grant()

    def _grant(self) -> None:
        while self._waiting:
            namespace = min(self._waiting, key=self._rank)
            has_turn = self._turns_of(namespace) > 0
            if self._total >= self._regular + (0 if has_turn else self._spare):
                return
            granted = self._waiting[namespace].popleft()
            if not self._waiting[namespace]:
                del self._waiting[namespace]
            if not granted.done():  # else canceled
                self._total += 1
                self._taken[namespace] = self._turns_of(namespace) + 1
                self._note(namespace)
                granted.set_result(None)

    def _note(self, namespace: str) -> None:
        self._last[namespace] = next(self._numbers)
        self._last.move_to_end(namespace)
        if len(self._last) > NAMESPACES_MAX:
            self._last.popitem(last=False)

    def _rank(self, namespace: str) -> tuple[int, int]:
        return self._turns_of(namespace), self._last.get(namespace, 0)

    def _turns_of(self, namespace: str) -> int:
        return self._taken.get(namespace, 0)

    def _forget(self, namespace: str, granted: asyncio.Future[None]) -> None:
        queue = self._waiting.get(namespace)
        if queue is not None and granted in queue:
            queue.remove(granted)
            if not queue:
                del self._waiting[namespace]
