"""Messages about permits to other orchestrators, repeated until they are answered."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.api.execution.v1 import limits_service_pb2_grpc as pb_grpc
from flowmesh.errors import FlowmeshError
from flowmesh.orchestrator.limits.permit_holdings import PermitHoldings, home_of
from flowmesh.orchestrator.limits.permit_ledger import PermitRequest
from flowmesh.orchestrator.limits.permit_messages import grant_of, request_message
from flowmesh.orchestrator.ownership.ownership import Ownership

if TYPE_CHECKING:
    Stub = pb_grpc.PermitServiceAsyncStub

CALL_TIMEOUT_S = 1.0


class PermitExchange:
    """Collects messages of one pass of the event loop and sends them peer by peer.

    `granted` takes permits that a peer grants at once. `release_here` takes tokens of a namespace
    whose home this process has become.
    """

    def __init__(
        self,
        *,
        ownership: Ownership,
        address: str,
        stub_at: Callable[[str], "Stub"],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        holdings: PermitHoldings,
        granted: Callable[[pb.GrantPermitsRequest], None],
        release_here: Callable[[str, dict[str, int]], None],
    ) -> None:
        self._ownership = ownership
        self._address = address
        self._stub_at = stub_at
        self._spawn = spawn
        self._holdings = holdings
        self._granted = granted
        self._release_here = release_here
        # By address and namespace.
        self._requests: dict[str, dict[str, list[PermitRequest]]] = {}
        self._grants: dict[tuple[str, str], list[PermitRequest]] = {}
        # Tokens to release until their grantor confirms: by namespace, each with the epoch at which
        # the permit was held or requested.
        self._releases: dict[str, dict[str, int]] = {}
        self._flushing = False
        # Live peers as last seen; those without a report of recovered partitions; those to which a
        # call is in flight.
        self._peers: set[str] = set()
        self._unsynced_peers: set[str] = set()
        self._syncing_peers: set[str] = set()
        self._order = 0

    # --- messages to send ---

    def request(self, address: str, request: PermitRequest) -> None:
        """Request permits from the orchestrator at this address."""
        by_namespace = self._requests.setdefault(address, {})
        by_namespace.setdefault(request.namespace, []).append(request)
        self._flush_soon()

    def grant(self, address: str, request: PermitRequest) -> None:
        """Send granted permits to the orchestrator that requested them."""
        self._grants.setdefault((address, request.namespace), []).append(request)
        self._flush_soon()

    def release(self, namespace: str, token: str, epoch: int) -> None:
        """Release the permits of a token at the grantor of its namespace."""
        self._releases.setdefault(namespace, {})[token] = epoch
        self._flush_soon()

    def cancel_release(self, namespace: str, token: str) -> None:
        """Drop the release of a token that is not sent yet."""
        left = self._releases.get(namespace, {})
        if left.pop(token, None) is not None and not left:
            del self._releases[namespace]

    def close(self, namespace: str, token: str, for_ms: int) -> None:
        """Close the narrowest rate that a held token uses, at its grantor; sent once."""
        address = self._home_address(namespace)
        if address:
            request = pb.ReleasePermitsRequest(
                namespace=namespace, tokens=[token], retry_after_ms=for_ms
            )
            self._spawn(self._call(self._stub_at(address).ReleasePermits, request))

    def sync_peers(self) -> None:
        """Report held permits to all live peers."""
        self._peers = set(self._ownership.peers())
        self._unsynced_peers |= self._peers
        self._flush_soon()

    def pull_reports(self) -> None:
        """Ask all live peers to report the permits that they hold."""
        for address in self._ownership.peers():
            call = self._stub_at(address).ReportPermits
            self._spawn(self._call(call, pb.ReportPermitsRequest()))

    def renewed(self) -> None:
        """Repeat unanswered messages; called once a second with the renewal of the lease."""
        peers = set(self._ownership.peers())
        # A new peer may be the grantor of permits that this process already holds.
        self._unsynced_peers |= peers - self._peers
        self._peers = peers
        if self._releases or self._unsynced_peers:
            self._flush_soon()

    # --- sending ---

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._spawn(self._flush())

    async def _flush(self) -> None:
        self._flushing = False
        for namespace in list(self._releases):
            if home_of(namespace) in self._ownership.epochs:
                self._release_here(namespace, self._releases.pop(namespace))
        peers = {*self._requests, *(address for address, _ in self._grants)}
        peers |= self._unsynced_peers & set(self._ownership.peers())
        peers |= {self._home_address(namespace) for namespace in self._releases}
        await asyncio.gather(*(self._sync(at) for at in sorted(peers - self._syncing_peers - {""})))

    async def _sync(self, address: str) -> None:
        """Send all messages for one peer, one call after the other.

        The release of a permit must follow the last report that contains it.
        """
        self._syncing_peers.add(address)
        try:
            is_answered = True
            while is_answered and (call := self._next_call(address)) is not None:
                is_answered = await call
        finally:
            self._syncing_peers.discard(address)

    def _next_call(self, address: str) -> Coroutine[Any, Any, bool] | None:
        if address in self._unsynced_peers:
            self._unsynced_peers.discard(address)
            return self._send_report(address)
        for namespace, requests in self._requests.get(address, {}).items():
            del self._requests[address][namespace]
            return self._send_requests(address, namespace, requests)
        self._requests.pop(address, None)
        for key in [key for key in self._grants if key[0] == address]:
            grant = grant_of(self._address, key[1], self._grants.pop(key))
            return self._is_answered(self._stub_at(address).GrantPermits, grant)
        for namespace in self._releases:
            if self._home_address(namespace) == address:
                return self._send_releases(address, namespace)
        return None

    def _home_address(self, namespace: str) -> str:
        """Return the address of a namespace's grantor; empty if it is this process or unknown."""
        return self._ownership.owner_address(home_of(namespace)) or ""

    async def _send_report(self, address: str) -> bool:
        request = pb.ReportPermitsRequest(
            report=self._holdings.report(), address=self._address, order=self._next_order()
        )
        is_answered = await self._is_answered(self._stub_at(address).ReportPermits, request)
        if not is_answered:
            self._unsynced_peers.add(address)
        return is_answered

    async def _send_requests(
        self, address: str, namespace: str, requests: list[PermitRequest]
    ) -> bool:
        request = pb.AskPermitsRequest(
            namespace=namespace,
            address=self._address,
            asks=[request_message(each) for each in requests],
            order=self._next_order(),
        )
        answer = await self._call(self._stub_at(address).AskPermits, request)
        if answer is not None:
            tokens = set(answer.granted)
            granted = [each for each in requests if each.token in tokens]
            self._granted(grant_of(address, namespace, granted))
        return answer is not None

    async def _send_releases(self, address: str, namespace: str) -> bool:
        tokens = self._releases.pop(namespace)
        request = pb.ReleasePermitsRequest(
            namespace=namespace,
            tokens=tokens.keys(),
            epochs=tokens.values(),
            address=self._address,
            order=self._next_order(),
        )
        is_answered = await self._is_answered(self._stub_at(address).ReleasePermits, request)
        if not is_answered:
            pending, held = self._holdings.pending, self._holdings.held
            for token, epoch in tokens.items():
                if token not in pending and token not in held:
                    self._releases.setdefault(namespace, {}).setdefault(token, epoch)
        return is_answered

    def _next_order(self) -> int:
        # By the database clock: a later process at this address continues above this order.
        self._order = max(self._order + 1, self._ownership.now_us())
        return self._order

    async def _is_answered(self, call: Callable[..., Any], request: Any) -> bool:
        return await self._call(call, request) is not None

    async def _call(self, call: Callable[..., Any], request: Any) -> Any:
        """Return the answer, or None if there is none: the message is sent again later."""
        try:
            return await call(request, timeout=CALL_TIMEOUT_S)
        except FlowmeshError:
            return None
