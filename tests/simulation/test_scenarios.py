"""The schedules that the design is written against, each played step by step."""

import hashlib
from functools import partial

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.orchestrator.dispatch.recovery import CLAIM_WAIT_S
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.ownership.ownership import YOUNG_MS
from flowmesh.plan import Plan, compile_plan
from tests.simulation.actors.faults import Fate
from tests.simulation.actors.peers import REMOTE_TYPE
from tests.simulation.actors.scripted import Stage, play
from tests.simulation.checks.history import Outcome
from tests.simulation.servers.commit_sql import Payload
from tests.simulation.servers.hosts import EventHost, OrchestratorHost, WorkerServiceHost
from tests.simulation.servers.loop import elapsed
from tests.simulation.servers.tables import PAYLOAD_KEPT_US

HEARD_WITHIN_S = 5.0
"""A lease and the look of those that are left; a call is given up after ten seconds."""


@pytest.mark.parametrize("resends_late", [0, 3])
def test_a_lost_commit_answer_while_the_statement_waits(resends_late: int) -> None:
    """The statement is sent again; one of them applies, whichever comes first."""

    async def script(stage: Stage) -> None:
        commit = [(Fate.LATE, 0.3)] + [(Fate.LATE, 0.4)] * resends_late
        stage.world.faults.script("commit", *commit)
        stage.start("short", "r")
        await stage.until(lambda: stage.ended("r"))

    stage = play(script)
    assert stage.world.faults.injected["late"] == 1 + resends_late
    assert len(stage.world.tables.incarnations) == 1


def test_an_owner_paused_for_ten_seconds() -> None:
    """Another owner continues meanwhile; the paused one commits nothing of what it lost."""

    async def script(stage: Stage) -> None:
        stage.start("long", "r")
        await stage.until(lambda: stage.effects("r", "a"))
        paused = stage.owner("r")
        paused.process.pause()
        await stage.until(lambda: stage.ended("r"))
        assert stage.owner("r") is not paused
        await elapsed(10.0)
        paused.process.resume()
        await elapsed(1.5)
        stage.start("short", "s")
        await stage.until(lambda: stage.ended("s"))

    play(script, orchestrators=2)


def test_an_owner_refuses_nothing_by_what_it_knew_before_its_lease_was_over() -> None:
    """An execution paused by the next owner can be resumed by a call to the former one."""

    async def script(stage: Stage) -> None:
        stage.world.work.fixed["a"] = 8.0
        stage.start("long", "r")
        await stage.until(lambda: stage.effects("r", "a"))
        # Nothing of it is left to be written, by which the former owner would learn of the next.
        await elapsed(1.5)
        execution_id, former = stage.execution("r"), stage.owner("r")
        former.process.pause()
        await stage.until(lambda: stage.owner("r") is not former)
        stub = stage.world.network.stub
        pause = pb.PauseExecutionRequest(execution_id=execution_id, request_id="pause")
        await stub(stage.owner("r").address).PauseExecution(pause)
        stage.world.faults.script("renew_lease", *[(Fate.LATE, 0.3)] * 2)
        former.process.resume()
        again = pb.ResumeExecutionRequest(execution_id=execution_id, request_id="resume")
        await stub(former.address).ResumeExecution(again)
        await stage.until(lambda: stage.ended("r"))

    play(script, orchestrators=2)


@pytest.mark.parametrize("paused_s", [1.0, 3.0])
def test_a_start_without_an_id_whose_answer_is_lost_is_made_once(paused_s: float) -> None:
    """Its owner never gets the outcome, and asks the next one under the same id."""

    async def script(stage: Stage) -> None:
        tables = stage.world.tables
        stage.world.faults.script("commit", (Fate.UNANSWERED, 0.2))
        stage.start("short", "")
        await stage.until(lambda: tables.executions)
        (execution_id,) = tables.executions
        paused = stage.owner_of(execution_id)
        paused.process.pause()
        await stage.until(lambda: stage.owner_of(execution_id) is not paused)
        await elapsed(paused_s)
        paused.process.resume()
        await stage.until(lambda: not stage.workload.open)

    stage = play(script, orchestrators=2)
    assert len(stage.world.tables.executions) == 1


def test_a_call_to_a_stalled_owner_reaches_the_next_owner() -> None:
    """Its connections stay open, so nothing breaks: what counts is that its lease is over."""

    async def script(stage: Stage) -> None:
        stage.world.work.fixed["a"] = 6.0
        stage.start("long", "r")
        await stage.until(lambda: stage.effects("r", "a"))
        execution_id, frozen = stage.execution("r"), stage.owner("r")
        stub = stage.world.network.stub(stage.other(frozen).address)
        wait = pb.WaitExecutionRequest(execution_id=execution_id, timeout_ms=60_000)
        waiting = stage.client.process.spawn(stub.WaitExecution(wait, timeout=70.0))
        await elapsed(0.5)
        frozen.process.pause()
        began_s = stage.world.loop.time()
        pause = pb.PauseExecutionRequest(execution_id=execution_id, request_id="pause")
        await stub.PauseExecution(pause)
        await stub.ResumeExecution(pb.ResumeExecutionRequest(execution_id=execution_id))
        assert stage.world.loop.time() - began_s < HEARD_WITHIN_S
        await stage.until(lambda: stage.ended("r"))
        await elapsed(0.1)
        assert waiting.done()
        assert waiting.result().ended
        frozen.process.resume()

    play(script, orchestrators=2)


def test_two_takeovers_with_unpublished_rows() -> None:
    """Events of three owners in a row arrive in the order of the execution."""

    async def script(stage: Stage) -> None:
        world = stage.world
        world.nats.go_away()
        stage.start("long", "r")
        await stage.until(lambda: stage.effects("r", "a"))
        for _ in range(2):
            await elapsed(0.2)
            before = stage.owner("r")
            before.process.kill()
            await stage.until(partial(lambda before: stage.owner("r") is not before, before))
        await stage.until(lambda: stage.ended("r"))
        world.nats.come_back(store_lost=False)

    stage = play(script, orchestrators=3)
    told = {c.incarnation for c in stage.world.tables.commits if c.rows}
    assert len(told) >= 2


def test_a_position_with_nothing_in_it() -> None:
    """A commit of which every row is refused still has its place in the order."""

    async def script(stage: Stage) -> None:
        stage.start("long", "r")
        await stage.until(lambda: stage.effects("r", "a"))
        paused = stage.owner("r")
        paused.process.pause()
        await elapsed(1.9)
        # The next result of the worker waits for the paused owner and is committed too late.
        await stage.until(lambda: stage.owner("r") is not paused)
        paused.process.resume()
        await stage.until(lambda: stage.ended("r"))
        stage.start("short", "s")
        await stage.until(lambda: stage.ended("s"))

    stage = play(script, orchestrators=2)
    assert any(not commit.rows for commit in stage.world.tables.commits)


def test_a_full_restart_while_workers_run_on() -> None:
    """A task that a worker runs throughout is neither lost nor run twice."""

    async def script(stage: Stage) -> None:
        world = stage.world
        stage.start("long", "r")
        await stage.until(lambda: stage.effects("r", "a"))
        await elapsed(0.2)
        world.database.go_away()
        world.nats.go_away()
        assert world.events is not None
        hosts: list[OrchestratorHost | WorkerServiceHost | EventHost] = [
            *world.orchestrators.values(),
            *world.workers.values(),
            world.events,
        ]
        for host in hosts:
            host.process.kill()
        await elapsed(0.2)
        world.database.come_back()
        world.nats.come_back(store_lost=True)
        for name in (*world.orchestrators, *world.workers, "event"):
            world.restart(name)
        await stage.until(lambda: stage.ended("r"))

    stage = play(script, orchestrators=2)
    assert stage.effects("r", "a") == 1


@pytest.mark.parametrize(("orchestrators", "lost"), [(1, False), (2, False), (2, True)])
def test_a_task_that_reached_no_worker_before_its_owner_died(
    orchestrators: int, lost: bool
) -> None:
    """It goes out once the workers of that owner are back; a second later if one is lost, too."""
    waited_s: list[float] = []

    async def script(stage: Stage) -> None:
        world, loop = stage.world, stage.world.loop
        await elapsed(YOUNG_MS / 1_000)
        stage.start("short", "r")
        await stage.until(lambda: stage.has("r"))
        # It has not received the answer to its own commit.
        owner = stage.owner("r")
        owner.process.kill()
        if lost:
            world.workers["ws1"].process.kill()
        world.restart(owner.name)
        partition = world.tables.partitions[partition_of(stage.execution("r")) or 0]
        former = owner.core.memory.ownership.incarnation
        await stage.until(lambda: partition.incarnation != former)
        taken_over_s = loop.time()
        await stage.until(lambda: stage.effects("r", "x"))
        waited_s.append(loop.time() - taken_over_s)

    play(script, orchestrators=orchestrators, workers=2)
    assert (waited_s[0] > CLAIM_WAIT_S) == lost
    assert waited_s[0] < (CLAIM_WAIT_S if lost else 0.0) + CLAIM_WAIT_S / 4


def test_a_worker_that_returns_through_another_worker_service() -> None:
    """Its task continues, and its result is accepted from there."""

    async def script(stage: Stage) -> None:
        world = stage.world
        stage.start("long", "r")
        await stage.until(lambda: stage.effects("r", "a"))
        await elapsed(0.2)
        remote = world.remotes["rw"]
        used = next(h for h in world.workers.values() if remote.worker_id in h.relay._workers)
        used.process.kill()
        await stage.until(lambda: stage.ended("r"))

    stage = play(script, workers=2)
    assert stage.effects("r", "a") == 1


def test_a_paused_orchestrator_that_holds_credit() -> None:
    """Its granted slots are revoked, and other tasks run before it resumes."""

    async def script(stage: Stage) -> None:
        for number in range(8):
            stage.start("short", f"warm{number}")
        await stage.until(lambda: all(stage.ended(f"warm{n}") for n in range(8)))
        first, second = stage.world.orchestrators.values()
        first.process.pause()
        for number in range(8):
            stage.start("short", f"r{number}")
        await stage.until(lambda: any(stage.has(f"r{n}") for n in range(8)))
        began_s = stage.world.loop.time()
        mine = [f"r{n}" for n in range(8) if stage.has(f"r{n}")]
        assert all(stage.owner(request_id) is second for request_id in mine)
        await stage.until(lambda: all(stage.ended(request_id) for request_id in mine))
        assert stage.world.loop.time() - began_s < 2.5
        first.process.resume()

    play(script, orchestrators=2, slots=1)


def test_a_nats_store_deleted_while_idle() -> None:
    """Later commits arrive, and no earlier one is missing."""

    async def script(stage: Stage) -> None:
        world = stage.world
        stage.start("short", "r")
        await stage.until(lambda: stage.ended("r"))
        await elapsed(3.0)
        world.nats.go_away()
        await elapsed(0.5)
        world.nats.come_back(store_lost=True)
        await elapsed(3.0)
        stage.start("short", "s")
        await stage.until(lambda: stage.ended("s"))

    play(script)


def test_a_stream_lost_after_a_takeover_while_idle() -> None:
    """The last commit of the former owner is published, even without further commits."""

    async def script(stage: Stage) -> None:
        world = stage.world
        assert world.events is not None
        world.events.process.pause()
        stage.start("short", "r")
        await stage.until(lambda: stage.ended("r"))
        before = stage.owner("r")
        await elapsed(0.2)
        before.process.kill()
        world.restart(before.name)
        await stage.until(
            lambda: len(world.orchestrators[before.name].core.memory.ownership.epochs) == 64
        )
        await elapsed(1.0)
        world.nats.go_away()
        world.nats.come_back(store_lost=True)
        await elapsed(1.0)
        world.events.process.resume()

    play(script)


def test_a_stream_lost_behind_a_takeover() -> None:
    """An event service that lags reads the former owner's events first, from the outbox."""

    async def script(stage: Stage) -> None:
        world = stage.world
        assert world.events is not None
        stage.start("long", "r")
        await stage.until(lambda: stage.effects("r", "a"))
        world.events.process.pause()
        before = stage.owner("r")
        await elapsed(0.2)
        before.process.kill()
        await stage.until(lambda: stage.ended("r"))
        await elapsed(1.0)
        world.nats.go_away()
        world.nats.come_back(store_lost=True)
        await elapsed(1.0)
        world.events.process.resume()

    play(script, orchestrators=2)


def test_a_payload_collected_while_a_commit_refers_to_it() -> None:
    """The payloads of an accepted start exist as long as the execution."""
    data = b'{"n": 1}'
    digest = hashlib.sha256(data).hexdigest()

    async def script(stage: Stage) -> None:
        tables = stage.world.tables
        old_us = tables.now_us() - PAYLOAD_KEPT_US - 1
        tables.payloads["default", digest] = Payload("", data, old_us)
        reference = payload_pb2.PayloadReference(digest=digest, size_bytes=len(data))
        request = pb.StartExecutionRequest(
            workflow_id="short", request_id="r", input=payload_pb2.Payload(reference=reference)
        )
        read = stage.world.database.statements
        stage.client.spawn(stage.client.call("start", "StartExecution", request))
        await stage.until(lambda: read.get("commit") or tables.executions)
        tables.collect_payloads()
        await stage.until(lambda: stage.world.record.calls)

    stage = play(script)
    tables = stage.world.tables
    accepted = stage.world.record.calls[-1].outcome is Outcome.OK
    assert accepted == (("default", digest) in tables.payloads)


def test_duplicate_starts_in_one_batch_and_on_two_instances() -> None:
    """They start one execution, and all callers get the same answer."""

    async def script(stage: Stage) -> None:
        clients = stage.workload.clients
        for client in clients * 6:
            client.spawn(client.start("short", "r"))
        await stage.until(lambda: stage.ended("r") and not stage.workload.open)

    stage = play(script, orchestrators=2)
    told = {call.execution_id for call in stage.world.record.calls if call.kind == "start"}
    assert len(told) == 1
    assert len(stage.world.tables.executions) == 1


def test_a_repeat_that_shares_a_batch_with_other_content_has_its_execution() -> None:
    """Only a caller that used the request id for another request gets the error."""
    names = [f"r{number}" for number in range(4)]

    async def script(stage: Stage) -> None:
        (client, *_) = stage.workload.clients
        for name in names:
            await client.start("short", name)
        for name in names * 2:
            client.spawn(client.start("short", name, b'{"n": 2}'))
            client.spawn(client.start("short", name))
        await stage.until(lambda: all(map(stage.ended, names)) and not stage.workload.open)

    stage = play(script)
    told = {(call.content, call.outcome) for call in stage.world.record.calls}
    assert told == {("short {}", Outcome.OK), ('short {"n": 2}', Outcome.FAIL)}


def test_a_first_queue_that_changes_while_a_new_owner_reads() -> None:
    """A task that waits is found, also when its execution's first queue is another by then."""

    def plan(workflow_id: str, *nodes: tuple[str, str, list[int]]) -> Plan:
        message = plan_pb2.Plan(namespace="default", workflow_id=workflow_id, version=1)
        message.specs.add(task_type=REMOTE_TYPE, digest=REMOTE_TYPE)
        for node, queue, after in nodes:
            kind = plan_pb2.NODE_KIND_TASK
            message.nodes.add(id=node, kind=kind, queue=queue, dependencies=after, critical=True)
        message.digest = workflow_id
        return compile_plan(message)

    async def script(stage: Stage) -> None:
        world = stage.world
        # The lanes of a plan are in the order of its nodes: the last task's lane comes first.
        lanes = [("lane", "default", []), ("held", "other", [0]), ("waits", "other", [0])]
        world.definitions.added["two"] = plan("two", *lanes, ("then", "default", [1]))
        world.definitions.added["one"] = plan("one", ("busy", "default", []))
        world.work.fixed.update(lane=0.01, held=4.3, waits=0.01, then=3.0, busy=0.01)
        stage.start("two", "r")
        await stage.until(lambda: stage.effects("r", "held"))
        for number in range(6):
            stage.start("one", f"s{number}")
        await stage.until(lambda: all(stage.has(f"s{number}") for number in range(6)))
        world.faults.script("ready_executions", (Fate.SLOW, 2.0))
        before = stage.owner("r")
        before.process.kill()
        await stage.until(lambda: stage.ended("r"))

    play(script, orchestrators=2, slots=1)
