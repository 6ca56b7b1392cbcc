"""Attached workers as one orchestrator knows them: their slots, and its tasks at them."""

from collections import Counter
from collections.abc import Iterable

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.orchestrator.dispatch.attachment import WorkerSet
from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher


class WorkerList:
    """Counts on request; every worker service is attached to every orchestrator."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def of(self, namespace: str) -> list[pb.AttachedWorker]:
        """Return the workers that take tasks of a namespace."""
        leases = self._dispatcher.leases.all()
        running = Counter(
            each.worker_id for each in leases if each.key is not None and each.key[0] == namespace
        )
        return [
            _worker(each, running[each.worker_id])
            for stream in self._dispatcher.services.streams
            for each in stream.sets.values()
            if not each.grant.namespaces or namespace in each.grant.namespaces
        ]


def merged(workers: Iterable[pb.AttachedWorker]) -> list[pb.AttachedWorker]:
    """Return the workers of several orchestrators once each, with the sums of their tasks."""
    found: dict[tuple[bool, str, str], pb.AttachedWorker] = {}
    for part in workers:
        name = (part.builtin, part.worker_id, part.worker_service_id)
        known = found.setdefault(name, part)
        if known is part:
            continue
        known.running += part.running
        known.slots = max(known.slots, part.slots)
        known.attached_at_us = min(known.attached_at_us, part.attached_at_us)
    return [found[name] for name in sorted(found)]


def _worker(worker_set: WorkerSet, running: int) -> pb.AttachedWorker:
    service = worker_set.stream.worker_service_id
    grant = worker_set.grant
    return pb.AttachedWorker(
        worker_id=worker_set.worker_id,
        worker_service_id=service,
        builtin=worker_set.worker_id == service,
        queues=grant.queues,
        task_types=grant.task_types,
        labels=grant.labels,
        slots=worker_set.slots,
        running=running,
        attached_at_us=worker_set.attached_at_us,
        version=grant.version,
    )
