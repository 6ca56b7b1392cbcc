"""Landlock: a process can use the listed files only, no port, no signal and no socket of others.

The kernel's page userspace-api/landlock states the rights and their versions.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from flowmesh.walls import kernel

_CREATE, _ADD, _RESTRICT = 0, 1, 2
_VERSION = 1
_RULE_PATH = 1
_EXECUTE, _WRITE, _READ, _LIST = 1, 2, 4, 8
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
# The rights that concern files; all others concern folders.
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _IOCTL
# The number of rights on files, by version; version 3 added truncate, version 5 ioctl.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_NETWORK_VERSION, _NETWORK = 4, 0b11
_SCOPE_VERSION, _SCOPES = 6, 0b11
# What every program needs.
_READ_ALWAYS = ("/proc", "/dev/zero", "/dev/random", "/dev/urandom")
_WRITTEN_ALWAYS = ("/dev/null", "/dev/full")


def version() -> int:
    """Return the version of the kernel's interface; 0 without Landlock."""
    try:
        return _call(_CREATE, None, 0, _VERSION)
    except OSError:
        return 0


def restrict(*, read: Iterable[str], programs: Iterable[str], write: Iterable[str]) -> None:
    """Restrict this process, for good, to these files and the folders below. Raises OSError."""
    found = version()
    handled = (1 << _RIGHTS[min(max(found, 1), 5)]) - 1
    network = _NETWORK if found >= _NETWORK_VERSION else 0
    scopes = _SCOPES if found >= _SCOPE_VERSION else 0
    attributes = struct.pack("QQQ", handled, network, scopes)
    size = 8 if not network else 24 if scopes else 16
    rules = _call(_CREATE, attributes, size, 0)
    looking = _READ | _LIST
    granted = (
        ((*read, *_READ_ALWAYS), looking),
        (programs, looking | _EXECUTE),
        ((*write, *_WRITTEN_ALWAYS), handled & ~_EXECUTE),
    )
    for paths, rights in granted:
        for path in paths:
            _allow(rules, path, rights & handled)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    _call(_RESTRICT, rules, 0)
    os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        at = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(at).st_mode):
            rights &= _OF_FILES
        _call(_ADD, rules, _RULE_PATH, struct.pack("=Qi", rights, at), 0)
    finally:
        os.close(at)


def _call(which: int, *arguments: "int | bytes | ctypes.Array[ctypes.c_char] | None") -> int:
    if "landlock" not in kernel.NUMBERS:
        raise OSError("this machine has no Landlock")
    return kernel.raw(kernel.NUMBERS["landlock"] + which, *arguments)
