"""Attempts at workers and messages of queues as calls of the map, from the kept metrics."""

from collections.abc import Iterable
from typing import Final

from flowmesh.api.observe.v1 import questions_pb2 as figures
from flowmesh.observe.questions.sums import Range, Sums
from flowmesh.observe.series import quantile_of

EDGES_MAX: Final = 100
P95: Final = 0.95
ORCHESTRATOR: Final = "orchestrator"
BROKER: Final = "broker"
CONSUMERS: Final = "consumers"


async def worker_calls(sums: Sums, span: Range) -> list[figures.ServiceCalls]:
    """Return the attempts at each worker, the busiest first."""
    labels = ("namespace", "worker")
    metric = "flowmesh_worker_attempt"
    outcomes = await sums.of(f"{metric}s_total", span, (*labels, "outcome"), {})
    seconds = await sums.of(f"{metric}_seconds_sum", span, labels, {})
    buckets = await sums.of(f"{metric}_seconds_bucket", span, (*labels, "le"), {})
    found: dict[tuple[str, ...], figures.ServiceCalls] = {}
    for (namespace, worker, outcome), count in outcomes.items():
        made = found.setdefault(
            (namespace, worker),
            figures.ServiceCalls(
                caller=ORCHESTRATOR,
                service=worker,
                namespace=namespace,
                kind=figures.SERVICE_CALLS_KIND_WORKER,
            ),
        )
        made.calls += round(count)
        made.errors += round(count) if outcome != "completed" else 0
    bounds: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    for (namespace, worker, bound), count in buckets.items():
        bounds.setdefault((namespace, worker), []).append((float(bound), count))
    for key, made in found.items():
        made.mean_ms = 1_000 * seconds.get(key, 0.0) / max(1, made.calls)
        if key in bounds:
            made.p95_ms = 1_000 * quantile_of(sorted(bounds[key]), P95)
    return _busiest(found.values())


async def queue_calls(sums: Sums, span: Range) -> list[figures.ServiceCalls]:
    """Return the messages to each queue, and those from it, the busiest first."""
    labels = ("namespace", "queue")
    published = await sums.of("messages_published_total", span, labels, {})
    consumed = await sums.of("messages_consumed_total", span, labels, {})
    failed = await sums.of("messages_failed_total", span, labels, {})
    to_queues = [
        figures.ServiceCalls(
            caller=BROKER,
            service=queue,
            namespace=namespace,
            kind=figures.SERVICE_CALLS_KIND_QUEUE,
            calls=round(count),
        )
        for (namespace, queue), count in published.items()
    ]
    from_queues = [
        figures.ServiceCalls(
            caller=queue,
            service=CONSUMERS,
            namespace=namespace,
            kind=figures.SERVICE_CALLS_KIND_CONSUMERS,
            calls=round(consumed.get((namespace, queue), 0.0)),
            errors=round(failed.get((namespace, queue), 0.0)),
        )
        for namespace, queue in consumed.keys() | failed.keys()
    ]
    return [*_busiest(to_queues), *_busiest(from_queues)]


def _busiest(found: Iterable[figures.ServiceCalls]) -> list[figures.ServiceCalls]:
    ordered = sorted(found, key=lambda each: (-each.calls, each.namespace, each.service))
    return ordered[:EDGES_MAX]
