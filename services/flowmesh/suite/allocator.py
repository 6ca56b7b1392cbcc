"""Memory of large messages goes back to the machine when they are done with.

glibc keeps what was freed: up to 64 MiB for each of many threads, blocks of any size once one as
large was freed, and whatever lies below a block that is still used. Floods of a hundred messages
of 4 MiB leave up to 1.8 GiB with the process that way.
"""

import ctypes
import resource
import threading
import time
from pathlib import Path
from typing import Any

# From malloc.h of glibc; mallopt(3) says what they do.
_MMAP_THRESHOLD = -3
_ARENA_MAX = -8

# From so many bytes on, a block comes from the machine and goes back to it by itself.
LARGE_BYTES = 2**20
# Areas that threads take smaller blocks from; each keeps what was freed in its middle.
ARENAS = 1

LOOK_EVERY_S = 5.0
# A process that has grown by so much since its free pages were given back has them looked for.
GROWTH_BYTES = 64 * 2**20
# What is worth another try soon.
HELP_BYTES = 16 * 2**20
LOOKS_MAX = 64

_STATM = Path("/proc/self/statm")


def give_back_large_blocks() -> None:
    """For this process, called before it starts threads. Other C libraries are left alone."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(_MMAP_THRESHOLD, LARGE_BYTES)
        libc.mallopt(_ARENA_MAX, ARENAS)
        threading.Thread(target=_give_back_pages, args=(libc,), name="memory", daemon=True).start()


def _give_back_pages(libc: Any) -> None:
    """Whenever the process has grown; then again, at twice the distance as long as it is no help.

    What is in use at one time may be free at the next.
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
