"""Routing of results and reports to the orchestrators that own their partitions."""

from collections.abc import Callable, Iterable

from flowmesh.worker import limits
from flowmesh.worker.leases import Lease
from flowmesh.worker.streams.orchestrator_stream import OrchestratorStream


class ResultRouter:
    """Sends each result to the owner of its partition, or keeps it until a stream takes it.

    `streams` are the connected ones by id, `waiting` the leases with results that no stream has,
    by token. `waited` is called when a result starts to wait.
    """

    def __init__(self, *, monotonic_ms: Callable[[], float], waited: Callable[[], None]) -> None:
        self._monotonic_ms = monotonic_ms
        self._waited = waited
        self.streams: dict[str, OrchestratorStream] = {}
        self.waiting: dict[str, Lease] = {}
        # The stream of the newest dispatch or claim of each partition.
        self._owners: dict[int, OrchestratorStream] = {}

    def set_owner(self, partition: int, stream: OrchestratorStream) -> None:
        """Route the results of a partition to a stream from now on."""
        self._owners[partition] = stream

    def reporting_to(self, lease: Lease) -> list[OrchestratorStream]:
        """Return the streams for reports on a running task: its own, or all if that is unknown.

        A new owner may know the task from a hello while the stream of the former one is live.
        """
        if lease.stream is None or not lease.stream.live or lease.shared:
            return list(self.streams.values())
        return [lease.stream]

    def route(self, lease: Lease) -> None:
        """Send a result to its orchestrator, or to the next one that has not refused it."""
        owner = self._owners.get(lease.partition)
        candidates = [lease.stream, owner]
        if lease.stream is None or lease.refused_by:
            candidates += self.streams.values()
        for stream in candidates:
            if stream is not None and stream.live and stream.id not in lease.refused_by:
                self.send(lease, stream)
                return
        if lease.refused_by:
            lease.stream = None
        self._wait(lease, restart=True)

    def send(self, lease: Lease, stream: OrchestratorStream) -> None:
        """Send a result on this stream."""
        self.waiting.pop(lease.token, None)
        stream.send_result(lease)

    def is_waiting(self, lease: Lease) -> bool:
        return lease.token in self.waiting

    def send_waiting(self, stream: OrchestratorStream) -> None:
        """Send the waiting results that a new stream can take."""
        for lease in list(self.waiting.values()):
            if lease.stream is None or lease.stream is stream:
                self.send(lease, stream)

    def disconnected(self, results: Iterable[Lease], *, heard: bool) -> None:
        """Keep the unacknowledged results of a broken stream.

        The waiting time restarts only if the orchestrator sent anything on that stream.
        """
        for lease in results:
            self._wait(lease, restart=heard)

    def retry_waiting(self, now_ms: float) -> None:
        """Offer results to every orchestrator once their own one is away for too long."""
        for lease in list(self.waiting.values()):
            away = lease.stream is not None and not lease.stream.live
            patience = limits.ORCHESTRATOR_AWAY_MS if away else limits.MOVED_RETRY_MS
            if now_ms - lease.waits_since_ms >= patience:
                lease.stream = None
                lease.refused_by.clear()
                self.route(lease)

    def _wait(self, lease: Lease, *, restart: bool) -> None:
        if lease.token not in self.waiting:
            if restart or not lease.waits_since_ms:
                lease.waits_since_ms = self._monotonic_ms()
            self._waited()
        self.waiting[lease.token] = lease
