"""Permits of limits that span orchestrators: asked for where they are given, given to who asks.

All limits of a namespace are kept by the owner of one partition, which the namespace hashes to, so
that a task that needs several permits gets them at once or waits for them, and none is held idle.
What goes between two orchestrators is repeated until it is answered, with the renewal of the lease.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.api.execution.v1 import limits_service_pb2_grpc as pb_grpc
from flowmesh.errors import FlowmeshError, WrongState
from flowmesh.orchestrator.limits.permit_ledger import Ask, Counter, Numbers, PermitLedger
from flowmesh.orchestrator.limits.permit_messages import ask_message, ask_of
from flowmesh.orchestrator.limits.ready_queues import Need, ReadyTask
from flowmesh.orchestrator.limits.rules import Rules
from flowmesh.orchestrator.model.ids import PARTITION_COUNT, partition_of, partition_of_request
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.runtime import Clock

if TYPE_CHECKING:
    Stub = pb_grpc.PermitServiceAsyncStub

ASK_AGAIN_MS = 5_000
"""A permit that has not come is asked for again after so long: a message may be lost."""

CALL_TIMEOUT_S = 1.0
NAMESPACES_REMEMBERED = 10_000
_HOME = "limits"
_HERE, _NOWHERE = "here", "nowhere"


@lru_cache(NAMESPACES_REMEMBERED)
def home_of(namespace: str) -> int:
    """The partition whose owner gives the permits of a namespace."""
    return partition_of_request(namespace, _HOME)


@dataclass(slots=True)
class _Wanted:
    """An ask that waits, whom it was sent to, and when."""

    ask: Ask
    granted: Callable[[str], bool]
    address: str = _NOWHERE
    sent_ms: float = 0.0


class PermitClient:
    """The permits this process holds and waits for, and the books of those it gives."""

    def __init__(
        self,
        *,
        ownership: Ownership,
        clock: Clock,
        address: str,
        stub_at: Callable[[str], "Stub"],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._ownership = ownership
        self._clock = clock
        self._address = address
        self._stub_at = stub_at
        self._spawn = spawn
        self._rules = Rules()
        self._books: dict[int, PermitLedger] = {}
        self._held: dict[str, Ask] = {}
        self._wanted: dict[str, _Wanted] = {}
        # What a pass of the loop has collected for others.
        self._asking: dict[str, dict[str, list[Ask]]] = {}
        self._granting: dict[tuple[str, str], list[Ask]] = {}
        # Tokens to give back, by namespace, until whoever gives them has heard it, each with the
        # epoch at which it was held or wanted.
        self._releasing: dict[str, dict[str, int]] = {}
        self._flushing = False
        self._recovered: dict[int, int] = {}
        # Peers that were there when there was something to say; of them those that have not heard
        # yet what recovered partitions hold, and those that are told now.
        self._known: set[str] = set()
        self._untold: set[str] = set()
        self._speaking: set[str] = set()
        # Of what was said last by us, and of what was heard last from each peer.
        self._order = 0
        self._orders: dict[str, int] = {}

    # --- for the dispatcher ---

    def use_rules(self, rules: Rules) -> None:
        """Count by these limits from now on."""
        self._rules = rules

    def take(
        self,
        task: ReadyTask,
        token: str,
        needs: tuple[Need, ...],
        granted: Callable[[str], bool],
    ) -> bool:
        """Whether a task has its permits now; else `granted` is called with its token later.

        `granted` returns whether the task still wants them.
        """
        if token in self._held:
            return True
        namespace = task.key[0]
        # Wanted again by the same attempt, whose delivery was lost: what is not said is void.
        self._forget_release(namespace, token)
        epoch = self._ownership.epochs.get(task.partition, 0)
        ask = Ask(
            namespace, token, task.partition, epoch, needs, task.due_ms, task.fair, self._given
        )
        book = self._books.get(home_of(namespace))
        if book is not None and book.take(ask):
            self._held[token] = ask
            return True
        wanted = self._wanted[token] = _Wanted(ask, granted)
        if not self._ask(wanted):
            return False
        del self._wanted[token]
        self._held[token] = ask
        return True

    def _ask(self, wanted: _Wanted) -> bool:
        ask = wanted.ask
        home = home_of(ask.namespace)
        if home in self._ownership.epochs:
            wanted.address = _HERE
            return self._book(home).take(ask)
        wanted.address = self._ownership.owner_address(home) or _NOWHERE
        wanted.sent_ms = self._clock.monotonic_ms()
        if wanted.address != _NOWHERE:
            of = self._asking.setdefault(wanted.address, {})
            of.setdefault(ask.namespace, []).append(ask)
            self._flush_soon()
        return False

    def _given(self, ask: Ask) -> None:
        """The permits have come, from here or from elsewhere."""
        wanted = self._wanted.pop(ask.token, None)
        self._held[ask.token] = ask
        if wanted is None or not wanted.granted(ask.token):
            self.release(ask.token)

    def hold(self, namespace: str, token: str, needs: tuple[Need, ...]) -> None:
        """A task that runs already holds permits, whether they were there or not."""
        self._forget_release(namespace, token)
        partition = _partition(token)
        epoch = self._ownership.epochs.get(partition, 0)
        self._held[token] = Ask(namespace, token, partition, epoch, needs, 0.0, "", self._given)

    def release(self, token: str) -> None:
        """A task has ended, or does not want to leave any more."""
        wanted = self._wanted.pop(token, None)
        ask = self._held.pop(token, None) or (wanted.ask if wanted is not None else None)
        if ask is None:
            return
        home = home_of(ask.namespace)
        if home in self._ownership.epochs:
            if home in self._books:
                self._books[home].release(token, ask.partition, ask.epoch)
            return
        self._releasing.setdefault(ask.namespace, {})[token] = ask.epoch
        self._flush_soon()

    def close(self, token: str, for_ms: int) -> None:
        """What a task called wants to be left alone for so long."""
        ask = self._held.get(token)
        home = home_of(ask.namespace) if ask is not None else -1
        if ask is None:
            return
        if home in self._books:
            self._books[home].close(token, ask.partition, for_ms)
            return
        address = self._ownership.owner_address(home)
        if address:
            request = pb.ReleasePermitsRequest(
                namespace=ask.namespace, tokens=[token], retry_after_ms=for_ms
            )
            self._spawn(self._quietly(self._stub_at(address).ReleasePermits, request))

    def drop_partitions(self, gone: set[int]) -> None:
        """Their new owners say what they hold; permits whose home is gone are given elsewhere."""
        for partition in gone:
            self._recovered.pop(partition, None)
            if (book := self._books.pop(partition, None)) is not None:
                book.forget()
        for wanted in self._wanted.values():
            if home_of(wanted.ask.namespace) in gone:
                # The book knows of it no more, whoever has the next one.
                wanted.address = _NOWHERE
        for token in [t for t, ask in self._held.items() if ask.partition in gone]:
            del self._held[token]
        for token in [t for t, each in self._wanted.items() if each.ask.partition in gone]:
            del self._wanted[token]
        # What was given back here, to a home that somebody else had already, he does not know of.
        self.tell_peers()

    def recovered(self, partitions: Iterable[int]) -> None:
        """Everything these partitions have at workers is known, and held here."""
        epochs = self._ownership.epochs
        mine = {p: epochs[p] for p in partitions if p in epochs}
        self._recovered.update(mine)
        self.tell_anew(mine)

    def tell_anew(self, partitions: dict[int, int] | None = None) -> None:
        """Says to all who give permits what is held here."""
        of = self._recovered if partitions is None else partitions
        held = [ask for ask in self._held.values() if ask.partition in of]
        for home, book in list(self._books.items()):
            book.report(of, [ask for ask in held if home_of(ask.namespace) == home])
        self.tell_peers()

    def tell_peers(self) -> None:
        """Has everybody told what is held here."""
        self._known = set(self._ownership.peers())
        self._untold |= self._known
        self._flush_soon()

    def serve(self) -> None:
        """The limits have changed: some of those that wait may leave."""
        for book in list(self._books.values()):
            book.serve_all()

    def counters(self, namespace: str) -> list[Counter]:
        """What is counted here of a namespace."""
        book = self._books.get(home_of(namespace))
        return book.counters(namespace) if book is not None else []

    def _numbers(self, namespace: str, need: Need) -> Numbers | None:
        return self._rules.numbers(namespace, need)

    def _wake_at(self, at_ms: float, wake: Callable[[], None]) -> None:
        delay_s = max(at_ms - self._clock.monotonic_ms(), 0) / 1000
        asyncio.get_running_loop().call_later(delay_s, wake)

    # --- the books ---

    def _book(self, home: int) -> PermitLedger:
        book = self._books.get(home)
        if book is None:
            book = self._books[home] = PermitLedger(
                numbers=self._numbers,
                now_ms=self._clock.monotonic_ms,
                wake_at=self._wake_at,
                partitions=PARTITION_COUNT,
            )
            held = [ask for ask in self._held.values() if home_of(ask.namespace) == home]
            book.report(self._recovered, [ask for ask in held if ask.partition in self._recovered])
            self._pull()
        return book

    def _pull(self) -> None:
        for address in self._ownership.peers():
            call = self._stub_at(address).ReportPermits
            self._spawn(self._quietly(call, pb.ReportPermitsRequest()))

    def reported(self, request: pb.ReportPermitsRequest) -> None:
        """Another orchestrator says what the tasks of its partitions hold."""
        if self._is_late(request.address, request.order):
            return
        report = request.report
        partitions = dict(zip(report.partitions, report.epochs, strict=False))
        for home, book in list(self._books.items()):
            held = [
                ask_of(each.namespace, each.ask, _nobody)
                for each in report.held
                if home_of(each.namespace) == home
            ]
            book.report(partitions, held, frozenset(report.wanted))

    def report(self) -> pb.PermitReport:
        report = pb.PermitReport(partitions=self._recovered.keys(), epochs=self._recovered.values())
        for ask in self._held.values():
            if ask.partition in self._recovered:
                report.held.add(namespace=ask.namespace, ask=ask_message(ask))
        report.wanted.extend(self._wanted)
        return report

    # --- from others ---

    def _is_late(self, address: str, order: int) -> bool:
        """Whether something newer of the same sender has come before: it gave up waiting for this,
        and may have said the opposite since.
        """
        if order and order <= self._orders.get(address, 0):
            return True
        if order:
            self._orders[address] = order
        return False

    def asked(self, request: pb.AskPermitsRequest) -> list[str]:
        """The tokens that have their permits now; others are told at their address."""
        home = home_of(request.namespace)
        if home not in self._ownership.epochs or not self._ownership.lease_valid:
            raise WrongState("NOT_HOME", "the permits of this namespace are given elsewhere")
        if self._is_late(request.address, request.order):
            return []
        book = self._book(home)
        granted = partial(self._grant, request.address)
        asks = [ask_of(request.namespace, each, granted) for each in request.asks]
        return [ask.token for ask in asks if book.take(ask)]

    def _grant(self, address: str, ask: Ask) -> None:
        self._granting.setdefault((address, ask.namespace), []).append(ask)
        self._flush_soon()

    def granted(self, request: pb.GrantPermitsRequest) -> None:
        """Permits that were asked for have come.

        Those of a home of before, or under limits of before, are void.
        """
        for token, version in zip_longest(request.tokens, request.limits_versions):
            wanted = self._wanted.get(token)
            epoch = self._ownership.epochs.get(_partition(token))
            if wanted is not None:
                same = version in (None, wanted.ask.version)
                if same and wanted.address == request.address:
                    self._given(wanted.ask)
            elif token not in self._held and epoch is not None:
                self._releasing.setdefault(request.namespace, {})[token] = epoch
                self._flush_soon()

    def released(self, request: pb.ReleasePermitsRequest) -> None:
        home = home_of(request.namespace)
        if home not in self._ownership.epochs:
            raise WrongState("NOT_HOME", "the permits of this namespace are given elsewhere")
        if self._is_late(request.address, request.order):
            return
        book = self._books.get(home)
        if book is None:
            return
        if request.retry_after_ms:
            for token in request.tokens:
                book.close(token, _partition(token), request.retry_after_ms)
            return
        for token, epoch in zip(request.tokens, request.epochs, strict=False):
            book.release(token, _partition(token), epoch)

    # --- to others ---

    def renewed(self) -> None:
        """Once a second, with the lease: repeats what was not answered."""
        now_ms = self._clock.monotonic_ms()
        for wanted in list(self._wanted.values()):
            home = home_of(wanted.ask.namespace)
            here = home in self._ownership.epochs
            at = _HERE if here else self._ownership.owner_address(home)
            late = not here and now_ms - wanted.sent_ms >= ASK_AGAIN_MS
            if (wanted.address != at or late) and self._ask(wanted):
                self._given(wanted.ask)
        if any(book.unreported for book in self._books.values()):
            self._pull()
        peers = set(self._ownership.peers())
        # One that has come since may give permits that were held here before.
        self._untold |= peers - self._known
        self._known = peers
        if self._releasing or self._untold:
            self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._spawn(self._flush())

    async def _flush(self) -> None:
        self._flushing = False
        for namespace in list(self._releasing):
            if home_of(namespace) in self._ownership.epochs:
                self._release_here(namespace)
        peers = {*self._asking, *(address for address, _ in self._granting)}
        peers |= self._untold & set(self._ownership.peers())
        peers |= {self._home_address(namespace) for namespace in self._releasing}
        await asyncio.gather(*(self._say(at) for at in sorted(peers - self._speaking - {""})))

    async def _say(self, address: str) -> None:
        """Says to one peer what there is to say, a call after the other: what a report does not
        hold any more is given back behind it, and not before.
        """
        self._speaking.add(address)
        try:
            heard = True
            while heard and (call := self._next_call(address)) is not None:
                heard = await call
        finally:
            self._speaking.discard(address)

    def _next_call(self, address: str) -> Coroutine[Any, Any, bool] | None:
        if address in self._untold:
            self._untold.discard(address)
            return self._tell(address)
        for namespace, asks in self._asking.get(address, {}).items():
            del self._asking[address][namespace]
            return self._ask_there(address, namespace, asks)
        self._asking.pop(address, None)
        for key in [key for key in self._granting if key[0] == address]:
            grant = _grant_of(self._address, key[1], self._granting.pop(key))
            return self._heard(self._stub_at(address).GrantPermits, grant)
        for namespace in self._releasing:
            if self._home_address(namespace) == address:
                return self._release_there(address, namespace)
        return None

    def _home_address(self, namespace: str) -> str:
        """Of who gives the permits of a namespace; empty where that is us, or nobody."""
        return self._ownership.owner_address(home_of(namespace)) or ""

    async def _tell(self, address: str) -> bool:
        request = pb.ReportPermitsRequest(
            report=self.report(), address=self._address, order=self._next_order()
        )
        heard = await self._heard(self._stub_at(address).ReportPermits, request)
        if not heard:
            self._untold.add(address)
        return heard

    async def _ask_there(self, address: str, namespace: str, asks: list[Ask]) -> bool:
        request = pb.AskPermitsRequest(
            namespace=namespace,
            address=self._address,
            asks=[ask_message(each) for each in asks],
            order=self._next_order(),
        )
        answer = await self._quietly(self._stub_at(address).AskPermits, request)
        if answer is not None:
            tokens = set(answer.granted)
            given = [ask for ask in asks if ask.token in tokens]
            self.granted(_grant_of(address, namespace, given))
        return answer is not None

    async def _release_there(self, address: str, namespace: str) -> bool:
        tokens = self._releasing.pop(namespace)
        request = pb.ReleasePermitsRequest(
            namespace=namespace,
            tokens=tokens.keys(),
            epochs=tokens.values(),
            address=self._address,
            order=self._next_order(),
        )
        heard = await self._heard(self._stub_at(address).ReleasePermits, request)
        if not heard:
            for token, epoch in tokens.items():
                if token not in self._wanted and token not in self._held:
                    self._releasing.setdefault(namespace, {}).setdefault(token, epoch)
        return heard

    def _release_here(self, namespace: str) -> None:
        tokens, book = self._releasing.pop(namespace), self._books.get(home_of(namespace))
        for token, epoch in tokens.items() if book is not None else ():
            assert book is not None
            book.release(token, _partition(token), epoch)

    def _forget_release(self, namespace: str, token: str) -> None:
        """It is not to be given back."""
        left = self._releasing.get(namespace, {})
        if left.pop(token, None) is not None and not left:
            del self._releasing[namespace]

    def _next_order(self) -> int:
        # By the clock of the database, so that another process at this address goes on above it.
        self._order = max(self._order + 1, self._ownership.now_us())
        return self._order

    async def _heard(self, call: Callable[..., Any], request: Any) -> bool:
        return await self._quietly(call, request) is not None

    async def _quietly(self, call: Callable[..., Any], request: Any) -> Any:
        """The answer, or None: whatever was not answered is said again."""
        try:
            return await call(request, timeout=CALL_TIMEOUT_S)
        except FlowmeshError:
            return None


def _partition(token: str) -> int:
    """Of the execution whose attempt a token stands for."""
    return partition_of(token.partition("|")[0]) or 0


def _grant_of(address: str, namespace: str, given: list[Ask]) -> pb.GrantPermitsRequest:
    return pb.GrantPermitsRequest(
        address=address,
        namespace=namespace,
        tokens=[ask.token for ask in given],
        limits_versions=[ask.version for ask in given],
    )


def _nobody(_ask: Ask) -> None:
    """A permit that is held already is not granted."""
