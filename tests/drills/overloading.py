"""More starts than can be done, offered from a process of its own."""

import asyncio
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import fmean
from typing import Any

import asyncpg
import psutil

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.errors import Overloaded
from flowmesh.testing.polling import pause, speeds, until
from flowmesh.testing.suite import Suite
from tests.drills.breaking import REPOSITORY

CALLERS = 200
NORMAL = 0.5
NORMAL_S = 2.0
NORMAL_WITHIN_S = 30.0
TIMES = 5
RESIDENT_BYTES_MAX = 400 << 20
REFUSED = "RESOURCE_EXHAUSTED/OVERLOADED"
COMPLETED = 4
STEP = {"name": "step", "action": "delay", "params": {"duration": 1}}
STEPS = [{**STEP, "id": "a"}] + [
    {**STEP, "id": id_, "dependencies": [before]} for before, id_ in (("a", "b"), ("b", "c"))
]
CHAIN = {"id": "chain", "name": "chain", "steps": STEPS}
LISTED_WORKFLOW = {"id": "listed", "name": "listed", "steps": STEPS[:1]}
LISTED = 10
LOOK_EVERY_S = 0.05
WAIT_MS = 60_000
_STATUSES = "select status, count(*) as n from orchestrator.executions group by status"


class Generator:
    """Offers starts from a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, **question: Any) -> dict[str, Any]:
        """What became of what was offered, once all of it is answered.

        `granted` is the share of the time this machine wanted its cores in which it had them, and
        `whole_per_s` how much would have been done had the host of the machine kept none of it.
        `speed` is that of its cores, and `target_per_s` what machines of speed 1 would have done.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        before = psutil.cpu_times()
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        async with speeds() as seen:
            answer: dict[str, Any] = json.loads(await self._process.stdout.readline())
        granted, speed = _granted(before, psutil.cpu_times()), fmean(seen)
        whole_per_s = answer["per_s"] / granted
        answer |= {"granted": round(granted, 2), "whole_per_s": whole_per_s}
        answer |= {"speed": round(speed, 2), "target_per_s": whole_per_s / speed}
        print(question, answer)
        return answer

    async def closed(self, seconds: float) -> dict[str, Any]:
        return await self.ask(do="closed", callers=CALLERS, seconds=seconds)

    async def open(self, per_s: float, seconds: float) -> dict[str, Any]:
        return await self.ask(do="open", per_s=per_s, seconds=seconds)

    async def normal_again(self, peak_per_s: float) -> float:
        """Seconds until half of what can be done is done again without a refusal."""

        async def calm() -> bool:
            after = await self.open(NORMAL * peak_per_s, NORMAL_S)
            return not after["refused"]

        return await until("normal again", calm, within_s=NORMAL_WITHIN_S)


def _granted(before: Any, after: Any) -> float:
    idle = after.idle - before.idle + after.iowait - before.iowait
    wanted = sum(after[:8]) - sum(before[:8]) - idle
    return float(1 - (after.steal - before.steal) / wanted)


class Lister:
    """Runs an execution now and then, and sees how long after its end it is listed as ended."""

    def __init__(self, suite: Suite, workflow_id: str) -> None:
        self._executions = ExecutionServiceStub(suite.channel)
        self._workflow_id = workflow_id
        self.lags_s: list[float] = []

    async def run(self) -> None:
        while True:
            await self.look()
            await pause(LOOK_EVERY_S)

    async def look(self) -> None:
        """One execution; what is refused meanwhile is asked for again, as the refusal says."""
        start = pb.StartExecutionRequest(
            workflow_id=self._workflow_id, request_id=uuid.uuid4().hex, wait_ms=WAIT_MS
        )
        try:
            execution_id = (await self._executions.StartExecution(start)).execution_id
        except Overloaded as error:
            await pause(error.retry_after_ms / 1_000)
            return
        ended = time.monotonic()
        listed = pb.ListExecutionsRequest(
            workflow_id=self._workflow_id,
            statuses=[execution_pb2.EXECUTION_STATUS_COMPLETED],
            page_size=LISTED,
        )
        while True:
            page = await self._executions.ListExecutions(listed)
            if any(one.execution_id == execution_id for one in page.executions):
                break
        self.lags_s.append(time.monotonic() - ended)


@asynccontextmanager
async def listing(suite: Suite) -> AsyncIterator[Lister]:
    """Looks at what is listed while it is open."""
    lister = Lister(suite, await suite.define(LISTED_WORKFLOW))
    task = asyncio.create_task(lister.run())
    try:
        yield lister
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def generator(suite: Suite, by: str = "calls") -> AsyncIterator[Generator]:
    """For the workflow `chain`, which it registers; `by` is how starts are sent."""
    await suite.define(CHAIN)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.harness.offering", suite.grpc_address, by),
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Generator(process)
    finally:
        process.kill()
        await process.wait()


async def counted(suite: Suite) -> dict[int, int]:
    """How many executions have which status."""
    connection: asyncpg.Connection = await asyncpg.connect(str(suite.about["postgres"]))
    try:
        return {row["status"]: row["n"] for row in await connection.fetch(_STATUSES)}
    finally:
        await connection.close()
