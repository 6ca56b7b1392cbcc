"""The worker services attached to this orchestrator: their workers, credit, claims and breakers."""

from collections.abc import Iterable, Mapping

from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.orchestrator.dispatch.adoption import Adoption
from flowmesh.orchestrator.dispatch.attachment import WorkerStream
from flowmesh.orchestrator.dispatch.breakers import Breakers
from flowmesh.orchestrator.dispatch.claims import Claim, Claims
from flowmesh.orchestrator.dispatch.leases import Leases
from flowmesh.orchestrator.limits.ready_queues import Key, ReadyQueues
from flowmesh.orchestrator.ownership.attached_workers import AttachedWorkers
from flowmesh.runtime import Clock


class WorkerServices:
    """Attached streams, in the order in which they attached."""

    def __init__(
        self,
        *,
        clock: Clock,
        epochs: Mapping[int, int],
        leases: Leases,
        adoption: Adoption,
        ready: ReadyQueues,
        attached_workers: AttachedWorkers,
    ) -> None:
        self._clock = clock
        self._epochs = epochs
        self._leases = leases
        self._adoption = adoption
        self._ready = ready
        self._attached_workers = attached_workers
        self._claims = Claims()
        self.breakers = Breakers(clock)
        self.streams: list[WorkerStream] = []

    # --- attaching ---

    def attach(self, stream: WorkerStream, hello: pb.AttachHello) -> None:
        """Attach a worker service. Tasks that it holds stay with it; others are sent again.

        A later hello on the same stream only adds the tasks of a worker that reconnected.
        """
        if stream not in self.streams:
            stream.worker_service_id = hello.worker_service_id
            self.streams.append(stream)
        self._adoption.adopt(stream, hello.held)
        if (arrived := stream.arrived(hello)) is not None:
            self._leases.reattached(stream.worker_service_id)
            self._workers_arrived(arrived)

    def detach(self, stream: WorkerStream) -> None:
        if stream in self.streams:
            self.streams.remove(stream)
            self.breakers.remove(stream)
            self._leases.orphan(stream)
            self._claims.answered(stream)

    def _workers_arrived(self, workers: set[str]) -> None:
        self._claims.workers_arrived(workers)
        self._attached_workers.note(self.workers)

    def workers(self) -> set[str] | None:
        """Return the workers that the next owner should wait for if this process ends now.

        A worker counts if it has credit or a task, even if its stream has just broken. None while
        not all of them are known.
        """
        found = self._claims.awaited
        if found is None:
            return None
        found.update(lease.worker_id for lease in self._leases.all())
        for stream in self.streams:
            found |= stream.workers
        return found - {stream.worker_service_id for stream in self.streams if stream.local}

    def served_by(self, key: Key) -> tuple[int, int]:
        """Return the number of worker sets that take tasks of a kind, and their credit."""
        sets = [each for stream in self.streams for each in stream.sets.values() if each.takes(key)]
        return len(sets), sum(each.credit for each in sets)

    # --- credit ---

    def grant(self, stream: WorkerStream, grants: Iterable[pb.Grant]) -> None:
        now_us = self._clock.now_us()
        for grant in grants:
            if stream.grant(grant, self._ready.keys, now_us):
                self._workers_arrived({grant.worker_id})

    def recall(self, stream: WorkerStream, set_ids: Iterable[str]) -> None:
        """Return unused credit to the worker service."""
        for set_id in set_ids:
            stream.recall(set_id)

    def update_breakers(self, stream: WorkerStream, breakers: Iterable[pb.Breaker]) -> None:
        self.breakers.update(stream, breakers, self.streams)

    # --- claims ---

    def claim(self, partitions: Iterable[int], awaited: frozenset[str] | None) -> Claim:
        """Ask every attached worker service for its tasks; `awaited` are workers to wait for."""
        away = awaited
        if awaited is not None:
            away = awaited.difference(*(stream.workers for stream in self.streams))
        return self._claims.ask(self.streams, partitions, self._epochs, away)

    def end_claim(self, claim: Claim) -> None:
        """End a claim: tasks that no worker service holds by now are sent."""
        self._claims.end(claim)

    def held(self, stream: WorkerStream, answers: Iterable[pb.HeldTasks]) -> None:
        """Adopt the tasks that a worker service holds in claimed partitions."""
        partitions = set()
        for answer in answers:
            self._adoption.adopt(stream, answer.tasks)
            if not answer.more:
                partitions.add(answer.partition)
        self._claims.answered(stream, partitions)
