"""How a new owner learns what worker services hold."""

from types import SimpleNamespace
from typing import Any

from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.orchestrator.attached import Attached
from flowmesh.orchestrator.dispatcher import Dispatcher
from flowmesh.orchestrator.metrics import OrchestratorMetrics
from flowmesh.runtime import Clock
from flowmesh.telemetry import Metrics


def dispatcher(epochs: dict[int, int]) -> Dispatcher:
    ownership: Any = SimpleNamespace(epochs=epochs, now_us=lambda: 1, lease_valid=True)
    unused: Any = None
    return Dispatcher(
        states=unused,
        ownership=ownership,
        clock=Clock(),
        metrics=OrchestratorMetrics(Metrics()),
        submit=unused,
        draw=unused,
        prepare=unused,
        refill=unused,
    )


def attached(owner: Dispatcher, name: str) -> Attached:
    stream = Attached()
    owner.attach(stream, pb.AttachHello(worker_service_id=name))
    return stream


async def test_an_answer_about_one_partition_says_nothing_of_the_next() -> None:
    """Partitions come one by one: each claim waits for its own answers, of every service."""
    owner = dispatcher({5: 3, 6: 4})
    one, two = attached(owner, "one"), attached(owner, "two")
    first, second = owner.claim([5]), owner.claim([6])
    assert list(one.out.claim_partitions) == [5, 6]
    assert list(one.out.claim_epochs) == [3, 4]
    for stream in (one, two):
        owner.held(stream, [pb.HeldTasks(partition=5)])
    assert first.is_set()
    assert not second.is_set()
    owner.held(one, [pb.HeldTasks(partition=6)])
    assert not second.is_set()
    owner.held(two, [pb.HeldTasks(partition=6)])
    assert second.is_set()


async def test_a_service_that_is_gone_answers_for_none() -> None:
    """A claim does not wait for a stream that broke."""
    owner = dispatcher({5: 3})
    one, two = attached(owner, "one"), attached(owner, "two")
    claim = owner.claim([5])
    owner.held(one, [pb.HeldTasks(partition=5)])
    owner.detach(two)
    assert claim.is_set()
