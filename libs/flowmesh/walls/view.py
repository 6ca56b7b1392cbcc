"""A view of the files: a new root with the granted files and folders, and nothing else.

Runs in a mount namespace of its own, before the program. Paths keep their names.
"""

import contextlib
import os
import stat
import struct
from collections.abc import Iterable, Iterator

from flowmesh.walls import kernel

_BIND, _RECURSIVE, _PRIVATE = 4096, 16384, 1 << 18
_NOSUID, _NODEV, _NOEXEC = 2, 4, 8
_DETACH = 2
# An empty root is mounted here, in this namespace only; every system has the folder.
_BASE = "/tmp"  # noqa: S108
_OLD, _NEW = "/old", "/new"
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

Names = list[tuple[str, str]]


def enter(*, read: Iterable[str], programs: Iterable[str], write: Iterable[str]) -> None:
    """Replace the root of this process. Raises OSError."""
    links: Names = []
    looking = _outermost(links, [*read, *programs])
    writing = _outermost(links, write)
    kernel.mount("none", "/", None, _RECURSIVE | _PRIVATE)
    kernel.mount("tmpfs", _BASE, "tmpfs", _NOSUID | _NODEV, "mode=0755,size=1m")
    os.chdir(_BASE)
    os.mkdir(f"{_BASE}{_NEW}")  # noqa: PTH102 - pathlib is not loaded here
    os.mkdir(f"{_BASE}{_OLD}")  # noqa: PTH102
    kernel.call("pivot_root", _BASE.encode(), f"{_BASE}{_OLD}".encode())
    os.chdir("/")
    kernel.mount(_NEW, _NEW, None, _BIND | _RECURSIVE)
    safe = kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV
    for path in looking:
        _bind(path, safe | kernel.MOUNT_ATTR_RDONLY)
    for path in _DEVICES:
        _bind(path, kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NOEXEC)
    for path in writing:
        _bind(path, safe | kernel.MOUNT_ATTR_NOEXEC)
    _processes()
    for name, target in links:
        _link(name, target)
    os.chdir(_NEW)
    kernel.call("pivot_root", b".", b".")
    kernel.unmount(".", _DETACH)
    os.chdir("/")
    _set("/", kernel.MOUNT_ATTR_RDONLY | safe, recursive=False)


def _outermost(links: Names, paths: Iterable[str]) -> list[str]:
    """Return the real paths, without those below others; the names that differ become links."""
    real = set()
    for path in paths:
        found = os.path.realpath(path)
        if not os.path.exists(found):  # noqa: PTH110
            continue
        if found != path:
            links.append((path, found))
        real.add(found)
    return sorted(path for path in real if not any(above in real for above in _above(path)))


def _above(path: str) -> Iterator[str]:
    while path != "/":
        path = os.path.dirname(path)  # noqa: PTH120
        yield path


def _bind(path: str, attributes: int) -> None:
    source, target = f"{_OLD}{path}", f"{_NEW}{path}"
    if stat.S_ISDIR(os.stat(source).st_mode):  # noqa: PTH116
        os.makedirs(target, exist_ok=True)  # noqa: PTH103
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    kernel.mount(source, target, None, _BIND | _RECURSIVE)
    _set(target, attributes, recursive=True)


def _set(path: str, attributes: int, *, recursive: bool) -> None:
    wanted = struct.pack("QQQQ", attributes, 0, 0, 0)
    flags = kernel.AT_RECURSIVE if recursive else 0
    kernel.call("mount_setattr", kernel.AT_FDCWD, path.encode(), flags, wanted, len(wanted))


def _processes() -> None:
    """Mount the processes of this namespace; in some containers only those of the host can be."""
    target = f"{_NEW}/proc"
    os.mkdir(target)  # noqa: PTH102
    try:
        kernel.mount("proc", target, "proc", _NOSUID | _NODEV | _NOEXEC)
    except OSError:
        kernel.mount(f"{_OLD}/proc", target, None, _BIND | _RECURSIVE)


def _link(name: str, target: str) -> None:
    os.makedirs(os.path.dirname(f"{_NEW}{name}"), exist_ok=True)  # noqa: PTH103, PTH120
    with contextlib.suppress(FileExistsError):
        os.symlink(target, f"{_NEW}{name}")  # noqa: PTH211
