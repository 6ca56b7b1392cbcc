"""Permits that tasks of this process hold, and the requests for them that are pending."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.orchestrator.limits.permit_ledger import PermitRequest
from flowmesh.orchestrator.limits.permit_messages import request_message
from flowmesh.orchestrator.model.ids import partition_of, partition_of_request

NAMESPACES_REMEMBERED = 10_000
_HOME_KEY = "limits"

THIS_PROCESS, NO_OWNER = "here", "nowhere"
"""Receivers of a request that are no address: the own ledger, and a home without an owner."""


@lru_cache(NAMESPACES_REMEMBERED)
def home_of(namespace: str) -> int:
    """The partition whose owner grants the permits of a namespace."""
    return partition_of_request(namespace, _HOME_KEY)


def partition_of_token(token: str) -> int:
    """The partition of the execution to which the attempt with this token belongs."""
    return partition_of(token.partition("|")[0]) or 0


@dataclass(slots=True)
class PendingRequest:
    """A pending permit request: its receiver and the send time."""

    request: PermitRequest
    granted: Callable[[str], bool]
    address: str = NO_OWNER
    sent_ms: float = 0.0


class PermitHoldings:
    """Held permits and pending requests by token; partitions whose permits are all known."""

    def __init__(self) -> None:
        self.held: dict[str, PermitRequest] = {}
        self.pending: dict[str, PendingRequest] = {}
        # Epochs by partition.
        self.recovered: dict[int, int] = {}

    def held_for(self, home: int) -> list[PermitRequest]:
        """Return held permits of recovered partitions that this home partition grants."""
        return [
            each
            for each in self.held.values()
            if each.partition in self.recovered and home_of(each.namespace) == home
        ]

    def report(self) -> pb.PermitReport:
        report = pb.PermitReport(partitions=self.recovered.keys(), epochs=self.recovered.values())
        for each in self.held.values():
            if each.partition in self.recovered:
                report.held.add(namespace=each.namespace, ask=request_message(each))
        report.wanted.extend(self.pending)
        return report

    def drop_partitions(self, gone: Iterable[int]) -> None:
        """Forget the permits of partitions; their new owner reports them."""
        lost = set(gone)
        for partition in lost:
            self.recovered.pop(partition, None)
        for pending in self.pending.values():
            if home_of(pending.request.namespace) in lost:
                # The next ledger of this home does not know the request.
                pending.address = NO_OWNER
        for token in [t for t, each in self.held.items() if each.partition in lost]:
            del self.held[token]
        for token in [t for t, each in self.pending.items() if each.request.partition in lost]:
            del self.pending[token]
