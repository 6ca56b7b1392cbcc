"""The plan of the walls around a program, as its host makes it."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from flowmesh.egress import policy

ENTER = Path(__file__).with_name("enter.py")
# Shared libraries, certificates, names and time zones: public parts of a system.
SYSTEM = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo",
    "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs", "/etc/pki/ca-trust", "/etc/ca-certificates",
    "/etc/ld.so.cache", "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf",
    "/etc/services", "/etc/localtime", "/etc/timezone", "/etc/mime.types",
)  # fmt: skip
_PATHS = "import json, sys; print(json.dumps([*sys.path, sys.prefix, sys.base_prefix]))"


@dataclass(frozen=True, slots=True)
class Walls:
    """The walls that stand."""

    namespaces: bool = False
    own_user: bool = False
    landlock: bool = False
    calls: bool = False
    connections: bool = False


@dataclass(frozen=True, slots=True)
class Connections:
    """The addresses that a program may connect to: by policy, and single endpoints.

    With `only`, the policy admits these endpoints and no other address.
    """

    egress: str
    allowed: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """The files and folders that a program may use beside those of the interpreter."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The walls around one program; `uid` is that of its own user."""

    walls: Walls
    granted: Granted
    connections: Connections
    uid: int = -1
    interpreter: tuple[str, ...]

    def argv(self, program: Sequence[str], *, parent: int = 0) -> tuple[str, ...]:
        """Return the command line that executes a program behind the walls.

        `parent` is the process that executes it, by default this one.
        """
        walls = self.walls
        spec = {
            "namespaces": walls.namespaces,
            "landlock": walls.landlock,
            "calls": walls.calls,
            "uid": self.uid if walls.own_user else -1,
            "granted": {
                "read": self.granted.read,
                "programs": [*SYSTEM, *self.interpreter],
                "write": self.granted.write,
            },
            "connections": None,
        }
        if walls.connections:
            folder = str(Path(policy.__file__).parent)
            spec["connections"] = {**asdict(self.connections), "policy_folder": folder}
        words = (
            sys.executable,
            "-I",
            "-S",
            str(ENTER),
            str(parent or os.getpid()),
            json.dumps(spec),
        )
        return (*words, *program)


async def interpreter() -> tuple[str, ...]:
    """Return the files and folders of this interpreter and of its libraries."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-c", _PATHS), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    *paths, prefix, base = json.loads(output)
    own = [
        f"{folder}/{name}"
        for folder in (prefix, base)
        if folder not in ("/usr", "/usr/local")
        for name in ("bin", "lib", "lib64", "pyvenv.cfg")
    ]
    return tuple(dict.fromkeys([*_links(sys.executable), *own, *paths]))


def _links(path: str) -> Iterator[str]:
    """Yield a path, and what it links to until the file."""
    yield path
    while os.path.islink(path):  # noqa: PTH114
        path = os.path.normpath(Path(path).parent / os.readlink(path))  # noqa: PTH115
        yield path
