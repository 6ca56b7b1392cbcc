"""Faults of system calls, made by strace on processes that run: errors and delays of the disk."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psutil

MISSING = "strace is not installed; install the package (apt-get install -y strace)"
ATTACHED_WITHIN_S = 10.0
SYNCS = "fsync,fdatasync"


def family(pid: int) -> list[int]:
    """A process and all its children, which for PostgreSQL is every backend."""
    process = psutil.Process(pid)
    return [process.pid, *(child.pid for child in process.children(recursive=True))]


@asynccontextmanager
async def injected(
    pids: Sequence[int], fault: str, *, calls: str = SYNCS, children: bool = False
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Makes system calls of processes fail or wait: `error=EIO:when=1`, `delay_enter=50000`.

    `when` counts per process; with `children`, those that are forked meanwhile are caught too.
    """
    program = shutil.which("strace")
    assert program is not None, MISSING
    attach = [word for pid in pids for word in ("-p", str(pid))]
    process = await asyncio.create_subprocess_exec(
        *(program, *(["-f"] if children else []), "-o", "/dev/null"),
        *("-e", f"trace={calls}", "-e", f"inject={calls}:{fault}", *attach),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await _attached(process, len(pids))
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _attached(process: asyncio.subprocess.Process, count: int) -> None:
    """strace says of each process when it has it."""
    assert process.stderr is not None
    async with asyncio.timeout(ATTACHED_WITHIN_S):
        while count:
            line = await process.stderr.readline()
            assert line, "strace ended; may this user trace other processes?"
            count -= b" attached" in line
