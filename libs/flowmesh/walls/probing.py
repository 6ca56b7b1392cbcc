"""The walls that stand on this host: each is tried once, by a program that runs into it."""

import asyncio
import os
import pwd
import sys
from dataclasses import dataclass, replace

from flowmesh.walls import landlock
from flowmesh.walls.plan import Connections, Granted, Plan, Walls, interpreter

# Own users of hosted applications, below the accounts of packages.
UIDS = range(50_000, 60_000)
TIMEOUT_S = 20.0
PUBLIC = Connections("public")
# Port 9 of this machine is not public.
_CONNECT = """\
import errno, socket
try:
    socket.create_connection(("127.0.0.1", 9), 5)
except OSError as error:
    raise SystemExit(error.errno != errno.EACCES)
raise SystemExit(1)
"""


@dataclass(frozen=True, slots=True)
class Wall:
    """The result of a probe: what the wall does, or why it does not stand."""

    name: str
    stands: bool
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """The walls of this host."""

    walls: Walls
    found: tuple[Wall, ...]
    interpreter: tuple[str, ...]

    @property
    def enough(self) -> bool:
        """Whether strangers cannot read the files of this installation, nor reach its servers."""
        files = self.walls.namespaces or self.walls.landlock
        return files and self.walls.calls and self.walls.connections

    def missing(self) -> str:
        """Return what does not stand, and why."""
        return "; ".join(f"{each.name}: {each.text}" for each in self.found if not each.stands)


NONE = Report(Walls(), (), ())


async def probe() -> Report:
    """Try each wall."""
    if sys.platform != "linux":
        text = f"the walls are those of Linux, and this is {sys.platform}"
        return replace(NONE, found=(Wall("all", False, text),))
    programs = await interpreter()
    tried = {
        "namespaces": Walls(namespaces=True),
        "landlock": Walls(landlock=True),
        "calls": Walls(calls=True),
        "connections": Walls(calls=True, connections=True),
        "own_user": Walls(namespaces=True, own_user=True),
    }
    root = os.geteuid() == 0
    # One program for all of them; each alone only if it fails.
    everything = Walls(namespaces=True, own_user=root, landlock=True, calls=True, connections=True)
    problems = dict.fromkeys(tried, "")
    if await _problem(everything, programs):
        found_problems = await asyncio.gather(*(_problem(e, programs) for e in tried.values()))
        problems = dict(zip(tried, found_problems, strict=True))
    if not root:
        problems["own_user"] = "only root can change the user; the user of the suite stays"
    walls = Walls(**{name: not problem for name, problem in problems.items()})
    texts = {
        "namespaces": "own files, processes and shared memory",
        "landlock": f"version {landlock.version()} of Landlock: listed files, no ports, no signals",
        "calls": "no tracing, mounting, namespaces, listening",
        "connections": "each connection is judged by the egress policy",
        "own_user": "each application has a user of its own",
    }
    found = tuple(
        Wall(name.replace("_", " "), not problem, problem or texts[name])
        for name, problem in problems.items()
    )
    return Report(walls, found, programs)


async def _problem(walls: Walls, programs: tuple[str, ...]) -> str:
    """Return why a wall does not stand; empty if it does."""
    uid = free_uid(set()) if walls.own_user else -1
    plan = Plan(walls=walls, granted=Granted(), connections=PUBLIC, uid=uid, interpreter=programs)
    code = _CONNECT if walls.connections else "pass"
    process = await asyncio.create_subprocess_exec(
        *plan.argv((sys.executable, "-I", "-S", "-c", code)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
        env={},
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _, said = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"no answer within {TIMEOUT_S:g} s"
    if process.returncode == 0:
        return ""
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"the program behind it ended with {process.returncode}"


def free_uid(used: set[int]) -> int:
    """Return the first user id that no account and none of `used` has."""
    accounts = {each.pw_uid for each in pwd.getpwall()}
    return next(each for each in UIDS if each not in used and each not in accounts)
