"""A durable handler that asks for everything there is, run by the SDK's own host."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.contract.json_value import Json
from flowmesh.sdk import CallFailed, DurableContext, Retry, TaskContext, TaskFailure
from flowmesh.sdk.durable.host import DurableTask
from flowmesh.sdk.transport.payload_store import Payloads
from tests.simulation.servers.loop import elapsed

if TYPE_CHECKING:
    from tests.simulation.actors.peers import RemoteWorker
    from tests.simulation.servers.world import World

DURABLE_TYPE = "durable"
STEP_FAILS = 0.2
HANDLER_FAILS = 0.1
CHAIN = 8
CHAINED = "sleeps ended, after"


class Inline(Payloads):
    """Values as they are: none is large here."""

    async def put(self, data: bytes, encoding: str = "") -> payload_pb2.Payload:
        return payload_pb2.Payload(encoding=encoding, data=data)

    async def get(self, digest: str) -> tuple[str, bytes]:
        raise NotImplementedError(f"{digest} is stored nowhere")


def durable_handler(world: World, worker_id: str, task: task_pb2.Task) -> Any:
    """A handler that begins or resumes at a worker."""
    random = Random(f"{world.seed}/{worker_id}/{task.token}/{world.loop.time()}")

    async def again() -> str:
        await elapsed(random.choice((0.0, 0.001, 0.01)))
        return str(random.random())

    async def step(name: str) -> str:
        await elapsed(random.choice((0.0, 0.01, 0.2)))
        world.happened("step", f"{task.token} {name}", worker_id)
        if random.random() < STEP_FAILS:
            raise TaskFailure("ServerError", "drawn")
        return f"{name} {random.random()}"

    async def handler(ctx: DurableContext, _given: Json) -> Json:
        return await _handled(ctx, step, again)

    return handler


def durable_task(worker: RemoteWorker, task: task_pb2.Task) -> DurableTask:
    """It runs in the SDK's host, without its worker."""
    world = worker.world
    context = TaskContext(
        task, config=b"", deadline=None, monotonic=world.loop.time, report=lambda *_: None
    )
    return DurableTask(
        function=durable_handler(world, worker.worker_id, task),
        task=task,
        context=context,
        payloads=Inline(),
        in_thread=_no_threads,
        send=worker.say,
        finished=lambda result: worker.handled(task.token, result),
        now_us=world.now_us,
    )


async def _no_threads(_function: Any, _arguments: tuple[Any, ...]) -> Json:
    raise AssertionError("steps are coroutines here")


async def _chain(ctx: DurableContext, again: Any) -> None:
    """Repeatable steps, while sleeps end: each has in its name what the handler has seen before."""
    seen, slept = "", 0

    async def sleeps(after_s: float) -> None:
        nonlocal slept
        await ctx.sleep(after_s)
        slept += 1

    async def steps() -> None:
        nonlocal seen
        for _ in range(CHAIN):
            seen = await ctx.step(f"{slept} {CHAINED} {seen}", again, repeatable=True)

    await asyncio.gather(steps(), *(sleeps(each / 100) for each in range(1, CHAIN)))


async def _handled(ctx: DurableContext, step: Any, again: Any) -> Json:
    tried = Retry(attempts=4, initial="10ms")
    done = [await ctx.step("first", step, "first", retry=tried)]
    done += await asyncio.gather(
        ctx.step("left", step, "left", retry=tried), ctx.step("right", step, "right", retry=tried)
    )
    await _chain(ctx, again)
    await ctx.sleep(ctx.random.choice((0.03, 1.5)))
    try:
        async with asyncio.timeout(ctx.random.choice((0.05, 2))):
            done.append(await ctx.wait_signal("go"))
    except TimeoutError:
        done.append("no signal")
    try:
        done.append(await ctx.call("work", 1, retry=Retry(attempts=2, initial="10ms")))
    except CallFailed as error:
        done.append(error.failure.error_class)
    if ctx.random.random() < HANDLER_FAILS:
        raise TaskFailure("ServerError", "the handler itself")
    return [*done, str(ctx.uuid()), ctx.now().isoformat()]
