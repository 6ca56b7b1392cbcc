"""The permits that this process grants: a ledger for each home partition that it owns."""

import asyncio
from collections.abc import Callable
from functools import partial

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.errors import WrongState
from flowmesh.orchestrator.limits.permit_holdings import (
    PermitHoldings,
    home_of,
    partition_of_token,
)
from flowmesh.orchestrator.limits.permit_ledger import (
    Counter,
    LimitValues,
    PermitLedger,
    PermitRequest,
)
from flowmesh.orchestrator.limits.permit_messages import request_of
from flowmesh.orchestrator.limits.ready_queues import Need
from flowmesh.orchestrator.limits.rules import Rules
from flowmesh.orchestrator.model.ids import PARTITION_COUNT
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.runtime import Clock


class PermitGrantor:
    """Ledgers by home partition, and the calls of other orchestrators about them.

    `grant` sends granted permits to an address; `pull` asks all peers to report their permits.
    """

    def __init__(
        self,
        *,
        ownership: Ownership,
        clock: Clock,
        holdings: PermitHoldings,
        grant: Callable[[str, PermitRequest], None],
        pull: Callable[[], None],
    ) -> None:
        self._ownership = ownership
        self._clock = clock
        self._holdings = holdings
        self._grant = grant
        self._pull = pull
        self._rules = Rules()
        self._ledgers: dict[int, PermitLedger] = {}
        # The order of the last request that each peer sent.
        self._orders: dict[str, int] = {}

    # --- this process ---

    def use_rules(self, rules: Rules) -> None:
        """Count by these limits from now on."""
        self._rules = rules

    def get(self, home: int) -> PermitLedger | None:
        """Return the ledger of a home partition; None if it has none."""
        return self._ledgers.get(home)

    def ledger(self, home: int) -> PermitLedger:
        """Return the ledger of an owned home partition; create it if it has none."""
        ledger = self._ledgers.get(home)
        if ledger is None:
            ledger = self._ledgers[home] = PermitLedger(
                limit_values=self._limit_values,
                now_ms=self._clock.monotonic_ms,
                wake_at=self._wake_at,
                partitions=PARTITION_COUNT,
            )
            ledger.report(self._holdings.recovered, self._holdings.held_for(home))
            self._pull()
        return ledger

    def report_own(self, partitions: dict[int, int]) -> None:
        """Enter the permits that tasks of these partitions of this process hold."""
        held = [each for each in self._holdings.held.values() if each.partition in partitions]
        for home, ledger in list(self._ledgers.items()):
            ledger.report(partitions, [each for each in held if home_of(each.namespace) == home])

    def pull_missing(self) -> None:
        """Repeat the call to peers while a ledger misses the report of a partition."""
        if any(ledger.unreported for ledger in self._ledgers.values()):
            self._pull()

    def drop_partitions(self, gone: set[int]) -> None:
        for partition in gone:
            if (ledger := self._ledgers.pop(partition, None)) is not None:
                ledger.close_requests()

    def serve_all(self) -> None:
        """Grant waiting requests that changed limits allow."""
        for ledger in list(self._ledgers.values()):
            ledger.serve_all()

    def counters(self, namespace: str) -> list[Counter]:
        """Return the counters of a namespace that this process keeps."""
        ledger = self._ledgers.get(home_of(namespace))
        return ledger.counters(namespace) if ledger is not None else []

    def _limit_values(self, namespace: str, need: Need) -> LimitValues | None:
        return self._rules.limit_values(namespace, need)

    def _wake_at(self, at_ms: float, wake: Callable[[], None]) -> None:
        delay_s = max(at_ms - self._clock.monotonic_ms(), 0) / 1000
        asyncio.get_running_loop().call_later(delay_s, wake)

    # --- calls of other orchestrators ---

    def requested(self, request: pb.AskPermitsRequest) -> list[str]:
        """Return the tokens whose permits are granted at once; grant the others later."""
        home = self._home(request.namespace)
        if not self._ownership.lease_valid:
            raise _not_home()
        if self._is_outdated(request.address, request.order):
            return []
        ledger = self.ledger(home)
        granted = partial(self._grant, request.address)
        requests = [request_of(request.namespace, each, granted) for each in request.asks]
        return [each.token for each in requests if ledger.take(each)]

    def released(self, request: pb.ReleasePermitsRequest) -> None:
        """Release permits, or close their rates if the request holds `retry_after_ms`."""
        home = self._home(request.namespace)
        if self._is_outdated(request.address, request.order):
            return
        ledger = self._ledgers.get(home)
        if ledger is None:
            return
        if request.retry_after_ms:
            for token in request.tokens:
                ledger.close(token, partition_of_token(token), request.retry_after_ms)
            return
        for token, epoch in zip(request.tokens, request.epochs, strict=False):
            ledger.release(token, partition_of_token(token), epoch)

    def reported(self, request: pb.ReportPermitsRequest) -> None:
        """Enter the permits that tasks of another orchestrator's partitions hold."""
        if self._is_outdated(request.address, request.order):
            return
        report = request.report
        partitions = dict(zip(report.partitions, report.epochs, strict=False))
        for home, ledger in list(self._ledgers.items()):
            held = [
                request_of(each.namespace, each.ask, _ignore_grant)
                for each in report.held
                if home_of(each.namespace) == home
            ]
            ledger.report(partitions, held, frozenset(report.wanted))

    def _home(self, namespace: str) -> int:
        home = home_of(namespace)
        if home not in self._ownership.epochs:
            raise _not_home()
        return home

    def _is_outdated(self, address: str, order: int) -> bool:
        """Return whether a newer request of the same sender has arrived before.

        The sender stopped waiting for this one and may have sent the opposite since.
        """
        if order and order <= self._orders.get(address, 0):
            return True
        if order:
            self._orders[address] = order
        return False


def _not_home() -> WrongState:
    return WrongState("NOT_HOME", "another orchestrator grants the permits of this namespace")


def _ignore_grant(_request: PermitRequest) -> None:
    """A reported permit is held already, so no grant is sent."""
