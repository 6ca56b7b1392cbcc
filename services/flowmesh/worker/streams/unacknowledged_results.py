"""Results on one stream: numbered by frames, kept until the orchestrator acknowledges them."""

from collections import OrderedDict, deque

from flowmesh.api.worker.v1.dispatch_service_pb2 import AttachRequest
from flowmesh.worker import limits
from flowmesh.worker.leases import Lease


class UnacknowledgedResults:
    """Leases whose results are queued for a stream, or sent on it and not acknowledged."""

    def __init__(self) -> None:
        self._queued: deque[Lease] = deque()
        self._frames: OrderedDict[int, list[Lease]] = OrderedDict()
        self._last_frame = 0
        self._leases: dict[str, Lease] = {}
        self._bytes = 0

    @property
    def queued(self) -> bool:
        """True if results wait to be sent."""
        return bool(self._queued)

    @property
    def full(self) -> bool:
        """True while too many results wait for their acknowledgement."""
        return (
            len(self._leases) >= limits.UNACKNOWLEDGED_RESULTS_MAX
            or self._bytes >= limits.UNACKNOWLEDGED_BYTES_MAX
        )

    def leases(self) -> list[Lease]:
        return list(self._leases.values())

    def add(self, lease: Lease) -> None:
        """Queue the result of a lease."""
        lease.frame = 0
        self._queued.append(lease)
        self._leases[lease.token] = lease
        self._bytes += lease.result_bytes

    def withdraw(self, lease: Lease) -> None:
        """Drop a result that is settled or is sent on another stream."""
        if self._leases.pop(lease.token, None) is not None:
            self._bytes -= lease.result_bytes

    def add_to(self, request: AttachRequest, size: int) -> None:
        """Add queued results to a frame that has `size` bytes already."""
        sent: list[Lease] = []
        while self._queued and size < limits.FRAME_BYTES_MAX:
            lease = self._queued.popleft()
            if self._leases.get(lease.token) is not lease or lease.result is None:
                continue
            sent.append(lease)
            size += lease.result_bytes
        if sent:
            self._last_frame += 1
            for lease in sent:
                lease.frame = self._last_frame
            self._frames[self._last_frame] = sent
            request.results_frame = self._last_frame
            request.results.extend([lease.result for lease in sent if lease.result is not None])

    def acknowledge(self, frame: int) -> list[Lease]:
        """Remove and return the leases whose results the orchestrator applied up to a frame."""
        leases: list[Lease] = []
        while self._frames and next(iter(self._frames)) <= frame:
            number, sent = self._frames.popitem(last=False)
            for lease in sent:
                if lease.frame == number and self._leases.get(lease.token) is lease:
                    self.withdraw(lease)
                    leases.append(lease)
        return leases
