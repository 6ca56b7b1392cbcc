"""Settings of malloc that return the memory of large messages to the system.

glibc keeps freed memory: up to 64 MiB for each of many threads, blocks of any size once one as
large was freed, and everything below a block in use. Floods of a hundred messages of 4 MiB leave up
to 1.8 GiB in the process.
"""

import ctypes
import resource
import threading
import time
from pathlib import Path
from typing import Any

# From malloc.h of glibc; see mallopt(3).
_MMAP_THRESHOLD = -3
_ARENA_MAX = -8

# Blocks of this size and above are mapped, and unmapped when they are freed.
LARGE_BYTES = 2**20
# Arenas for smaller blocks of threads; each keeps freed memory in its middle.
ARENAS = 1

LOOK_EVERY_S = 5.0
# Growth of the process since the last trim after which free pages are returned again.
GROWTH_BYTES = 64 * 2**20
# Returned bytes that make another trim worthwhile soon.
HELP_BYTES = 16 * 2**20
LOOKS_MAX = 64

_STATM = Path("/proc/self/statm")


def return_large_blocks() -> None:
    """Configure malloc of this process before it starts threads; no effect on other C libraries."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(_MMAP_THRESHOLD, LARGE_BYTES)
        libc.mallopt(_ARENA_MAX, ARENAS)
        threading.Thread(target=_trim_pages, args=(libc,), name="memory", daemon=True).start()


def _trim_pages(libc: Any) -> None:
    """Trim when the process has grown; double the distance as long as a trim returns little.

    Memory in use at one time may be free at the next.
    """
    settled, looks, wait = _resident_bytes(), 0, LOOKS_MAX
    while True:
        time.sleep(LOOK_EVERY_S)
        looks, resident = looks + 1, _resident_bytes()
        grown = resident > settled + GROWTH_BYTES
        settled = min(settled, resident)
        if grown or looks >= wait:
            libc.malloc_trim(0)
            settled = _resident_bytes()
            helped = resident > settled + HELP_BYTES
            looks, wait = 0, 1 if grown or helped else min(2 * wait, LOOKS_MAX)


def _resident_bytes() -> int:
    return int(_STATM.read_text().split()[1]) * resource.getpagesize()
