"""Faults of system calls, made by strace on processes that run: errors and delays of the disk."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import psutil

MISSING = "strace is not installed; install the package (apt-get install -y strace)"
ATTACHED_WITHIN_S = 5.0
TRIES = 5
SYNCS = "fsync,fdatasync"


def family(pid: int) -> list[int]:
    """A process and all its children, which for PostgreSQL is every backend."""
    process = psutil.Process(pid)
    return [process.pid, *(child.pid for child in process.children(recursive=True))]


def signal_family(pid: int, number: signal.Signals) -> None:
    """Signals a process and all its children, those first that nobody waits for."""
    for one in reversed(family(pid)):
        with suppress(ProcessLookupError):
            os.kill(one, number)


@asynccontextmanager
async def injected(
    pids: Callable[[], Sequence[int]], fault: str, *, calls: str = SYNCS, children: bool = False
) -> AsyncIterator[None]:
    """Makes system calls of processes fail or wait: `error=EIO:when=1`, `delay_enter=50000`.

    `when` counts per process; with `children`, those that are forked meanwhile are caught too.
    """
    program = shutil.which("strace")
    assert program is not None, MISSING
    options = (*(["-f"] if children else []), "-o", "/dev/null")
    what = ("-e", f"trace={calls}", "-e", f"inject={calls}:{fault}")
    for _ in range(TRIES):
        wanted = pids()
        attach = [word for pid in wanted for word in ("-p", str(pid))]
        process = await asyncio.create_subprocess_exec(
            program, *options, *what, *attach, stderr=asyncio.subprocess.PIPE
        )
        if await _attached(process, len(wanted)):
            break
        # One of them has just ended: those that are there now.
        await _ended(process)
    try:
        yield
    finally:
        await _ended(process)


async def _attached(process: asyncio.subprocess.Process, count: int) -> bool:
    """strace says of each process when it has it; False if it has not all of them."""
    assert process.stderr is not None
    try:
        async with asyncio.timeout(ATTACHED_WITHIN_S):
            while count:
                line = await process.stderr.readline()
                if not line:
                    return False
                count -= b" attached" in line
    except TimeoutError:
        return False
    return True


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.wait()
