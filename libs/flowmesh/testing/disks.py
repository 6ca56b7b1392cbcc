"""Small file systems of their own, for tests of full disks. To mount them takes root."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

BLOCK = bytes(1 << 20)


@asynccontextmanager
async def small_disk(folder: Path, size: str) -> AsyncIterator[Path]:
    """Mount a file system in memory of a size such as `24m` at a folder, which it creates."""
    await _run("mkdir", "-p", str(folder))
    await _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        await _run("umount", "-l", str(folder))


async def _run(*words: str) -> None:
    process = await asyncio.create_subprocess_exec(*words)
    assert await process.wait() == 0, f"{' '.join(words)} failed; it takes root"


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Take all the room that is left on a disk, for the time of the block."""
    ballast = disk / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(BLOCK)
            except OSError:
                pass
        yield
    finally:
        ballast.unlink()
