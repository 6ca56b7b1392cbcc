"""Executes a program behind walls, and stays as its warden until it ends.

An isolated interpreter runs this script. The program dies with it, and it with its parent; it ends
as the program has ended.

    enter.py PARENT_PID SPEC program arguments...

SPEC is a `Spec` in JSON.
"""

import json
import os
import signal
import socket
import sys

sys.path.append(__file__.rpartition("/flowmesh/walls/")[0])

from flowmesh.walls import calls, kernel, landlock, view, warden

_NEW_NAMESPACES, _NEW_USER = 0x00020000 | 0x08000000 | 0x20000000, 0x10000000
REFUSED = 126


def main() -> None:
    parent, spec, program = int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(REFUSED)
    ours, theirs = socket.socketpair()
    try:
        pid = _fork(namespaces=spec["namespaces"])
    except OSError as error:
        sys.exit(f"no namespaces: {error.strerror}")
    if pid == 0:
        ours.close()
        _execute(spec, program, theirs)
    theirs.close()
    warden.attend(pid, ours, spec)


def _fork(*, namespaces: bool) -> int:
    """Fork; return 0 in the child, which is in namespaces of its own."""
    if not namespaces:
        return os.fork()
    root = os.geteuid() == 0
    flags = _NEW_NAMESPACES | (0 if root else _NEW_USER) | signal.SIGCHLD
    uid, gid = os.geteuid(), os.getegid()
    pid = kernel.call("clone", flags, 0, 0, 0, 0)
    if pid == 0 and not root:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    return pid


def _execute(spec: dict[str, object], program: list[str], to_warden: socket.socket) -> None:
    """Put up the walls from the outermost to the innermost, and execute the program."""
    granted: dict[str, list[str]] = spec["granted"]  # type: ignore[assignment]
    wall = "namespaces"
    folder = os.getcwd()  # noqa: PTH109 - pathlib is not loaded here
    os.umask(0o022)
    try:
        if spec["namespaces"]:
            view.enter(**granted)
            os.chdir(folder)
        wall = "own user"
        uid = int(spec["uid"])  # type: ignore[call-overload]
        if uid >= 0:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        kernel.drop_capabilities()
        # After the change of the user, which resets it.
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        wall = "Landlock"
        if spec["landlock"]:
            landlock.restrict(**granted)
        wall = "calls"
        listener = calls.filter_calls(notify=bool(spec["connections"])) if spec["calls"] else -1
        # Fails where the warden has died before the death signal was set.
        socket.send_fds(to_warden, [b"."], [listener] if listener >= 0 else [])
        wall = program[0]
        os.execv(program[0], program)
    except OSError as error:
        os.write(2, f"{wall}: {error}\n".encode())
    os._exit(REFUSED)


def _write(path: str, text: str) -> None:
    at = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    os.write(at, text.encode())
    os.close(at)


if __name__ == "__main__":
    main()
