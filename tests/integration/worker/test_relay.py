"""Results and leases over breaks: nothing is lost, nothing is handed out twice."""

import asyncio
import random
from collections.abc import AsyncIterator
from functools import partial

import pytest

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.api.worker.v1.dispatch_service_pb2 import AttachResponse
from flowmesh.api.worker.v1.task_pb2 import RESULT_EXCEPTION_KIND_STALE, ResultException
from flowmesh.testing.world import World
from tests.integration.worker.harness import Worker
from tests.integration.worker.orchestrator import Orchestrator, spec_of, task_of

NOOP = spec_of("builtin.noop")


def held_up(world: World) -> TaskSpec:
    """A task that does not end before the world lets it."""
    world.hold("slow")
    return spec_of("http.request", {"url": world.url("slow")})


@pytest.fixture
async def other() -> AsyncIterator[Orchestrator]:
    """A second orchestrator."""
    orchestrator = Orchestrator()
    await orchestrator.start()
    yield orchestrator
    await orchestrator.stop()


async def test_an_unacknowledged_result_is_sent_again_on_the_next_stream(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """A result is kept until its frame is acknowledged, and announced as held until then."""
    orchestrator.acknowledges = False
    await orchestrator.run(task_of("t1", NOOP, 1), NOOP)
    orchestrator.results.clear()
    orchestrator.acknowledges = True
    orchestrator.streams[0].close()
    await orchestrator.result("t1")
    assert [held.token for held in orchestrator.claimed] == ["t1"]
    assert orchestrator.deliveries == ["t1"]
    await worker.relay.until_settled()


async def test_a_restarted_orchestrator_gets_the_results_of_running_tasks(
    orchestrator: Orchestrator, worker: Worker, world: World
) -> None:
    """A task runs on while its orchestrator is away; it is called once and answered once."""
    spec = held_up(world)
    orchestrator.submit(task_of("t1", spec), spec)
    await world.called("slow")
    address = orchestrator.address
    await orchestrator.stop()
    world.release("slow")
    await orchestrator.start(address)
    result = await orchestrator.result("t1")
    assert result.HasField("output")
    assert len(world.calls("slow")) == 1


async def test_a_task_that_is_held_is_not_run_again(
    orchestrator: Orchestrator, worker: Worker, world: World
) -> None:
    """A second dispatch of a token that runs here changes nothing, and its slot comes back."""
    spec = held_up(world)
    orchestrator.submit(task_of("t1", spec), spec)
    await world.called("slow")
    orchestrator.submit(task_of("t1", spec), spec)
    await orchestrator.until(lambda: orchestrator.deliveries == ["t1", "t1"])
    await orchestrator.until(lambda: orchestrator.credit("http.request") == 7)
    world.release("slow")
    await orchestrator.result("t1")
    await orchestrator.until(lambda: orchestrator.credit("http.request") == 8)
    assert len(world.calls("slow")) == 1


async def test_a_dispatch_of_an_older_epoch_is_refused(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """A worker that has seen epoch 7 of a partition refuses 6, and says what it saw."""
    await orchestrator.run(task_of("t1", NOOP, 1, partition=3, epoch=7), NOOP)
    orchestrator.submit(task_of("t2", NOOP, 1, partition=3, epoch=6), NOOP)
    await orchestrator.until(lambda: orchestrator.refused == [("t2", 7)])
    await orchestrator.run(task_of("t3", NOOP, 1, partition=4, epoch=1), NOOP)
    await orchestrator.until(lambda: orchestrator.credit("builtin.noop") == 8)


async def test_a_moved_result_goes_to_the_next_orchestrator(
    orchestrator: Orchestrator, other: Orchestrator, worker: Worker
) -> None:
    """MOVED sends the result on until somebody takes it."""
    worker.follow(orchestrator, other)
    await other.attached()
    orchestrator.moves.add("t1")
    orchestrator.submit(task_of("t1", NOOP, 1), NOOP)
    await other.result("t1")
    await worker.relay.until_settled()
    assert "t1" not in orchestrator.results


async def test_a_result_without_owner_waits_for_the_new_owner(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """With one orchestrator that says MOVED, the result is offered again later."""
    orchestrator.moves.add("t1")
    orchestrator.submit(task_of("t1", NOOP, 1), NOOP)
    stream = await orchestrator.attached()
    await orchestrator.until(lambda: any(request.results for request in stream.received))
    await orchestrator.run(task_of("t2", NOOP, 1), NOOP)
    assert "t1" not in orchestrator.results
    orchestrator.moves.clear()
    worker.pass_time(1_000)
    await orchestrator.result("t1")
    await worker.relay.until_settled()


async def test_a_stale_result_is_dropped(orchestrator: Orchestrator, worker: Worker) -> None:
    """STALE ends a result as an acknowledgement does."""
    orchestrator.acknowledges = False
    await orchestrator.run(task_of("t1", NOOP, 1), NOOP)
    exception = ResultException(token="t1", kind=RESULT_EXCEPTION_KIND_STALE)
    orchestrator.streams[0].send(AttachResponse(exceptions=[exception]))
    await worker.relay.until_settled()


async def test_a_new_owner_gets_the_held_tasks_and_the_results(
    orchestrator: Orchestrator, other: Orchestrator, worker: Worker, world: World
) -> None:
    """Claiming a partition moves its leases: running ones answer to the new owner."""
    worker.follow(orchestrator, other)
    stream = await other.attached()
    spec = held_up(world)
    orchestrator.acknowledges = False
    orchestrator.submit(task_of("running", spec, partition=5), spec)
    await orchestrator.run(task_of("ended", NOOP, 1, partition=5), NOOP)
    await world.called("slow")
    await orchestrator.stop()
    stream.send(AttachResponse(claim_partitions=[5, 6]))
    await other.until(lambda: set(other.held) == {5, 6})
    assert {held.token for held in other.held[5]} == {"running", "ended"}
    assert other.held[6] == []
    await other.result("ended")
    world.release("slow")
    await other.result("running")
    await worker.relay.until_settled()


async def test_a_dispatch_that_a_claim_overtook_is_refused(
    orchestrator: Orchestrator, other: Orchestrator, worker: Worker
) -> None:
    """What the old owner sent comes too late once the new owner was told that it is not here."""
    worker.follow(orchestrator, other)
    stream = await other.attached()
    stream.send(AttachResponse(claim_partitions=[5], claim_epochs=[8]))
    await other.until(lambda: 5 in other.held)
    orchestrator.submit(task_of("late", NOOP, 1, partition=5, epoch=7), NOOP)
    await orchestrator.until(lambda: orchestrator.refused == [("late", 8)])
    await other.run(task_of("late", NOOP, 1, partition=5, epoch=8), NOOP)


async def test_a_claim_that_others_overtook_moves_nothing(
    orchestrator: Orchestrator, other: Orchestrator, worker: Worker, world: World
) -> None:
    """The tasks of a partition stay with its owner; who had it before is told of none."""
    worker.follow(orchestrator, other)
    stream = await other.attached()
    spec = held_up(world)
    orchestrator.submit(task_of("running", spec, partition=5, epoch=8), spec)
    await world.called("slow")
    stream.send(AttachResponse(claim_partitions=[5, 6], claim_epochs=[7, 7]))
    await other.until(lambda: set(other.held) == {5, 6})
    assert other.held[5] == []
    world.release("slow")
    await orchestrator.result("running")
    await worker.relay.until_settled()


@pytest.mark.long
async def test_too_many_unacknowledged_results_stop_the_grants(
    orchestrator: Orchestrator,
) -> None:
    """An orchestrator that acknowledges nothing gets credit for 1,000 results and no more."""
    orchestrator.acknowledges = False
    async with Worker(slots=400) as worker:
        worker.follow(orchestrator)
        stream = await orchestrator.attached()
        for number in range(2_000):
            orchestrator.submit(task_of(f"t{number}", NOOP, 1), NOOP)
        await orchestrator.until(lambda: len(orchestrator.results) >= 1_000)
        await orchestrator.until(lambda: orchestrator.credit("builtin.noop") == 0)
        assert len(orchestrator.results) < 2_000
        last = max(request.results_frame for request in stream.received)
        orchestrator.acknowledges = True
        stream.send(AttachResponse(acknowledged_frame=last))
        await orchestrator.until(lambda: len(orchestrator.results) == 2_000)


async def test_credit_moves_to_the_orchestrator_with_a_backlog(
    orchestrator: Orchestrator, other: Orchestrator, worker: Worker, world: World
) -> None:
    """Slots that one orchestrator does not use are recalled for the one that has tasks, all."""
    worker.follow(orchestrator, other)
    await other.attached()
    await other.until(lambda: other.credit("builtin.noop") == 4)
    spec = held_up(world)
    for number in range(10):
        orchestrator.submit(task_of(f"t{number}", spec), spec)
    await world.called("slow", times=8)
    assert other.credit("builtin.noop") == 0
    world.release("slow")
    await orchestrator.until(lambda: len(orchestrator.results) == 10)


async def test_an_unanswered_recall_closes_the_stream(
    orchestrator: Orchestrator, other: Orchestrator, worker: Worker, world: World
) -> None:
    """After 1 s without an answer everything granted on that stream is free again."""
    other.answers_recalls = False
    worker.follow(orchestrator, other)
    first = await other.attached()
    await other.until(lambda: other.credit("builtin.noop") == 4)
    spec = held_up(world)
    for number in range(10):
        orchestrator.submit(task_of(f"t{number}", spec), spec)
    await other.until(lambda: any(request.recalls for request in first.received))
    worker.pass_time(1_500)
    await other.attached(2)
    await world.called("slow", times=7)
    world.release("slow")


async def test_cancel_stops_a_running_task(
    orchestrator: Orchestrator, worker: Worker, world: World
) -> None:
    """A canceled task answers with Cancelled and gives its slot back."""
    spec = held_up(world)
    orchestrator.submit(task_of("t1", spec), spec)
    await world.called("slow")
    orchestrator.streams[0].send(AttachResponse(cancels=["t1"]))
    result = await orchestrator.result("t1")
    assert getattr(result.failure, "class") == "Cancelled"
    await orchestrator.until(lambda: orchestrator.credit("http.request") == 8)


async def test_a_quiet_stream_pings(orchestrator: Orchestrator, worker: Worker) -> None:
    """A stream with nothing to say says so every 3 s."""
    stream = await orchestrator.attached()
    before = len(stream.received)
    worker.pass_time(3_100)
    await orchestrator.until(lambda: len(stream.received) == before + 1)


async def test_a_missing_orchestrator_is_tried_again(worker: Worker) -> None:
    """An orchestrator that is known before it listens is attached as soon as it does."""
    late = Orchestrator()
    await late.start()
    address = late.address
    await late.stop()
    late.address = address
    worker.follow(late)
    await asyncio.sleep(0)
    await late.start(address)
    await late.attached()
    await late.run(task_of("t1", NOOP, 1), NOOP)
    await late.stop()


async def test_a_later_stream_loses_nothing_to_an_earlier_one(
    orchestrator: Orchestrator, worker: Worker
) -> None:
    """After each of several breaks, every frame goes out on the stream that is open."""
    for count in range(1, 6):
        for number in range(3):
            await orchestrator.run(task_of(f"t{count}-{number}", NOOP, 1), NOOP)
        orchestrator.streams[-1].close()
        await orchestrator.attached(count + 1)
    await orchestrator.run(task_of("last", NOOP, 1), NOOP)
    await orchestrator.until(lambda: orchestrator.credit("builtin.noop") == 8)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
async def test_no_result_is_lost_or_misplaced_while_streams_break(
    orchestrator: Orchestrator, other: Orchestrator, worker: Worker, seed: int
) -> None:
    """Hundreds of tasks of two orchestrators, streams cut at random: each gets its own results."""
    draw = random.Random(seed)
    worker.follow(orchestrator, other)
    await other.attached()
    for number in range(300):
        orchestrator.submit(task_of(f"a{number}", NOOP, 1, partition=1), NOOP)
        other.submit(task_of(f"b{number}", NOOP, 1, partition=2), NOOP)
        if draw.random() < 0.05:
            cut = draw.choice([orchestrator, other])
            seen = len(cut.results)
            await cut.until(partial(more_results, cut, seen))
            cut.streams[-1].close()
    for owner, letter in ((orchestrator, "a"), (other, "b")):
        wanted = {f"{letter}{number}" for number in range(300)}
        await owner.until(partial(all_results, owner, wanted))
    await worker.relay.until_settled()


def more_results(orchestrator: Orchestrator, seen: int) -> bool:
    return len(orchestrator.results) > seen


def all_results(orchestrator: Orchestrator, wanted: set[str]) -> bool:
    return set(orchestrator.results) == wanted
