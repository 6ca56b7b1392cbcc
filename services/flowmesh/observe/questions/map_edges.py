"""Attempts, messages and requests of applications as calls of the map, from kept metrics."""

from collections.abc import Iterable
from typing import Final

from flowmesh.api.observe.v1 import questions_pb2 as figures
from flowmesh.observe.questions.sums import Range, Sums

EDGES_MAX: Final = 100
P95: Final = 0.95
ORCHESTRATOR: Final = "orchestrator"
BROKER: Final = "broker"
CONSUMERS: Final = "consumers"


async def _named_calls(
    sums: Sums,
    span: Range,
    kind: figures.ServiceCallsKind.ValueType,
    *,
    metric: str,
    label: str,
    caller: str = "",
) -> list[figures.ServiceCalls]:
    """Return the calls of each value of a label by a metric of outcomes, the busiest first."""
    labels = ("namespace", label)
    outcomes = await sums.of(f"{metric}s_total", span, (*labels, "outcome"))
    seconds = await sums.of(f"{metric}_seconds_sum", span, labels)
    p95 = await sums.quantiles(f"{metric}_seconds_bucket", span, labels, P95)
    found: dict[tuple[str, ...], figures.ServiceCalls] = {}
    for (namespace, name, outcome), count in outcomes.items():
        made = found.setdefault(
            (namespace, name),
            figures.ServiceCalls(caller=caller, service=name, namespace=namespace, kind=kind),
        )
        made.calls += round(count)
        made.errors += round(count) if outcome != "completed" else 0
    for key, made in found.items():
        made.mean_ms = 1_000 * seconds.get(key, 0.0) / max(1, made.calls)
        made.p95_ms = 1_000 * p95.get(key, 0.0)
    return _busiest(found.values())


async def worker_calls(sums: Sums, span: Range) -> list[figures.ServiceCalls]:
    """Return the attempts at each worker, the busiest first."""
    kind = figures.SERVICE_CALLS_KIND_WORKER
    metric = "flowmesh_worker_attempt"
    return await _named_calls(sums, span, kind, metric=metric, label="worker", caller=ORCHESTRATOR)


async def application_calls(sums: Sums, span: Range) -> list[figures.ServiceCalls]:
    """Return the requests to each application on all of its routes, the busiest first."""
    kind = figures.SERVICE_CALLS_KIND_APPLICATION
    return await _named_calls(sums, span, kind, metric="flowmesh_app_request", label="app")


async def queue_calls(sums: Sums, span: Range) -> list[figures.ServiceCalls]:
    """Return the messages to each queue, and those from it, the busiest first."""
    labels = ("namespace", "queue")
    published = await sums.of("messages_published_total", span, labels)
    consumed = await sums.of("messages_consumed_total", span, labels)
    failed = await sums.of("messages_failed_total", span, labels)
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
