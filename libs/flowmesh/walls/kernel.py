"""System calls that Python has no functions for. All raise OSError."""

import ctypes
import os
import platform

_MACHINES = {
    "x86_64": {"clone": 56, "pivot_root": 155, "mount_setattr": 442, "landlock": 444,
               "seccomp": 317, "capset": 126, "pidfd_open": 434, "pidfd_getfd": 438},
    "aarch64": {"clone": 220, "pivot_root": 41, "mount_setattr": 442, "landlock": 444,
                "seccomp": 277, "capset": 91, "pidfd_open": 434, "pidfd_getfd": 438},
}  # fmt: skip
NUMBERS = _MACHINES.get(platform.machine(), {})

AT_FDCWD = -100
AT_RECURSIVE = 0x8000
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITIES_MAX = 64

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long


def call(name: str, *arguments: "int | bytes | ctypes.Array[ctypes.c_char] | None") -> int:
    """Run a system call by its name; return its result."""
    if name not in NUMBERS:
        raise OSError(f"a {platform.machine()} has no walls")
    number = NUMBERS[name]
    return raw(number, *arguments)


def raw(number: int, *arguments: "int | bytes | ctypes.Array[ctypes.c_char] | None") -> int:
    """Run a system call by its number; return its result."""
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return _checked(int(LIBC.syscall(ctypes.c_long(number), *given)))


def prctl(option: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(each) for each in (*arguments, 0, 0, 0, 0)[:4]]
    _checked(int(LIBC.prctl(ctypes.c_int(option), *padded)))


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    result = LIBC.mount(
        source.encode(),
        target.encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )
    _checked(int(result))


def unmount(target: str, flags: int) -> None:
    _checked(int(LIBC.umount2(target.encode(), ctypes.c_int(flags))))


def drop_capabilities() -> None:
    """Give up all capabilities, also those that a program could gain."""
    for each in range(_CAPABILITIES_MAX):
        try:
            prctl(PR_CAPBSET_DROP, each)
        except OSError:
            # Beyond the last capability, or there is nothing to drop.
            break
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    _checked(int(LIBC.capset(header, sets)))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
