"""Durable handlers: steps in a row in one of them (as W4 and W8), and many that sleep (as W6).

    .venv/bin/python benchmarks/durable.py

The suite, the worker and the client are processes of their own, as in the other benchmarks; tasks
in a row of the same length stand beside it. A step does nothing; what is measured is the suite.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from flowmesh.sdk import Client, DurableContext, Worker, Workflow
from flowmesh.testing.suite import Suite

Json = Any
WAIT_S = 300.0
SLEEP_S = 5
WARM_UP = 20


async def nothing(value: Json = None) -> Json:
    return value


async def steps(ctx: DurableContext, count: int) -> int:
    for number in range(count):
        await ctx.step("step", nothing, number)
    return count


async def sleeps(ctx: DurableContext, seconds: int) -> None:
    await ctx.sleep(seconds)


def work(address: str) -> None:
    """The worker's process."""
    worker = Worker(address, slots=500)
    worker.durable("bench-steps")(steps)
    worker.durable("bench-sleeps")(sleeps)
    worker.task("bench-task")(nothing)
    worker.run()


def chain(count: int) -> Workflow:
    flow = Workflow(f"bench-chain-{count}")
    before = flow.task("t0", "bench-task")
    for number in range(1, count):
        before = flow.task(f"t{number}", "bench-task", depends_on=[before])
    return flow


async def timed(client: Client, workflow_id: str, given: Json = None) -> float:
    began = time.monotonic()
    await client.run(workflow_id, given, timeout=WAIT_S)
    return time.monotonic() - began


async def asleep(client: Client, count: int) -> dict[str, float]:
    """Starts many that sleep, and waits until all have woken."""
    began = time.monotonic()
    handles = await asyncio.gather(*(client.start("bench-sleeps", SLEEP_S) for _ in range(count)))
    started = time.monotonic() - began
    await asyncio.gather(*(handle.result(WAIT_S) for handle in handles))
    ended = time.monotonic() - began
    return {"starts_per_s": count / started, "all_awake_after_s": ended - SLEEP_S}


async def measure(steps_long: int, sleepers: int) -> dict[str, Json]:
    with tempfile.TemporaryDirectory() as folder:
        async with Suite(Path(folder) / "data") as suite:
            worker = await asyncio.create_subprocess_exec(
                sys.executable, __file__, "--work", suite.grpc_address
            )
            try:
                async with Client(suite.grpc_address) as client:
                    for count in (40, steps_long):
                        await client.register(chain(count))
                    await timed(client, "bench-chain-40")
                    await timed(client, "bench-steps", WARM_UP)
                    return {
                        "w8_handler_s": await timed(client, "bench-steps", 40),
                        "w8_tasks_s": await timed(client, "bench-chain-40"),
                        "w4_handler_steps_per_s": steps_long
                        / await timed(client, "bench-steps", steps_long),
                        "w4_tasks_steps_per_s": steps_long
                        / await timed(client, f"bench-chain-{steps_long}"),
                        "sleepers": await asleep(client, sleepers),
                    }
            finally:
                worker.kill()
                await worker.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--work", default="", help="be the worker at this address")
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--sleepers", type=int, default=2_000)
    options = parser.parse_args()
    if options.work:
        work(options.work)
        return
    sys.stdout.write(json.dumps(asyncio.run(measure(options.steps, options.sleepers)), indent=2))
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
