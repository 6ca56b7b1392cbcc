"""Memory of large messages goes back to the machine when they are done with.

glibc keeps what was freed: up to 64 MiB for each of many threads, and blocks of any size once one
as large was freed. Floods of a hundred messages of 4 MiB then leave 1.8 GiB with the process.
"""

import ctypes

# From malloc.h of glibc; mallopt(3) says what they do.
_MMAP_THRESHOLD = -3
_ARENA_MAX = -8

# From so many bytes on, a block comes from the machine and goes back to it by itself.
LARGE_BYTES = 2**20
# Areas that threads take smaller blocks from; each keeps what was freed in its middle.
ARENAS = 1


def give_back_large_blocks() -> None:
    """For this process, called before it starts threads. Other C libraries are left alone."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(_MMAP_THRESHOLD, LARGE_BYTES)
        libc.mallopt(_ARENA_MAX, ARENAS)
