"""Statistics of queues in one process: waiting tasks by cause, running tasks, credit."""

from collections.abc import Iterable
from typing import Any, cast

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher
from flowmesh.orchestrator.dispatch.statistics.loads import Loads, recommend
from flowmesh.orchestrator.limits.ready_queues import Key, ReadyTask


class Queues:
    """Counts on request; only loads are sampled in advance."""

    def __init__(self, dispatcher: Dispatcher, loads: Loads) -> None:
        self._dispatcher = dispatcher
        self._loads = loads

    def of(self, namespace: str, now_ms: float) -> list[pb.QueueStats]:
        """Return the queues of a namespace in this process, by name and task type."""
        dispatcher = self._dispatcher
        found: dict[Key, pb.QueueStats] = {}

        def queue(key: Key) -> pb.QueueStats:
            stats = found.get(key)
            if stats is None:
                stats = found[key] = pb.QueueStats(queue=key[1], task_type=key[2], requires=key[3])
                stats.failed = dispatcher.results.failed.get(key, 0)
                stats.worker_sets, stats.credit = dispatcher.services.served_by(key)
                stats.max_size = dispatcher.limiter.rules.sizes.get(key[:2], 0)
                self._loads.put(key, stats)
            return stats

        def waits(task: ReadyTask) -> pb.QueueStats:
            stats = queue(task.key)
            stats.ready += 1
            stats.oldest_ms = max(stats.oldest_ms, int(now_ms - task.since_ms))
            if task.priority > stats.highest:
                stats.highest = cast("Any", task.priority)
            return stats

        for key in dispatcher.ready.keys:
            if key[0] == namespace:
                queue(key).overflowed = dispatcher.ready.has_more(key)
        for task in dispatcher.ready.tasks():
            if task.key[0] == namespace:
                waits(task)
        for task in dispatcher.limiter.waiting():
            if task.key[0] == namespace:
                waits(task).waiting_for_limits += 1
        for _, task in dispatcher.limiter.stopped():
            if task.key[0] == namespace:
                waits(task).stopped += 1
        for lease in dispatcher.leases.all():
            if lease.key is not None and lease.key[0] == namespace:
                queue(lease.key).running += 1
        return [found[key] for key in sorted(found)]

    def merged(self, queues: Iterable[pb.QueueStats]) -> list[pb.QueueStats]:
        """Return the sums of the statistics of several processes."""
        found: dict[tuple[str, str, str], pb.QueueStats] = {}
        for part in queues:
            name = (part.queue, part.task_type, part.requires)
            known = found.get(name)
            if known is None:
                found[name] = part
                continue
            for field in ("ready", "waiting_for_limits", "stopped", "running", "failed", "credit"):
                setattr(known, field, getattr(known, field) + getattr(part, field))
            # Every worker set is attached to every orchestrator.
            known.worker_sets = max(known.worker_sets, part.worker_sets)
            known.oldest_ms = max(known.oldest_ms, part.oldest_ms)
            if part.highest > known.highest:
                known.highest = part.highest
            known.overflowed |= part.overflowed
            arrivals = known.arrivals_per_second + part.arrivals_per_second
            if arrivals:
                known.service_ms = (
                    known.arrivals_per_second * known.service_ms
                    + part.arrivals_per_second * part.service_ms
                ) / arrivals
            known.arrivals_per_second = arrivals
        for each in found.values():
            recommend(each)
        return [found[name] for name in sorted(found)]
