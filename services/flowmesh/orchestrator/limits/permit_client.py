"""Permits of limits that span orchestrators, for the tasks of this process.

The owner of one partition, to which the namespace hashes, keeps all limits of the namespace. A
task that needs several permits gets all of them at once or waits, so no permit is held idle.
Messages between orchestrators are repeated until they are answered, with each lease renewal.
"""

from collections.abc import Callable, Coroutine, Iterable
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.api.execution.v1 import limits_service_pb2_grpc as pb_grpc
from flowmesh.orchestrator.limits.permit_exchange import PermitExchange
from flowmesh.orchestrator.limits.permit_grantor import PermitGrantor
from flowmesh.orchestrator.limits.permit_holdings import (
    NO_OWNER,
    THIS_PROCESS,
    PendingRequest,
    PermitHoldings,
    home_of,
    partition_of_token,
)
from flowmesh.orchestrator.limits.permit_ledger import PermitRequest
from flowmesh.orchestrator.limits.ready_queues import Need, ReadyTask
from flowmesh.orchestrator.limits.rules import Rules
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.runtime import Clock

if TYPE_CHECKING:
    Stub = pb_grpc.PermitServiceAsyncStub

REPEAT_REQUEST_MS = 5_000
"""A pending request is sent again after this time: a message may be lost."""


class PermitClient:
    """Acquires and releases the permits of tasks, from the own ledger or from another owner's."""

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
        self._holdings = PermitHoldings()
        self._exchange = PermitExchange(
            ownership=ownership,
            address=address,
            stub_at=stub_at,
            spawn=spawn,
            holdings=self._holdings,
            granted=self.granted,
            release_here=self._release_here,
        )
        self.grantor = PermitGrantor(
            ownership=ownership,
            clock=clock,
            holdings=self._holdings,
            grant=self._exchange.grant,
            pull=self._exchange.pull_reports,
        )

    def take(
        self,
        task: ReadyTask,
        token: str,
        needs: tuple[Need, ...],
        granted: Callable[[str], bool],
    ) -> bool:
        """Acquire a task's permits. Return True if granted at once; else call `granted` later.

        `granted` gets the token and returns whether the task still needs the permits.
        """
        holdings = self._holdings
        if token in holdings.held:
            return True
        namespace = task.key[0]
        # An attempt whose delivery was lost requests again: its unsent release is void.
        self._exchange.cancel_release(namespace, token)
        epoch = self._ownership.epochs.get(task.partition, 0)
        request = PermitRequest(
            namespace, token, task.partition, epoch, needs, task.due_ms, task.fair, self._enter
        )
        ledger = self.grantor.get(home_of(namespace))
        if ledger is not None and ledger.take(request):
            holdings.held[token] = request
            return True
        pending = holdings.pending[token] = PendingRequest(request, granted)
        if not self._send(pending):
            return False
        del holdings.pending[token]
        holdings.held[token] = request
        return True

    def _send(self, pending: PendingRequest) -> bool:
        """Send a request to the grantor. Return True if the own ledger grants it at once."""
        request = pending.request
        home = home_of(request.namespace)
        if home in self._ownership.epochs:
            pending.address = THIS_PROCESS
            return self.grantor.ledger(home).take(request)
        pending.address = self._ownership.owner_address(home) or NO_OWNER
        pending.sent_ms = self._clock.monotonic_ms()
        if pending.address != NO_OWNER:
            self._exchange.request(pending.address, request)
        return False

    def _enter(self, request: PermitRequest) -> None:
        """Enter granted permits, from the own ledger or from another owner's."""
        pending = self._holdings.pending.pop(request.token, None)
        self._holdings.held[request.token] = request
        if pending is None or not pending.granted(request.token):
            self.release(request.token)

    def hold(self, namespace: str, token: str, needs: tuple[Need, ...]) -> None:
        """Enter the permits of a task that already runs, even beyond the limits."""
        self._exchange.cancel_release(namespace, token)
        partition = partition_of_token(token)
        epoch = self._ownership.epochs.get(partition, 0)
        self._holdings.held[token] = PermitRequest(
            namespace, token, partition, epoch, needs, 0.0, "", self._enter
        )

    def release(self, token: str) -> None:
        """Release the permits of a task that has ended or is not sent any more."""
        pending = self._holdings.pending.pop(token, None)
        request = self._holdings.held.pop(token, None)
        if request is None and pending is not None:
            request = pending.request
        if request is None:
            return
        home = home_of(request.namespace)
        if home not in self._ownership.epochs:
            self._exchange.release(request.namespace, token, request.epoch)
        elif (ledger := self.grantor.get(home)) is not None:
            ledger.release(token, request.partition, request.epoch)

    def _release_here(self, namespace: str, tokens: dict[str, int]) -> None:
        ledger = self.grantor.get(home_of(namespace))
        if ledger is not None:
            for token, epoch in tokens.items():
                ledger.release(token, partition_of_token(token), epoch)

    def close(self, token: str, for_ms: int) -> None:
        """Close the narrowest rate that a task uses: its upstream asked for a pause."""
        request = self._holdings.held.get(token)
        if request is None:
            return
        ledger = self.grantor.get(home_of(request.namespace))
        if ledger is not None:
            ledger.close(token, request.partition, for_ms)
        else:
            self._exchange.close(request.namespace, token, for_ms)

    def granted(self, request: pb.GrantPermitsRequest) -> None:
        """Enter permits that another orchestrator grants.

        A grant of a former home, or under former limits, is void.
        """
        for token, version in zip_longest(request.tokens, request.limits_versions):
            pending = self._holdings.pending.get(token)
            epoch = self._ownership.epochs.get(partition_of_token(token))
            if pending is not None:
                is_current = version in (None, pending.request.version)
                if is_current and pending.address == request.address:
                    self._enter(pending.request)
            elif token not in self._holdings.held and epoch is not None:
                self._exchange.release(request.namespace, token, epoch)

    # --- changes of owners, partitions and limits ---

    def use_rules(self, rules: Rules) -> None:
        """Count by these limits from now on."""
        self.grantor.use_rules(rules)

    def serve_all(self) -> None:
        """Grant waiting requests that changed limits allow."""
        self.grantor.serve_all()

    def drop_partitions(self, gone: set[int]) -> None:
        """Forget partitions that this process has lost, both as an owner of tasks and as a home."""
        self.grantor.drop_partitions(gone)
        self._holdings.drop_partitions(gone)
        # A release sent to this process after it lost a home is unknown to the next one.
        self.sync_peers()

    def recovered(self, partitions: Iterable[int]) -> None:
        """Report these partitions: all of their tasks at workers are known now."""
        epochs = self._ownership.epochs
        mine = {p: epochs[p] for p in partitions if p in epochs}
        self._holdings.recovered.update(mine)
        self.report_held(mine)

    def report_held(self, partitions: dict[int, int] | None = None) -> None:
        """Report held permits to all grantors; None stands for all recovered partitions."""
        self.grantor.report_own(self._holdings.recovered if partitions is None else partitions)
        self.sync_peers()

    def sync_peers(self) -> None:
        """Report held permits to all live peers."""
        self._exchange.sync_peers()

    def report(self) -> pb.PermitReport:
        return self._holdings.report()

    def renewed(self) -> None:
        """Repeat unanswered requests; called once a second with the renewal of the lease."""
        now_ms = self._clock.monotonic_ms()
        for pending in list(self._holdings.pending.values()):
            home = home_of(pending.request.namespace)
            is_here = home in self._ownership.epochs
            address = THIS_PROCESS if is_here else self._ownership.owner_address(home)
            is_late = not is_here and now_ms - pending.sent_ms >= REPEAT_REQUEST_MS
            if (pending.address != address or is_late) and self._send(pending):
                self._enter(pending.request)
        self.grantor.pull_missing()
        self._exchange.renewed()
