"""`make profile`: the CPU time of a three-step workflow by stage, in microseconds.

Totals come from the kernel accounting of each thread and process in an undisturbed run. A second
run is sampled, including native frames, and its shares split the totals of the main threads.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.machine import describe
from benchmarks.processes import PEERS, ROOT, Child, module
from benchmarks.profiling.accounts import Accounts
from benchmarks.profiling.page import Measured, write
from benchmarks.profiling.samples import Stack, busy, read
from benchmarks.suite.system import READY, dev
from benchmarks.system import running

SPY = PEERS / "venv" / "bin" / "py-spy"
RAW = ROOT / "build" / "profile"
PAGE = ROOT / "docs" / "performance.md"
RATE_HZ = 25
"""The sampling rate; each sample stops the processes for some milliseconds."""
SETTLE_S = 4.0
"""The time in which the profiler reads symbols before its first sample."""
COUNTS = {"W1": 6_000, "W1s": 10_000}
SAMPLED_S = 40.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.profiling.main", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=SAMPLED_S, help="duration of sampling for each path"
    )
    parser.add_argument("--only", default=",".join(COUNTS), help="paths, such as W1,W1s")
    parser.add_argument("--output", type=Path, default=PAGE, help="page whose tables are written")
    options = parser.parse_args()
    if not SPY.exists():
        print(f"no profiler at {SPY.relative_to(ROOT)}; run: make profile", file=sys.stderr)
        return 1
    found = asyncio.run(_profile(options.only.split(","), options.seconds))
    write(options.output, describe(), found)
    print(f"written: {options.output}; stacks: {RAW.relative_to(ROOT)}/")
    return 0


async def _profile(workloads: list[str], seconds: float) -> list[Measured]:
    RAW.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="flowmesh-profile-") as name:
        async with _suite(Path(name)) as children:
            return [await _path(workload, children, seconds) for workload in workloads]


async def _path(workload: str, children: list[Child], seconds: float) -> Measured:
    client = children[-1]
    count = COUNTS[workload]
    await client.request("warm", workload=workload)
    print(f"{workload}: accounts of {count:,} workflows", flush=True)
    accounts = Accounts({child.name: child.pid for child in children})
    metrics = await client.request(workload, count=count)
    spent = accounts.spent()
    print(f"{workload}: samples for {seconds:.0f} s", flush=True)
    stacks, done, took_s = await _sampled(workload, children, seconds)
    return Measured(
        workload=workload,
        count=count,
        per_s=metrics["workflows_per_s"],
        sampled_per_s=done / took_s,
        spent=spent,
        stacks=stacks,
    )


async def _sampled(
    workload: str, children: list[Child], seconds: float
) -> tuple[dict[str, list[Stack]], int, float]:
    """Sample the main threads; return the stacks, the workflows and the seconds."""
    files = {child.name: RAW / f"{workload}-{child.name}.raw" for child in children}
    spies = [
        await asyncio.create_subprocess_exec(
            *(SPY, "record", "--native", "--threads", "--full-filenames", "--format", "raw"),
            *("--rate", str(RATE_HZ), "--pid", str(child.pid), "--output", files[child.name]),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        for child in children
    ]
    await asyncio.sleep(SETTLE_S)
    began, done = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        await children[-1].request(workload, count=COUNTS[workload] // 2)
        done += COUNTS[workload] // 2
    took_s = time.monotonic() - began
    for spy in spies:
        with contextlib.suppress(ProcessLookupError):
            spy.send_signal(signal.SIGINT)
    await asyncio.gather(*(spy.wait() for spy in spies))
    return {name: busy(read(file)) for name, file in files.items()}, done, took_s


@contextlib.asynccontextmanager
async def _suite(folder: Path) -> AsyncIterator[list[Child]]:
    """Run `flowmesh dev`, a worker and a client as `make bench` does."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running(dev(folder)))
        await server.start(READY)
        address = str(json.loads((folder / "data" / "dev.json").read_text())["grpc"])
        children = [server]
        for name in ("worker", "client"):
            child = Child(name, module(f"benchmarks.suite.{name}", address), folder / name)
            children.append(await stack.enter_async_context(running(child)))
            await child.start()
        await children[-1].request("define", fan_outs=[], chains=[])
        yield children


if __name__ == "__main__":
    sys.exit(main())
