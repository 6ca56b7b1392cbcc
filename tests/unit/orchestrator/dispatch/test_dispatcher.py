"""Output to worker services: tasks, claims of a new owner, cancellations of ended tasks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.engine import TaskEnded, TaskRuns
from flowmesh.orchestrator.api.dispatch_server import DispatchServer
from flowmesh.orchestrator.dispatch.attachment import WorkerStream
from flowmesh.orchestrator.dispatch.dispatcher import PREPARING_MAX, Dispatcher
from flowmesh.orchestrator.dispatch.permission_check import PermissionCheck
from flowmesh.orchestrator.dispatch.uncommitted import UncommittedExecutions
from flowmesh.orchestrator.limits.permit_client import PermitClient
from flowmesh.orchestrator.limits.ready_queues import Need, ReadyTask
from flowmesh.orchestrator.model.commands import STALE, PendingCommand
from flowmesh.orchestrator.model.errors import Moved
from flowmesh.orchestrator.model.ids import PARTITION_COUNT, ExecutionIds, partition_of, token_of
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.storage.states import Entry, States
from flowmesh.runtime import Clock
from flowmesh.telemetry import Metrics
from flowmesh.testing.polling import done
from tests.unit.engine.factories import Run, node, plan

OTHER = "exec-other|pay|1"

NO_WORKERS: frozenset[str] = frozenset()
EXECUTION = ExecutionIds(1).make(1_000_000, 5)
HELD = [(token_of(EXECUTION, node, 1), worker) for node, worker in (("a", "w4"), ("b", "w5"))]


def memory(epochs: dict[int, int]) -> States:
    """Executions in memory, of which none can be read."""
    unused: Any = None
    return States(store=unused, plans=unused, epochs=epochs, log=unused)


class Prepared:
    """Calls `prepare` with each task that needs a fetch."""

    def __init__(self, prepare: Any) -> None:
        self._prepare = prepare

    def task(self, task: ReadyTask, dispatcher: Dispatcher) -> None:
        self._prepare(task)


class Fetched:
    """Calls `fetch` with executions to be read; nothing else is asked for."""

    def __init__(self, fetch: Any) -> None:
        self._fetch = fetch

    def fetch_adopted(self, dispatcher: Dispatcher, execution_ids: set[str]) -> None:
        self._fetch(execution_ids)

    def requeue(self, dispatcher: Dispatcher, execution_ids: set[str]) -> None:
        raise AssertionError("nothing is queued again")

    def refill(self, dispatcher: Dispatcher, kinds: Any) -> None:
        raise AssertionError("no kind has more tasks than there is room for")


def dispatcher(
    epochs: dict[int, int],
    run: Run | None = None,
    submitted: list[PendingCommand] | None = None,
    prepare: Any = None,
    states: States | None = None,
    fetch: Any = None,
    attached_workers: Any = None,
) -> Dispatcher:
    """A dispatcher that owns these partitions; commands are kept in `submitted`."""
    ownership: Any = SimpleNamespace(epochs=epochs, now_us=lambda: 1, lease_valid=True, peers=list)
    unused: Any = None

    permits = PermitClient(
        ownership=ownership,
        clock=Clock(),
        address="me",
        stub_at=unused,
        spawn=lambda coroutine: coroutine.close(),
    )
    workers: Any = attached_workers or SimpleNamespace(note=lambda workers: None)
    if states is None:
        states = memory(epochs)
    if run is not None:
        states.put(Entry(run.state, None), 0)
    return Dispatcher(
        states=states,
        ownership=ownership,
        clock=Clock(),
        metrics=OrchestratorMetrics(Metrics()),
        submit=(submitted if submitted is not None else []).append,
        draw=lambda: 0.0,
        preparation=Prepared(prepare),
        open_tasks=Fetched(fetch),
        uncommitted=UncommittedExecutions(),
        permits=permits,
        permission_check=PermissionCheck(None),
        attached_workers=workers,
    )


def grant_of(worker: str) -> pb.Grant:
    return pb.Grant(set_id=f"of {worker}", worker_id=worker, slots=1)


def attached(owner: Dispatcher, name: str) -> WorkerStream:
    stream = WorkerStream()
    owner.services.attach(stream, pb.AttachHello(worker_service_id=name))
    return stream


async def test_an_answer_about_one_partition_says_nothing_of_the_next() -> None:
    """Partitions come one by one: each claim waits for its own answers, of every service."""
    owner = dispatcher({5: 3, 6: 4})
    one, two = attached(owner, "one"), attached(owner, "two")
    first, second = (owner.services.claim([each], NO_WORKERS).settled for each in (5, 6))
    assert list(one.out.claim_partitions) == [5, 6]
    assert list(one.out.claim_epochs) == [3, 4]
    for stream in (one, two):
        owner.services.held(stream, [pb.HeldTasks(partition=5)])
    assert first.is_set()
    assert not second.is_set()
    owner.services.held(one, [pb.HeldTasks(partition=6)])
    assert not second.is_set()
    owner.services.held(two, [pb.HeldTasks(partition=6)])
    assert second.is_set()


async def test_a_service_that_is_gone_answers_for_none() -> None:
    """A claim does not wait for a stream that broke."""
    owner = dispatcher({5: 3})
    one, two = attached(owner, "one"), attached(owner, "two")
    claim = owner.services.claim([5], NO_WORKERS)
    owner.services.held(one, [pb.HeldTasks(partition=5)])
    owner.services.detach(two)
    assert claim.settled.is_set()


async def test_a_claim_waits_for_the_workers_of_the_former_owner() -> None:
    """Each is back with its credit or its tasks; unknown workers are awaited to the end."""
    owner = dispatcher({5: 3})
    one = attached(owner, "one")
    owner.services.grant(one, [grant_of("there")])
    claim = owner.services.claim([5], frozenset({"there", "idle", "full"}))
    unknown = owner.services.claim([5], None)
    owner.services.held(one, [pb.HeldTasks(partition=5)])
    owner.services.grant(one, [grant_of("idle")])
    assert not claim.settled.is_set()
    full = pb.HeldTask(token="no token", worker_id="full")
    owner.services.attach(one, pb.AttachHello(worker_service_id="one", held=[full]))
    assert claim.settled.is_set()
    assert not unknown.settled.is_set()


async def test_what_comes_in_parts_is_there_with_the_last_of_them() -> None:
    """A worker's tasks may be in the next part, of a hello or of an answer to a claim."""
    owner = dispatcher({5: 3}, fetch=lambda _: None)
    lost: list[str] = []
    owner.leases._lost = lambda lease, _: lost.append(lease.token)
    held = [pb.HeldTask(token=token, worker_id="w") for token, _ in HELD]
    before = attached(owner, "one")
    owner.services.held(before, [pb.HeldTasks(partition=5, tasks=held)])
    owner.services.detach(before)
    one, claim = WorkerStream(), owner.services.claim([5], frozenset({"w"}))
    owner.services.attach(one, pb.AttachHello(worker_service_id="one", held=held[:1], more=True))
    assert not lost
    assert not claim.settled.is_set()
    owner.services.attach(one, pb.AttachHello(worker_service_id="one", held=held[1:]))
    assert not lost
    assert claim.settled.is_set()
    asked = owner.services.claim([5], NO_WORKERS)
    owner.services.held(one, [pb.HeldTasks(partition=5, tasks=held[:1], more=True)])
    assert not asked.settled.is_set()
    owner.services.held(one, [pb.HeldTasks(partition=5, tasks=held[1:])])
    assert asked.settled.is_set()


async def test_the_next_owner_waits_for_those_that_this_one_waits_for_too() -> None:
    """For attached ones, unless they end with this process, and those not reconnected yet."""
    noted: list[set[str]] = []
    attached_workers: Any = SimpleNamespace(note=lambda workers: noted.append(workers()))
    owner = dispatcher({5: 3}, fetch=lambda _: None, attached_workers=attached_workers)
    one, here = attached(owner, "one"), WorkerStream(local=True)
    owner.services.attach(here, pb.AttachHello(worker_service_id="here"))
    owner.services.grant(one, [grant_of("one"), grant_of("w1"), grant_of("w2")])
    owner.services.grant(here, [grant_of("here"), grant_of("w3")])
    assert noted[-1] == {"one", "w1", "w2", "w3"}
    claim = owner.services.claim([5], frozenset({"w1", "away"}))
    assert owner.services.workers() == {"one", "w1", "w2", "w3", "away"}
    owner.services.end_claim(claim)
    one.remove_sets(["of w2"])
    assert owner.services.workers() == {"one", "w1", "w3"}
    held = [pb.HeldTask(token=token, worker_id=worker) for token, worker in HELD]
    owner.services.attach(one, pb.AttachHello(worker_service_id="one", held=held))
    owner.services.detach(one)
    # Its workers may be on their way to another worker service.
    assert owner.services.workers() == {"w3", "w4", "w5"}
    claim = owner.services.claim([5], None)
    assert owner.services.workers() is None
    owner.services.end_claim(claim)
    owner.results.lost(one, [pb.LostTask(token=token) for token, _ in HELD])
    assert owner.services.workers() == {"w3"}


def owned() -> tuple[Run, Dispatcher, list[PendingCommand]]:
    """An execution with one task, who owns it, and what is submitted."""
    run, submitted = Run(plan(node("pay"))), list[PendingCommand]()
    run.state.execution_id = EXECUTION
    return run, dispatcher({5: 3}, run, submitted), submitted


async def test_a_task_whose_end_waits_for_its_commit_does_not_go_out_again() -> None:
    """A search for open tasks between a result and its commit sends no task twice."""
    run, owner, submitted = owned()
    stream = attached(owner, "one")
    owner.add(run.state, run.last.dispatch[0], 5)
    owner.services.grant(stream, [pb.Grant(set_id="set", slots=10, task_types=["work"])])
    owner.pump()
    (sent,) = stream.out.tasks
    owner.results.result(task_pb2.TaskResult(token=sent.task.token), lambda _: None)
    owner.add(run.state, run.last.dispatch[0], 5)
    owner.pump()
    assert len(stream.out.tasks) == 1

    submitted[0].reply(STALE)
    owner.add(run.state, run.last.dispatch[0], 5)
    owner.pump()
    assert len(stream.out.tasks) == 2


async def test_a_task_ends_until_every_result_of_it_is_settled() -> None:
    """A repeated result waits for its commit: no lease is created meanwhile."""
    run, owner, submitted = owned()
    stream = attached(owner, "one")
    token = token_of(run.state.execution_id, "pay", 1)
    for _ in range(2):
        owner.results.result(task_pb2.TaskResult(token=token), lambda _: None)
    held = pb.HeldTasks(partition=5, tasks=[pb.HeldTask(token=token)])

    submitted[0].reply(Moved(4))
    owner.services.held(stream, [held])
    assert token not in owner.leases

    submitted[1].reply(Moved(4))
    owner.services.held(stream, [held])
    assert token in owner.leases


async def test_a_task_that_has_ended_leaves_no_lease_where_its_execution_sleeps() -> None:
    """A loaded execution may have been evicted since: its task is adopted nevertheless."""
    run = Run(plan(node("pay")))
    run.state.execution_id = EXECUTION
    run.complete("pay")
    fetched: list[set[str]] = []
    owner = dispatcher(dict.fromkeys(range(PARTITION_COUNT), 3), fetch=fetched.append)
    token, stream = token_of(EXECUTION, "pay", 1), attached(owner, "one")
    owner.services.held(stream, [pb.HeldTasks(tasks=[pb.HeldTask(token=token)])])
    assert token in owner.leases
    assert fetched == [{EXECUTION}]

    owner.adoption.fetched({EXECUTION: Entry(run.state, None)})
    assert token not in owner.leases
    assert list(stream.out.cancels) == [token]


async def test_a_backlog_that_moved_with_its_partitions_is_taken_back() -> None:
    """Otherwise it would keep the workers' slots, and no other task would get them."""
    run = Run(plan(node("pay")))
    run.state.execution_id = ExecutionIds(1).make(1_000_000, 5)
    owner = dispatcher({5: 3}, run)
    stream = attached(owner, "one")
    owner.services.grant(stream, [pb.Grant(set_id="set", slots=0, task_types=["work"])])
    owner.add(run.state, run.last.dispatch[0], 5)
    owner.pump()
    assert [backlog.tasks for backlog in stream.out.backlogs] == [1]
    owner.drop_partitions([5])
    assert [backlog.tasks for backlog in stream.out.backlogs] == [1, 0]


async def test_few_tasks_at_a_time_are_brought_to_hand_and_leave_in_their_order() -> None:
    """Executions that are not in memory do not come all at once when one slot is free."""
    run = Run(plan(node("pay")))
    asked: list[ReadyTask] = []
    owner = dispatcher({5: 3}, prepare=asked.append)
    stream = attached(owner, "one")
    owner.services.grant(stream, [pb.Grant(set_id="set", slots=1, task_types=["work"])])
    ids = []
    for number in range(1_000):
        run.state.execution_id = ExecutionIds(number).make(1_000_000, 5)
        ids.append(run.state.execution_id)
        owner.add(run.state, run.last.dispatch[0], 5)
    owner.pump()
    assert [task.execution_id for task in asked] == ids[:PREPARING_MAX]
    assert owner.ready.count == 1_000 - PREPARING_MAX

    owner.prepared(asked[0], is_ready=False)
    assert [task.execution_id for task in asked] == ids[: PREPARING_MAX + 1]


class Limited:
    """One task at a time may leave, and it has; another has been given its permit, but no slot."""

    def __init__(self) -> None:
        self.asked: list[ReadyTask] = []
        run = Run(plan(node("pay"), limits={"concurrency": 1}))
        run.state.execution_id = ExecutionIds(1).make(1_000_000, 5)
        epochs = dict.fromkeys(range(PARTITION_COUNT), 3)
        self.states = memory(epochs)
        owner = dispatcher(epochs, run, prepare=self.asked.append, states=self.states)
        self.owner = owner
        owner.limiter.permits.recovered(epochs)
        self.stream = attached(owner, "one")
        owner.services.grant(self.stream, [pb.Grant(set_id="set", slots=1, task_types=["work"])])
        owner.limiter.permits.hold("default", OTHER, (Need("workflow:w", "workflow:w", 1),))
        owner.add(run.state, run.last.dispatch[0], 5)
        owner.pump()
        assert not self.stream.out.tasks
        owner.services.recall(self.stream, ["set"])
        self.token = f"{run.state.execution_id}|pay|1"
        owner.limiter.permits.release(OTHER)
        assert self.in_use == 1

    @property
    def in_use(self) -> int:
        """Permits that are out."""
        return sum(each.in_use for each in self.owner.limiter.permits.grantor.counters("default"))

    def slot(self) -> None:
        self.owner.services.grant(
            self.stream, [pb.Grant(set_id="set", slots=1, task_types=["work"])]
        )
        self.owner.pump()


async def test_a_task_that_a_worker_brings_along_keeps_the_permit_that_came_for_it() -> None:
    """And it is released at its end, since no other code would do so."""
    limited = Limited()
    hello = pb.AttachHello(worker_service_id="two")
    hello.held.add(token=limited.token, worker_id="w")
    limited.owner.services.attach(WorkerStream(), hello)
    limited.slot()
    assert not limited.stream.out.tasks
    assert limited.in_use == 1
    limited.owner.leases.pop(limited.token)
    assert limited.in_use == 0


class Returning:
    """One task at a time may leave, and another has; a worker has one of the two that wait."""

    def __init__(self, *, in_memory: bool) -> None:
        self.fetched: list[set[str]] = []
        self.submitted: list[PendingCommand] = []
        work = [node("pay", timeout_ms=1), node("next")]
        self.run = Run(plan(*work, limits={"concurrency": 1}))
        self.run.state.execution_id = ExecutionIds(1).make(1_000_000, 5)
        epochs = dict.fromkeys(range(PARTITION_COUNT), 3)
        self.states = memory(epochs)
        owner = self.owner = dispatcher(
            epochs, self.run, self.submitted, states=self.states, fetch=self.fetched.append
        )
        owner.limiter.permits.recovered(epochs)
        owner.limiter.permits.hold("default", OTHER, (Need("workflow:w", "workflow:w", 1),))
        self.stream = attached(owner, "one")
        owner.services.grant(self.stream, [pb.Grant(set_id="set", slots=2, task_types=["work"])])
        for each in self.run.last.dispatch:
            owner.add(self.run.state, each, 5)
        owner.pump()
        if not in_memory:
            self.states.evict(self.run.state.execution_id)
        hello = pb.AttachHello(worker_service_id="two")
        hello.held.add(token=f"{self.run.state.execution_id}|pay|1", worker_id="w")
        owner.services.attach(WorkerStream(), hello)

    async def check(self) -> None:
        """The task has a permit, one, and the limit of its time."""
        permits = self.owner.limiter.permits
        (counter,) = permits.grantor.counters("default")
        assert counter.in_use == 2
        permits.release(OTHER)
        assert counter.in_use == 1
        await done("its time is over", self._ended, within_s=5)
        self.owner.pump()
        assert [each.task.node for each in self.stream.out.tasks] == ["next"]
        assert counter.in_use == 1

    def _ended(self) -> bool:
        return any(isinstance(each.command, TaskEnded) for each in self.submitted)


async def test_a_task_that_comes_back_late_holds_its_permit_and_is_bounded() -> None:
    """Its new owner has read what is open, and lets it wait for its turn."""
    returning = Returning(in_memory=True)
    assert not returning.fetched
    await returning.check()


async def test_a_task_that_comes_back_is_bounded_once_its_execution_is_read() -> None:
    """The execution was evicted: the task has neither before."""
    returning = Returning(in_memory=False)
    (ids,) = returning.fetched
    returning.states.put(Entry(returning.run.state, None), 0)
    returning.owner.adoption.fetched({one: Entry(returning.run.state, None) for one in ids})
    await returning.check()


async def test_an_unneeded_task_returns_its_permit_after_its_input_arrives() -> None:
    """Its execution has ended while its input was fetched."""
    limited = Limited()
    limited.states.evict(limited.token.partition("|")[0])
    limited.slot()
    (task,) = limited.asked
    limited.owner.prepared(task, is_ready=False)
    assert limited.in_use == 0


async def test_a_long_limit_of_one_task_keeps_no_other_from_being_marked() -> None:
    """The next look at what runs is planned for the earliest need, not for the first."""
    run = Run(plan(node("long", timeout_ms=300_000), node("next", timeout_ms=300_000)))
    run.state.execution_id = ExecutionIds(1).make(1_000_000, 5)
    submitted: list[PendingCommand] = []
    owner = dispatcher({5: 3}, run, submitted)
    stream = attached(owner, "one")
    owner.services.grant(stream, [pb.Grant(set_id="set", slots=10, task_types=["work"])])
    for task in run.last.dispatch:
        owner.add(run.state, task, 5)
        owner.pump()
        await done("the task is marked", lambda: submitted, within_s=5)
        assert isinstance(submitted.pop().command, TaskRuns)


async def test_a_task_whose_time_to_begin_is_limited_is_marked_when_it_leaves() -> None:
    """Else its limit could end what a worker has begun a moment ago."""
    run = Run(plan(node("pay", start_timeout_ms=60_000)))
    run.state.execution_id = ExecutionIds(1).make(1_000_000, 5)
    submitted: list[PendingCommand] = []
    owner = dispatcher({5: 3}, run, submitted)
    stream = attached(owner, "one")
    owner.services.grant(stream, [pb.Grant(set_id="set", slots=1, task_types=["work"])])
    owner.add(run.state, run.last.dispatch[0], 5)
    owner.pump()
    assert isinstance(submitted.pop().command, TaskRuns)


async def test_credit_that_is_called_back_with_its_grant_is_used_first() -> None:
    """A single slot that two orchestrators want would else go to and fro, and nothing would run."""
    run = Run(plan(node("pay")))
    run.state.execution_id = ExecutionIds(1).make(1_000_000, 5)
    owner = dispatcher({5: 3}, run)
    owner.add(run.state, run.last.dispatch[0], 5)
    unused: Any = None
    server = DispatchServer(dispatcher=owner, keeper=unused, spawn=unused)
    frames: asyncio.Queue[pb.AttachRequest] = asyncio.Queue()
    frames.put_nowait(pb.AttachRequest(hello=pb.AttachHello(worker_service_id="one")))
    grant = pb.Grant(set_id="set", slots=1, task_types=["work"])
    frames.put_nowait(pb.AttachRequest(grants=[grant], recalls=["set"]))

    async def requests() -> AsyncIterator[pb.AttachRequest]:
        while True:
            yield await frames.get()

    context: Any = SimpleNamespace(peer=lambda: "elsewhere")
    responses: Any = server.Attach(requests(), context)
    async with aclosing(responses):
        said = await anext(responses)
        while not said.recalled:
            said.MergeFrom(await anext(responses))
    assert [each.task.node for each in said.tasks] == ["pay"]
    assert [each.slots for each in said.recalled] == [0]


async def test_a_process_without_lease_cancels_nothing() -> None:
    """Its memory may be of before it stood still; once its lease holds again, it counts."""
    run = Run(plan(node("pay", timeout_ms=1)))
    run.state.execution_id = EXECUTION
    submitted: list[PendingCommand] = []
    owner = dispatcher({partition_of(EXECUTION) or 0: 3}, run, submitted)
    stream, ownership = attached(owner, "one"), owner._ownership
    running, ended = (token_of(EXECUTION, "pay", attempt) for attempt in (1, 7))
    ownership.lease_valid = False  # type: ignore[misc]
    held = [pb.HeldTask(token=token, worker_id="w") for token in (running, ended)]
    owner.services.attach(stream, pb.AttachHello(worker_service_id="one", held=held))
    lease = owner.leases.get(running)
    assert lease is not None
    assert not owner._overdue(lease)
    assert not stream.out.cancels
    assert not submitted
    ownership.lease_valid = True  # type: ignore[misc]
    owner.adoption.resumed()
    assert list(stream.out.cancels) == [ended]
    await done("its time is over", lambda: submitted, within_s=5)
    assert list(stream.out.cancels) == [ended, running]
