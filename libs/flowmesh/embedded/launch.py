"""Executes a program that dies with its parent, optionally as another user.

An isolated interpreter runs this script between fork and exec, as these steps are not safe in a
forked process with threads. It imports only the standard library, and all of it early: the other
user may have no right to read the library of the interpreter.

    launch.py PARENT_PID DEATH_SIGNAL UID GID READ_ANYWHERE program arguments...

UID -1 keeps the user. READ_ANYWHERE 1 keeps the capability to enter folders of other users.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
# The programs call access(2), which otherwise ignores capabilities of an ordinary user.
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
REFUSED = (
    "PostgreSQL does not run as root, and this root lacks the capability to enter closed folders:"
    " install where every parent folder has mode 711 or more, or start as an ordinary user"
)
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2


def main() -> None:
    parent, death_signal, uid, gid, read_anywhere = (int(word) for word in sys.argv[1:6])
    program = sys.argv[6:]
    if uid >= 0:
        _become(uid, gid, read_anywhere=bool(read_anywhere))
    if sys.platform == "linux":
        # After the change of the user, which resets it.
        _prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:
            sys.exit(1)
    os.execv(program[0], program)


def _become(uid: int, gid: int, *, read_anywhere: bool) -> None:
    if read_anywhere and _prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) != 0:
        sys.exit(REFUSED)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if read_anywhere and not (_keep(CAP_DAC_READ_SEARCH) or _keep(CAP_DAC_OVERRIDE)):
        sys.exit(REFUSED)


def _keep(capability: int) -> bool:
    """Keep one capability over exec and drop all others; return False if it is not held."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    bit = 1 << capability
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    if libc.capset(header, sets) != 0:
        return False
    return _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability) == 0


def _prctl(option: int, *arguments: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    padded = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    result: int = libc.prctl(ctypes.c_int(option), *padded)
    return result


if __name__ == "__main__":
    main()
