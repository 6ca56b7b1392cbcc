"""Attached workers as one orchestrator knows them: their slots, and its tasks at them."""

from collections import Counter
from collections.abc import Iterable

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.api.execution.v1.learned_routing_pb2 import LearnedRouting
from flowmesh.orchestrator.dispatch.attachment import WorkerSet
from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher
from flowmesh.orchestrator.dispatch.routing.router import LearnedRouter


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
        router = self._dispatcher.router
        return [
            _worker(each, running[each.worker_id], _routing(router, namespace, each))
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
        known.routing.MergeFrom(part.routing)
        known.attached_at_us = min(known.attached_at_us, part.attached_at_us)
    for each in found.values():
        _keep_best_known(each)
    return [found[name] for name in sorted(found)]


def _keep_best_known(worker: pb.AttachedWorker) -> None:
    """Keep what is learned of each kind that rests on the most results."""
    ordered = sorted(worker.routing, key=lambda each: each.results)
    kept = {(each.queue, each.task_type, each.requires): each for each in ordered}
    del worker.routing[:]
    worker.routing.extend(kept[kind] for kind in sorted(kept))


def _routing(
    router: LearnedRouter | None, namespace: str, worker_set: WorkerSet
) -> list[LearnedRouting]:
    """Return what was learned of the kinds of a namespace that a worker takes."""
    if router is None:
        return []
    return [
        LearnedRouting(
            queue=key[1],
            task_type=key[2],
            requires=key[3],
            expected_ms=history.expected_ms(worker_set.worker_id),
            results=history.results(worker_set.worker_id),
            used=history.verdict.used,
            reason=history.verdict.reason,
        )
        for key, history in router.histories()
        if key[0] == namespace and key in worker_set.keys
    ]


def _worker(
    worker_set: WorkerSet, running: int, routing: list[LearnedRouting]
) -> pb.AttachedWorker:
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
        routing=routing,
    )
