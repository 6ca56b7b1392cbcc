"""Sick workers: failures, durations and attachment, compared with their peers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from flowmesh.api.execution.v1 import limits_service_pb2 as limits_pb
from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.api.observe.v1 import questions_pb2 as figures
from flowmesh.observe.questions.sums import Range, Sums

if TYPE_CHECKING:
    from flowmesh.api.execution.v1.limits_service_pb2_grpc import LimitServiceAsyncStub

FACTOR: Final = 3.0
"""The multiple of the figure of its peers from which a worker is sick."""

FAILED_MIN: Final = 3
FAILED_SHARE_MIN: Final = 0.05
SLOWER_MS_MIN: Final = 50.0
ALONE_SHARE: Final = 0.5
"""Share of failures from which a worker without peers is sick."""

_NO_WORKER: Final = ("", "other")


class Workers:
    """Reads the attempts of workers, and which are attached."""

    def __init__(self, *, sums: Sums, limits: "LimitServiceAsyncStub") -> None:
        self._sums = sums
        self._limits = limits

    async def compared(self, namespace: str, span: Range) -> pb.CompareWorkersResponse:
        """Return the workers of a namespace, the sick ones first."""
        metric, labels = "flowmesh_worker_attempt", ("worker",)
        counts = await self._sums.of(
            f"{metric}s_total", span, (*labels, "outcome"), namespace=namespace
        )
        seconds = await self._sums.of(f"{metric}_seconds_sum", span, labels, namespace=namespace)
        attached = await self._limits.ListWorkers(limits_pb.ListWorkersRequest(namespace=namespace))
        kinds: dict[str, frozenset[str]] = {}
        found: dict[str, figures.ComparedWorker] = {}
        for one in attached.workers:
            kinds[one.worker_id] = frozenset(one.task_types)
            found[one.worker_id] = figures.ComparedWorker(
                worker_id=one.worker_id,
                attached=True,
                attached_at_us=one.attached_at_us,
                running=one.running,
                slots=one.slots,
            )
        for (name, outcome), count in counts.items():
            if name not in _NO_WORKER:
                worker = found.setdefault(name, figures.ComparedWorker(worker_id=name))
                setattr(worker, outcome, int(count))
        for name, worker in found.items():
            attempts = worker.completed + worker.failed
            if attempts:
                worker.mean_ms = 1_000 * seconds.get((name,), 0.0) / attempts
        judge(list(found.values()), kinds)
        workers = sorted(found.values(), key=lambda each: (_place(each), each.worker_id))
        return pb.CompareWorkersResponse(text=sentence(workers), workers=workers)


def judge(workers: Sequence[figures.ComparedWorker], kinds: Mapping[str, frozenset[str]]) -> None:
    """Set the problems of workers; peers are the attached workers of the same task types."""
    for worker in workers:
        kind = kinds.get(worker.worker_id)
        peers = [
            each
            for each in workers
            if each is not worker and each.attached and kinds[each.worker_id] == kind
        ]
        worker.problem = "; ".join(_problems(worker, peers))


def _problems(
    worker: figures.ComparedWorker, peers: Sequence[figures.ComparedWorker]
) -> Iterator[str]:
    if not worker.attached:
        yield "sends no heartbeat any more"
        return
    share = _share([worker])
    if worker.failed >= FAILED_MIN:
        usual = _share(peers)
        if any(each.completed + each.failed for each in peers):
            if share >= max(FAILED_SHARE_MIN, FACTOR * usual):
                yield f"{share:.0%} of its attempts fail, {usual:.0%} of those of its peers"
        elif share >= ALONE_SHARE:
            yield f"{share:.0%} of its attempts fail, and it has no peers"
    usual_ms = _mean_ms(peers)
    if usual_ms and worker.mean_ms > max(FACTOR * usual_ms, usual_ms + SLOWER_MS_MIN):
        yield f"an attempt takes {worker.mean_ms:,.0f} ms, {usual_ms:,.0f} ms at its peers"


def sentence(workers: Sequence[figures.ComparedWorker]) -> str:
    """Return the answer."""
    sick = [each for each in workers if each.problem and each.attached]
    gone = [each for each in workers if not each.attached]
    if sick:
        return "; ".join(f"{each.worker_id} is sick: {each.problem}" for each in sick)
    text = f"none of {sum(each.attached for each in workers)} attached workers is sick"
    if gone:
        names = ", ".join(each.worker_id for each in gone[:3])
        text += f"; {len(gone)} with attempts are attached no more: {names}"
    return text


def _place(worker: figures.ComparedWorker) -> int:
    if worker.problem and worker.attached:
        return 0
    return 1 if worker.problem else 2


def _share(workers: Sequence[figures.ComparedWorker]) -> float:
    attempts = sum(each.completed + each.failed for each in workers)
    return sum(each.failed for each in workers) / attempts if attempts else 0.0


def _mean_ms(workers: Sequence[figures.ComparedWorker]) -> float:
    attempts = sum(each.completed + each.failed for each in workers)
    total = sum((each.completed + each.failed) * each.mean_ms for each in workers)
    return total / attempts if attempts else 0.0
