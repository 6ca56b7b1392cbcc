"""Twenty attempts of a program that runs as a hosted application.

    stranger.py JSON     or, as a module of the interpreter, `when_hosted()`

The JSON names the targets. Prints one object: each attempt with True where it has succeeded.
"""

import ctypes
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Targets = dict[str, Any]


def attempts(targets: Targets) -> dict[str, Callable[[], object]]:
    """Return the attempts by name; one that raises has failed."""
    data, other, ports = targets["data"], targets["pid"], targets["ports"]
    libc = ctypes.CDLL(None, use_errno=True)
    return {
        "key file": lambda: read(f"{data}/key"),
        "password of the database": lambda: read(f"{data}/postgres.password"),
        "list the data folder": lambda: list(Path(data).iterdir()),
        "socket of the database": lambda: connect_unix(f"{data}/postgres/.s.PGSQL.5432"),
        "socket of Redis": lambda: connect_unix(f"{data}/redis/redis.sock"),
        "environment of another": lambda: read(f"/proc/{other}/environ"),
        "memory of another": lambda: read(f"/proc/{other}/mem", 0),
        "root of another": lambda: list(Path(f"/proc/{other}/root").iterdir()),
        "files of another application": lambda: read(targets["other_file"]),
        "passwords of the machine": lambda: read("/etc/shadow"),
        "home of root": lambda: read(targets["home_file"]),
        "port of the database or bus": lambda: connect(("127.0.0.1", ports["bus"])),
        "internal gRPC port": lambda: connect(("127.0.0.1", ports["internal"])),
        "metadata address": lambda: connect(("169.254.169.254", 80), pending=True),
        "trace another": lambda: checked(libc.ptrace(16, other, None, None)),
        "signal another": lambda: os.kill(other, signal.SIGCONT),
        "write outside": lambda: Path(targets["outside"], "written").touch(),
        "change the release": lambda: Path(targets["document"]).open("a").close(),
        "abstract socket": lambda: connect_unix(targets["abstract"]),
        "new namespaces": lambda: checked(libc.unshare(0x10000000)),
        "listen on a port": lambda: socket.socket().bind(("127.0.0.1", 0)),
        "datagram": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(
            b"x", ("127.0.0.1", ports["bus"])
        ),
    }


def read(path: str, offset: int | None = None) -> bytes:
    with Path(path).open("rb") as file:
        if offset is not None:
            return b""
        return file.read(1)


def connect(address: tuple[str, int], *, pending: bool = False) -> None:
    """Connect; an attempt that waits for an answer has left the machine."""
    made = socket.socket()
    made.settimeout(2)
    try:
        made.connect(address)
    except TimeoutError:
        if not pending:
            raise


def connect_unix(path: str) -> None:
    socket.socket(socket.AF_UNIX).connect(path.replace("@", "\0"))


def checked(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


def outcomes(targets: Targets) -> dict[str, bool]:
    found = {}
    for name, attempt in attempts(targets).items():
        try:
            attempt()
        except OSError:
            found[name] = False
        else:
            found[name] = True
    return found


def when_hosted() -> None:
    """Attempt from inside the process of a hosted application; the result is a line of its log."""
    if "flowmesh.apps.release_process.process" not in sys.orig_argv:
        return
    given = Path("targets.json")
    if given.exists():
        result = outcomes(json.loads(given.read_text()))
        line = {"level": "info", "message": "ATTEMPTS", "found": result}
        os.write(1, (json.dumps(line) + "\n").encode())


if __name__ == "__main__":
    print(json.dumps(outcomes(json.loads(sys.argv[1]))))
