"""What holds tasks back although workers are free: priorities, limits, stops, breakers."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from flowmesh.errors import WrongState
from flowmesh.sdk import Client, Handle, Worker
from flowmesh.testing.polling import done, pause, until
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.natives import applied, apply, resource, workflow

PATIENCE_S = 30.0


class Floor:
    """A handler whose calls wait until they are let go; remembers who runs and who ran."""

    def __init__(self) -> None:
        self.running: list[Any] = []
        self.order: list[Any] = []
        self.most = 0
        self._go: dict[int, asyncio.Event] = {}

    async def __call__(self, value: Any, _context: Any = None) -> Any:
        number, event = len(self.order), asyncio.Event()
        self.order.append(value)
        self.running.append(value)
        self.most = max(self.most, len(self.running))
        self._go[number] = event
        await event.wait()
        self.running.remove(value)
        return value

    def let_go(self, count: int = 1) -> None:
        for number in sorted(self._go)[:count]:
            self._go.pop(number).set()

    async def until(self, running: int) -> None:
        await done(f"{running} run", lambda: len(self.running) == running, within_s=PATIENCE_S)

    async def let_all_go(self, handles: list[Handle]) -> None:
        """Lets go whoever runs until all executions have ended."""

        async def ended() -> None:
            await asyncio.gather(*(handle.result(PATIENCE_S) for handle in handles))

        waiting = asyncio.create_task(ended())
        while not waiting.done():
            self.let_go(len(self._go))
            await asyncio.wait([waiting], timeout=0.02)
        await waiting


async def eventually(look: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """Waits until a look shows what is wanted."""
    seen: list[Any] = []

    async def shown() -> bool:
        seen.append(await look())
        return bool(seen[-1] == wanted)

    try:
        await until(f"{wanted}", shown, within_s=PATIENCE_S / 3)
    except AssertionError:
        assert seen[-1] == wanted
        raise


def own(prefix: str) -> str:
    """A name that no other test has."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


async def held(client: Client, kind: str, subject: str) -> tuple[int, int]:
    """Permits of a limit that are out, and tasks that wait for them."""
    found = await client.limits()
    uses = [use for use in found.uses if (use.kind, use.subject) == (kind, subject)]
    return sum(use.in_use for use in uses), sum(use.waiting for use in uses)


async def run_by(suite: Suite, name: str, **spec: Any) -> str:
    """Registers a workflow of one task of a type of its own; returns that type."""
    node = {"id": "only", "taskRef": f"{name}-task", "input": "{{input}}"}
    node |= spec.pop("node", {})
    task = resource("WorkflowTask", f"{name}-task", type=name)
    await applied(suite, task, workflow(name, node, **spec))
    return name


@pytest.mark.feature("S4-07", "S3-24")
async def test_with_one_slot_the_critical_one_runs_first(suite: Suite) -> None:
    """Whatever came before; and of one execution the longest way to its end goes first."""
    floor, kind = Floor(), own("prio")
    task = resource("WorkflowTask", f"{kind}-task", type=kind)
    levels = ("LOW", "NORMAL", "HIGH", "CRITICAL")
    flows = [
        workflow(
            f"{kind}-{level.lower()}",
            {"id": "a", "taskRef": f"{kind}-task", "input": level, "priority": level},
        )
        for level in levels
    ]

    def step(name: str, *after: str, **more: Any) -> Any:
        return {
            "id": name,
            "taskRef": f"{kind}-task",
            "input": name,
            "dependsOn": list(after),
            **more,
        }

    deep = workflow(
        f"{kind}-deep",
        step("optional", critical=False),
        step("short"),
        step("long"),
        step("middle", "long"),
        step("end", "middle"),
    )
    await applied(suite, task, *flows, deep)
    async with Client(suite.grpc_address) as client, Worker(client, {kind: floor}, slots=1):
        first = await client.start(f"{kind}-normal")
        await floor.until(1)
        handles = [await client.start(f"{kind}-{level.lower()}") for level in levels]
        await floor.let_all_go([first, *handles])
        assert floor.order[1:] == ["CRITICAL", "HIGH", "NORMAL", "LOW"]

        first = await client.start(f"{kind}-normal")
        await floor.until(1)
        handle = await client.start(f"{kind}-deep")
        await floor.let_all_go([first, handle])
    assert floor.order[6:9] == ["long", "short", "optional"]


async def test_each_value_of_a_key_has_its_own_limit(suite: Suite) -> None:
    """Tasks of one customer wait for each other, not for those of another."""
    floor = Floor()
    limits = {"concurrency": 2, "key": "{{input.customer}}"}
    kind = await run_by(suite, own("keyed"), limits=limits)
    async with Client(suite.grpc_address) as client, Worker(client, {kind: floor}, slots=20):
        many = [await client.start(kind, {"customer": "many", "n": n}) for n in range(6)]
        few = [await client.start(kind, {"customer": "few", "n": n}) for n in range(2)]
        await floor.until(4)
        await eventually(lambda: held(client, "workflow", kind), (4, 4))
        assert sorted(each["customer"] for each in floor.running) == ["few"] * 2 + ["many"] * 2
        await floor.let_all_go([*many, *few])
    assert floor.most <= 4


@pytest.mark.long
@pytest.mark.feature("S4-59", "S3-29")
async def test_a_limit_is_changed_while_tasks_run(suite: Suite) -> None:
    """By REST and by command; what waits, why and for how long is there to see, per queue."""
    floor = Floor()
    kind = await run_by(suite, own("adjusted"), node={"queue": "heavy"})
    async with Client(suite.grpc_address) as client, AsyncExitStack() as stack:
        worker = Worker(client, {kind: floor}, slots=20, queues=["heavy"])
        await stack.enter_async_context(worker)
        body = {"kind": "task_type", "subject": kind, "concurrency": 2, "reason": "try"}
        answer = await suite.put("/api/v1/limits", body)
        assert (answer.status, answer.json) == (200, {"unreachable": []}), answer.text
        handles = [await client.start(kind, {"n": n}) for n in range(7)]
        await floor.until(2)
        await eventually(lambda: held(client, "task_type", kind), (2, 5))

        async def queue() -> tuple[int, ...]:
            listed = (await suite.get("/api/v1/queues")).json["queues"]
            (mine,) = [each for each in listed if each["taskType"] == kind]
            assert mine["queue"] == "heavy"
            return tuple(mine[name] for name in ("ready", "waitingForLimits", "running"))

        await eventually(queue, (5, 5, 2))
        by_command = await command(suite, "queues", "--json")
        (shown,) = [each for each in by_command.json if each["taskType"] == kind]
        assert (shown["ready"], shown["running"]) == (5, 2)
        assert shown["oldestMs"] > 0

        said = await command(suite, "limits", "set", "task_type", kind, "--concurrency", "4")
        assert said.code == 0, said.err
        await floor.until(4)
        listed = await command(suite, "limits", "list")
        assert any(kind in line for line in listed.lines), listed.out
        removed = await suite.delete(f"/api/v1/limits?kind=task_type&subject={kind}")
        assert removed.json["deleted"] is True
        await floor.until(7)
        changes = [each for each in await client.limit_changes() if kind in each.subject]
        assert [each.action for each in changes] == ["delete", "set", "set"]
        assert changes[-1].reason == "try"
        await floor.let_all_go(handles)


@pytest.mark.long
@pytest.mark.feature("S3-111")
async def test_an_emergency_stop_holds_everything_back_until_it_is_undone(suite: Suite) -> None:
    """Of a workflow and of a namespace; stopping twice is refused, and all of it is on record."""
    floor = Floor()
    kind = await run_by(suite, own("stopped"))
    async with Client(suite.grpc_address) as client, Worker(client, {kind: floor}, slots=20):
        before = await client.start(kind, {"n": 0})
        await floor.until(1)
        said = await command(suite, "stop-dispatch", "--workflow", kind, "--reason", "on fire")
        assert said.code == 0, said.err
        with pytest.raises(WrongState, match="stopped already"):
            await client.stop_dispatch(kind)
        handles = [await client.start(kind, {"n": n}) for n in range(1, 4)]

        async def stops() -> list[tuple[str, str, int]]:
            found = (await client.limits()).stops
            return [
                (each.workflow, each.reason, each.waiting)
                for each in found
                if each.workflow == kind
            ]

        await eventually(stops, [(kind, "on fire", 3)])
        # What was at a worker goes on.
        floor.let_go()
        await before.result(PATIENCE_S)
        assert floor.running == []
        answer = await suite.post("/api/v1/dispatch/start", {"workflow": kind, "reason": "out"})
        assert answer.status == 200, answer.text
        await floor.until(3)
        refused = await suite.post("/api/v1/dispatch/start", {"workflow": kind})
        assert refused.json["error"]["reason"] == "DISPATCH_NOT_STOPPED", refused.text
        changes = [each for each in await client.limit_changes() if kind in each.subject]
        assert [(each.action, each.reason) for each in changes] == [
            ("start", "out"),
            ("stop", "on fire"),
        ]
        await floor.let_all_go(handles)


@pytest.mark.feature("S3-111")
async def test_a_stopped_namespace_stops_no_other(suite: Suite) -> None:
    """The switch of a tenant is its own."""
    floor, namespace = Floor(), own("tenant")
    kind = own("tenants")
    task = resource("WorkflowTask", f"{kind}-task", type=kind)
    flow = workflow(kind, {"id": "a", "taskRef": f"{kind}-task"})
    await applied(suite, task, flow)
    await applied(suite, task, flow, **{"flowmesh-namespace": namespace})
    async with (
        Client(suite.grpc_address, namespace) as theirs,
        Client(suite.grpc_address) as client,
        Worker(theirs, {kind: floor}),
        Worker(client, {kind: floor}),
    ):
        await theirs.stop_dispatch(reason="all of it")
        stopped = await theirs.start(kind)
        mine = await client.start(kind)
        await floor.until(1)
        floor.let_go()
        await mine.result(PATIENCE_S)
        assert [each.workflow for each in (await theirs.limits()).stops] == [""]
        await theirs.start_dispatch()
        await floor.let_all_go([stopped])


async def test_a_rate_is_shared_and_held(suite: Suite) -> None:
    """Eight tasks at ten a second and two at once take at least six tenths of a second."""
    begun: list[float] = []

    async def note(value: Any) -> Any:
        begun.append(time.monotonic())
        return value

    kind = await run_by(suite, own("rated"), node={"limits": {"rate": 10, "burst": 2}})
    async with Client(suite.grpc_address) as client, AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(Worker(client, {kind: note}, slots=10))
        handles = await asyncio.gather(*(client.start(kind, {"n": n}) for n in range(8)))
        await asyncio.gather(*(handle.result(PATIENCE_S) for handle in handles))
    assert len(begun) == 8
    assert max(begun) - min(begun) >= 0.55


@pytest.mark.feature("S3-35", "S3-98")
async def test_tasks_go_to_workers_with_the_labels_they_require(suite: Suite) -> None:
    """Beside queues and task types each worker says what it has; the rest shares what is free."""
    plain, fast = Floor(), Floor()
    kind = own("labeled")
    task = resource("WorkflowTask", f"{kind}-task", type=kind)
    needs = {"requires": {"gpu": "true", "zone": "b"}}
    flows = [
        workflow(f"{kind}-gpu", {"id": "a", "taskRef": f"{kind}-task", **needs}),
        workflow(f"{kind}-any", {"id": "a", "taskRef": f"{kind}-task"}),
    ]
    await applied(suite, task, *flows)
    labels = {"gpu": "true", "zone": "b", "disk": "ssd"}
    async with Client(suite.grpc_address) as client, Worker(client, {kind: plain}, slots=1):
        waits = await client.start(f"{kind}-gpu")
        runs = await client.start(f"{kind}-any")
        await plain.until(1)
        found = [each for each in await client.queues() if each.task_type == kind]
        assert [(each.requires, each.worker_sets) for each in found] == [
            ("", 1),
            ("gpu=true,zone=b", 0),
        ]
        async with Worker(client, {kind: fast}, slots=1, labels=labels):
            await fast.until(1)
            await fast.let_all_go([waits])
        await plain.let_all_go([runs])


@pytest.mark.long
async def test_a_task_that_no_worker_begins_in_time_fails(suite: Suite) -> None:
    """Without a worker, and held by an emergency stop; with a worker it may run longer."""
    task = {"id": "wait", "taskRef": "begin-in-time", "scheduleToStart": "300ms"}
    slow = resource("WorkflowTask", "begin-in-time", type="begins")
    await applied(suite, slow, workflow("begins-in-time", task))
    shown = await suite.wait(await suite.begin("begins-in-time", {}))
    assert shown["error"]["class"] == "ScheduleToStartTimeout", shown["error"]
    assert shown["error"]["message"] == "no worker started it within 300 ms"

    async def begins(_value: Any) -> str:
        await pause(0.6)
        return "done"

    async with Worker(suite.grpc_address, {"begins": begins}):
        shown = await suite.wait(await suite.begin("begins-in-time", {}))
        assert shown["status"] == "completed", shown
        await command(suite, "stop-dispatch", "--workflow", "begins-in-time", "--reason", "x")
        shown = await suite.wait(await suite.begin("begins-in-time", {}))
        await command(suite, "start-dispatch", "--workflow", "begins-in-time", "--reason", "x")
        assert shown["error"]["class"] == "ScheduleToStartTimeout", shown["error"]


async def test_what_no_worker_runs_has_no_time_to_begin(suite: Suite) -> None:
    """The refusal says where it stands."""
    pause = {"id": "p", "taskRef": "delay", "input": {"duration": "1s"}, "scheduleToStart": "1s"}
    answer = await apply(suite, workflow("never-at-a-worker", pause))
    assert answer.status == 400
    assert "tasks[0].scheduleToStart" in answer.text, answer.text


@pytest.mark.feature("S3-26", "S3-117")
async def test_a_parallel_group_is_queued_at_once(suite: Suite) -> None:
    """All tasks of a level become ready in one commit, wait in the queue together, and leave it
    for the first worker that takes them."""

    async def at_once(_value: Any) -> None:
        return None

    kind = own("grouped")
    task = resource("WorkflowTask", f"{kind}-task", type=kind)
    first = {"id": "first", "taskRef": "noop"}
    group = [{"id": f"g{n}", "taskRef": f"{kind}-task", "dependsOn": ["first"]} for n in range(6)]
    await applied(suite, task, workflow(kind, first, *group))
    async with Client(suite.grpc_address) as client:
        handle = await client.start(kind, {})

        async def waiting() -> list[int]:
            return [each.ready for each in await client.queues() if each.task_type == kind]

        await eventually(waiting, [6])
        events = [event async for event in client.history(handle.id)]
        times = {event.at for event in events if event.type == "TaskScheduled"}
        assert len(times) == 1
        async with Worker(client, {kind: at_once}):
            await handle.result(PATIENCE_S)
        await eventually(waiting, [0])


@pytest.mark.feature("S3-25", "S3-29")
async def test_a_task_that_fails_comes_back_to_its_queue_later(suite: Suite) -> None:
    """After the pause its policy asks for; its queue counts what failed."""
    tried: list[float] = []

    async def fails_twice(_value: Any) -> Any:
        tried.append(time.monotonic())
        if len(tried) < 3:
            raise ValueError("not yet")
        return None

    retry = {"maxAttempts": 3, "initialDelay": "200ms", "multiplier": 2, "retryOn": ["*"]}
    kind = await run_by(suite, own("again"), node={"retry": retry | {"jitter": 0}})
    async with Client(suite.grpc_address) as client, Worker(client, {kind: fails_twice}):
        await client.run(kind, {}, timeout=PATIENCE_S)
        (queue,) = [each for each in await client.queues() if each.task_type == kind]
    assert queue.failed == 2
    assert tried[1] - tried[0] >= 0.2
    assert tried[2] - tried[1] >= 0.4


@pytest.mark.long
@pytest.mark.feature("S3-28")
async def test_tasks_that_were_given_up_are_listed(suite: Suite) -> None:
    """With queue, attempts and why, by REST, SDK and command."""

    async def refuses(_value: Any) -> Any:
        raise ValueError("no stock")

    retry = {"maxAttempts": 2, "initialDelay": "1ms", "retryOn": ["*"]}
    kind = await run_by(suite, own("given-up"), node={"queue": "heavy", "retry": retry})
    async with Client(suite.grpc_address) as client:
        async with Worker(client, {kind: refuses}, queues=["heavy"]):
            handle = await client.start(kind, {})
            await handle.wait(PATIENCE_S)
        letters = [each async for each in client.dead_letters() if each.workflow == kind]
    (letter,) = letters
    assert (letter.queue, letter.task_type, letter.attempts) == ("heavy", kind, 2)
    assert "no stock" in letter.message
    listed = (await suite.get("/api/v1/dead-letters")).json["letters"]
    assert any(each["executionId"] == handle.id for each in listed)
    said = await command(suite, "dead-letters")
    assert any(handle.id in line for line in said.lines), said.err
    assert all(len(line) <= 80 for line in said.lines)
    await _discarded_and_restored(suite, handle.id)
    await _discarded_by_command(suite, handle.id)


async def _discarded_and_restored(suite: Suite, execution_id: str) -> None:
    """The letters leave the list and come back; a repeated call and other ids change nothing."""

    async def listed() -> bool:
        return execution_id in (await suite.get("/api/v1/dead-letters?pageSize=200")).text

    body = {"executionIds": [execution_id, "exec-missing"], "reason": "paid in cash"}
    for verb, changed, after in (
        ("discard", 1, False),
        ("discard", 0, False),
        ("restore", 1, True),
        ("restore", 0, True),
    ):
        answer = await suite.post(f"/api/v1/dead-letters:{verb}", body)
        assert answer.json == {"changed": changed}, answer.text
        assert await listed() is after
    other = {"flowmesh-namespace": "letters-other"}
    answer = await suite.post("/api/v1/dead-letters:discard", body, headers=other)
    assert answer.json == {"changed": 0}
    for bad in ([], ["a b"], ["e"] * 201, "e"):
        refused = await suite.post("/api/v1/dead-letters:discard", {"executionIds": bad})
        assert refused.status == 400, bad
        assert "executionIds" in refused.text


async def _discarded_by_command(suite: Suite, execution_id: str) -> None:
    """The commands and the SDK do the same; without an execution they are wrong usage."""
    done = await command(suite, "discard-dead-letters", execution_id, "--reason", "paid")
    assert (done.code, "of 1 execution " in done.out) == (0, True), done.err
    async with Client(suite.grpc_address) as client:
        assert execution_id not in {each.execution_id async for each in client.dead_letters()}
        assert await client.discard_dead_letters(execution_id) == 0
        assert await client.restore_dead_letters(execution_id, "exec-missing") == 1
        assert execution_id in {each.execution_id async for each in client.dead_letters()}
    done = await command(suite, "restore-dead-letters", execution_id, "--json")
    assert (done.code, done.json) == (0, {"changed": 0}), done.err
    assert (await command(suite, "discard-dead-letters")).code == 2


async def test_wrong_limits_are_refused_with_their_field(suite: Suite) -> None:
    """Nothing is set by a call that is refused."""
    for body, field in [
        ({"kind": "galaxy"}, "kind"),
        ({"kind": "workflow"}, "subject"),
        ({"kind": "namespace", "subject": "x"}, "subject"),
        ({"kind": "queue", "subject": "q", "weight": 3}, "weight"),
        ({"kind": "node", "subject": "no-workflow"}, "subject"),
        ({"kind": "queue", "subject": "q", "rate": -1}, "rate"),
    ]:
        answer = await suite.put("/api/v1/limits", body)
        assert answer.status == 400, answer.text
        assert field in answer.text
    async with Client(suite.grpc_address) as client:
        assert "galaxy" not in str(await client.limits())
