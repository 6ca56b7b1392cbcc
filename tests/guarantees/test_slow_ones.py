"""G8: who is slow, or has far too much, slows only himself. Memory stays bounded.

A subscriber that does not read is in tests/integration/event/test_watch_execution.py.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest
import pytest_asyncio

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.sdk import Client, Worker
from flowmesh.testing.suite import Suite, raw_channel

PROBES = 40
# A neighbour's median may grow by so much, the machine's own noise included.
TIMES_MAX = 3.0
FLOOR_S = 0.05
# Six services in one process, and up to 256 MiB of it the states of executions kept at hand.
RESIDENT_BYTES_MAX = 512 << 20
STEP = {"id": "a", "name": "a", "action": "delay", "params": {"duration": 1}}
UNREAD_STARTS = 1_000
LARGE = {"code": "return {large: 'x'.repeat(60000)};"}
UNREAD = {"id": "a", "name": "a", "action": "transform", "params": LARGE}
FEW_SLOTS = 4
HELD_TASKS = 500
AT_ONCE = 2_000

pytestmark = pytest.mark.long


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    async with Suite(tmp_path_factory.mktemp("slow") / "data") as running:
        await running.define({"id": "probe", "name": "probe", "steps": [STEP]})
        await running.define({"id": "large", "name": "large", "steps": [UNREAD]})
        yield running


async def median_s(client: Client) -> float:
    """How long a small execution of somebody else takes, from its start to its result."""
    taken = []
    for _ in range(PROBES):
        began = time.monotonic()
        await (await client.start("probe", {})).result()
        taken.append(time.monotonic() - began)
    return statistics.median(taken)


@asynccontextmanager
async def undisturbed(suite: Suite) -> AsyncIterator[None]:
    """A neighbour is as quick when the block ends as before it."""
    async with Client(suite.grpc_address) as neighbour:
        await median_s(neighbour)
        before_s = await median_s(neighbour)
        yield
        after_s = await median_s(neighbour)
    resident = psutil.Process(suite.pid).memory_info().rss
    print(f"{before_s * 1e3:.1f} ms before, {after_s * 1e3:.1f} ms now, {resident >> 20} MiB")
    assert after_s <= max(TIMES_MAX * before_s, FLOOR_S)
    assert resident < RESIDENT_BYTES_MAX


def remote(action: str) -> dict[str, object]:
    """A workflow of one task for workers outside the suite."""
    step = {"id": "only", "name": "only", "action": action}
    return {"id": action, "name": action, "steps": [step]}


async def test_a_client_that_does_not_read(shared: Suite) -> None:
    """It asks for many large results and reads none of them."""
    async with undisturbed(shared), raw_channel(shared) as channel:
        stream = ExecutionServiceStub(channel).Session()
        for number in range(UNREAD_STARTS):
            start = pb.StartExecutionRequest(workflow_id="large")
            asked = pb.SessionStart(call_id=number + 1, start=start, want_result=True)
            await stream.write(pb.SessionRequest(starts=[asked]))
        async with Client(shared.grpc_address) as other:
            await median_s(other)


async def test_a_worker_that_hangs(shared: Suite) -> None:
    """It takes as many tasks as it has slots for and returns none; more wait for it."""
    async with Client(shared.grpc_address) as client:
        await client.register(remote("hang"))
        release, held = asyncio.Event(), asyncio.Event()

        async def hang(_: object) -> None:
            held.set()
            await release.wait()

        async with (
            undisturbed(shared),
            client.session() as session,
            Worker(client, {"hang": hang}, slots=FEW_SLOTS),
        ):
            calls = [session.submit("hang", {}) for _ in range(HELD_TASKS)]
            await asyncio.gather(*(call.started() for call in calls))
            await held.wait()
            async with Client(shared.grpc_address) as other:
                await median_s(other)
            release.set()
            await asyncio.gather(*(call.result() for call in calls))


@pytest.mark.parametrize(
    "tasks",
    [5_000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])],
)
async def test_a_namespace_with_far_too_many_tasks(shared: Suite, tasks: int) -> None:
    """Nobody takes them; they wait in rows, not in the way of others."""
    async with (
        undisturbed(shared),
        Client(shared.grpc_address, namespace=f"huge-{tasks}") as huge,
    ):
        await huge.register(remote("never"))
        async with huge.session() as session:
            for first in range(0, tasks, AT_ONCE):
                some = range(min(AT_ONCE, tasks - first))
                calls = [session.submit("never", {}, want_result=False) for _ in some]
                await asyncio.gather(*(call.started() for call in calls))
