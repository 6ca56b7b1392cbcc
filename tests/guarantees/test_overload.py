"""More unary starts than can be done: what is too much is told to come back, and nothing is lost.

How much is done meanwhile is measured and printed; what it must be is tested where no other work
of the machine decides about it: tests/unit/orchestrator/test_admission.py.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.drills.breaking import REPOSITORY

CALLERS = 64
WARM_S = 1.0
PEAK_S = 3.0
NORMAL_S = 2.0
OVERLOAD_S = 5.0
NORMAL = 0.5
TIMES = 5
NORMAL_WITHIN_S = 30.0
RESIDENT_BYTES_MAX = 400 << 20
REFUSED = "RESOURCE_EXHAUSTED/OVERLOADED"
# What gRPC itself has no room to queue it cancels, without a reason; clients ask again.
CUT_OFF = "CANCELLED/"
STEP = {"name": "step", "action": "delay", "params": {"duration": 1}}
STEPS = [{**STEP, "id": "a"}] + [
    {**STEP, "id": id_, "dependencies": [before]} for before, id_ in (("a", "b"), ("b", "c"))
]
CHAIN = {"id": "chain", "name": "chain", "steps": STEPS}
_STATUSES = "select status, count(*) as n from orchestrator.executions group by status"
_COMPLETED = 4


class Generator:
    """Offers starts from a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, **question: Any) -> dict[str, Any]:
        """What became of what was offered, once all of it is answered."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await self._process.stdout.readline())
        print(question, answer)
        return answer

    async def closed(self, seconds: float) -> dict[str, Any]:
        return await self.ask(do="closed", callers=CALLERS, seconds=seconds)

    async def open(self, per_s: float, seconds: float) -> dict[str, Any]:
        return await self.ask(do="open", per_s=per_s, seconds=seconds)


@asynccontextmanager
async def generator(suite: Suite) -> AsyncIterator[Generator]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.offering", suite.grpc_address),
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Generator(process)
    finally:
        process.kill()
        await process.wait()


async def test_too_many_starts_are_told_to_come_back(tmp_path: Path) -> None:
    """Refused with a delay; what was accepted ends; then it is as it was before."""
    async with Suite(tmp_path / "data") as suite, generator(suite) as load:
        await suite.define(CHAIN)
        await load.closed(WARM_S)
        peak = await load.closed(PEAK_S)
        over = await load.open(TIMES * peak["per_s"], OVERLOAD_S)

        async def calm() -> bool:
            after = await load.open(NORMAL * peak["per_s"], NORMAL_S)
            return not after["refused"]

        normal_after_s = await until("normal again", calm, within_s=NORMAL_WITHIN_S)
        resident_bytes = psutil.Process(suite.pid).memory_info().rss
        statuses = await counted(str(suite.about["postgres"]))
    print(f"{over['per_s'] / peak['per_s']:.0%} of the peak; normal after {normal_after_s:.1f} s")
    print(f"resident {resident_bytes >> 20} MiB; executions by status {statuses}")
    assert REFUSED in over["reasons"]
    assert over["reasons"].keys() <= {REFUSED, CUT_OFF}
    assert over["without_delay"] == 0
    assert statuses.keys() == {_COMPLETED}
    assert resident_bytes < RESIDENT_BYTES_MAX


async def counted(postgres: str) -> dict[int, int]:
    """How many executions have which status."""
    connection: asyncpg.Connection = await asyncpg.connect(postgres)
    try:
        return {row["status"]: row["n"] for row in await connection.fetch(_STATUSES)}
    finally:
        await connection.close()
