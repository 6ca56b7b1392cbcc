"""Programs behind walls: what they can use, what is refused, and how they end."""

import asyncio
import errno
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from flowmesh.walls.enter import REFUSED
from flowmesh.walls.plan import Connections, Granted, Plan, Walls, interpreter

HOST = "127.0.0.1"
CONNECTIONS = Walls(calls=True, connections=True)
ALL = Walls(namespaces=True, landlock=True, calls=True, connections=True)
NO_NAMESPACES = Walls(landlock=True, calls=True, connections=True)
# Prints the outcome of each expression: its value, or the name of its error.
SHOW = """\
import ctypes, json, os, socket, sys
def outcome(text):
    try:
        return eval(text)
    except OSError as error:
        return error.strerror
    except Exception as error:
        return repr(error)
def raw(length=16, address=None, at=None):
    made = ctypes.create_string_buffer(address or bytes(16))
    libc = ctypes.CDLL(None, use_errno=True)
    end = socket.socket() if at is None else None
    result = libc.connect(at or end.fileno(), made if address is not False else None, length)
    return os.strerror(ctypes.get_errno()) if result else "connected"
def connect(port, family=socket.AF_INET, timeout=None, address=None):
    with socket.socket(family) as end:
        end.settimeout(timeout)
        end.connect(address or ("127.0.0.1", port))
        return end.recv(5).decode()
print(json.dumps([outcome(each) for each in json.loads(sys.argv[1])]))
"""


class Behind:
    """Runs programs behind walls, with the interpreter of the tests."""

    def __init__(self, folder: Path, port: int, programs: Sequence[str]) -> None:
        self.folder, self.port = folder, port
        self._programs = tuple(programs)
        # Where coverage writes, in a process that it measures.
        self._measured = tuple(
            str(Path(each).resolve())
            for each in (Path("build", "coverage"),)
            if "COVERAGE_PROCESS_CONFIG" in os.environ
        )

    async def run(
        self,
        walls: Walls,
        *program: str,
        read: Sequence[str] = (),
        write: Sequence[str] = (),
        only: tuple[str, ...] | None = None,
        parent: int = 0,
        uid: int = -1,
    ) -> tuple[int, str, str]:
        """Return exit code, output and error output of a program."""
        endpoints = () if only is not None else (f"{HOST}:{self.port}",)
        plan = Plan(
            walls=walls,
            granted=Granted(tuple(read), (*write, *self._measured)),
            connections=Connections("open", (), endpoints, only),
            uid=uid,
            interpreter=self._programs,
        )
        python, _, _, *words = plan.argv(program, parent=parent)
        # Without -I and -S, with which nothing of the walls would be measured.
        process = await asyncio.create_subprocess_exec(
            *(python, *words), cwd=self.folder, stdout=-1, stderr=-1
        )
        output, errors = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode(), errors.decode()

    async def outcomes(self, walls: Walls, *expressions: str, **more: Any) -> list[Any]:
        """Return the outcomes of expressions behind walls."""
        words = (sys.executable, "-I", "-S", "-c", SHOW, json.dumps(expressions))
        code, output, errors = await self.run(walls, *words, **more)
        assert code == 0, errors
        found: list[Any] = json.loads(output)
        return found


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[Behind]:
    """Programs start in a folder of their own, and a server greets each connection."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async with await asyncio.start_server(greet, HOST, 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield Behind(tmp_path, port, await interpreter())


@pytest.mark.parametrize(
    ("walls", "hidden"),
    [
        (Walls(namespaces=True), "No such file or directory"),
        (Walls(landlock=True), "Permission denied"),
    ],
    ids=["namespaces", "landlock"],
)
async def test_a_program_uses_the_granted_files_only(
    behind: Behind, walls: Walls, hidden: str
) -> None:
    """Readable files cannot be written; links to granted files work."""
    own, shown = behind.folder / "own", behind.folder / "shown"
    for each in (own, shown):
        each.mkdir()
    (shown / "a.txt").write_text("seen")
    (behind.folder / "linked").symlink_to(shown / "a.txt")
    (behind.folder / "secret").write_text("made up")
    found = await behind.outcomes(
        walls,
        "open('shown/a.txt').read()",
        "open('linked').read()",
        "open('own/b.txt', 'w').write('kept')",
        "open('/dev/null', 'w').write('x')",
        "len(os.urandom(4))",
        "open('shown/a.txt', 'w').write('x')",
        "open('secret').read()",
        "open('/etc/passwd').read()",
        "open('/elsewhere', 'w')",
        "os.getcwd()",
        read=(str(shown), str(behind.folder / "linked"), str(behind.folder / "nowhere")),
        write=(str(own),),
    )
    assert found[2:5] == [4, 1, 4]
    assert found[0] == "seen"
    assert found[5] in ("Read-only file system", "Permission denied")
    assert found[6:8] == [hidden, hidden]
    assert found[8] in ("Read-only file system", "Permission denied")
    assert (own / "b.txt").read_text() == "kept"


async def test_a_program_sees_its_own_processes_only(behind: Behind) -> None:
    """In namespaces; its folder keeps its name."""
    (behind.folder / "own").mkdir()
    found = await behind.outcomes(
        Walls(namespaces=True),
        "os.getpid()",
        "os.path.exists('/etc/shadow')",
        "os.getcwd()",
        write=(str(behind.folder),),
    )
    assert found == [1, False, str(behind.folder)]


async def test_calls_that_reach_beyond_a_program_are_refused(behind: Behind) -> None:
    """Tracing, mounting, namespaces, listening, and sockets of the kernel."""
    denied = "Permission denied"
    trace = "ctypes.CDLL(None, use_errno=True).ptrace(0, 0, 0, 0), ctypes.get_errno()"
    found = await behind.outcomes(
        Walls(calls=True),
        trace,
        "socket.socket().bind(('127.0.0.1', 0))",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).fileno() > 0",
        "socket.socket(socket.AF_UNIX).fileno() > 0",
        f"connect({behind.port})",
    )
    assert found == [[-1, errno.EPERM], denied, denied, True, True, "hello"]


async def test_each_connection_is_judged(behind: Behind) -> None:
    """The listed endpoint is admitted, in blocking and other sockets; names of files are not."""
    denied = "Permission denied"
    found = await behind.outcomes(
        CONNECTIONS,
        f"connect({behind.port})",
        f"connect({behind.port}, timeout=5)",
        "connect(9)",
        "connect(0, socket.AF_UNIX, address='/run/x.sock')",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        f"socket.socket().sendto(b'x', socket.MSG_FASTOPEN, ('127.0.0.1', {behind.port}))",
        "raw(1)",
        "raw(16, False)",
        "raw(16, at=99)",
        "raw(16)",
    )
    assert found[:2] == ["hello", "hello"]
    assert found[3:6] == [denied, denied, denied]
    assert found[6:9] == ["Invalid argument", "Input/output error", "Bad file descriptor"]


async def test_of_a_policy_only_the_named_endpoints_are_left(behind: Behind) -> None:
    """By name; the rest of what the policy admits is refused."""
    only = (f"localhost:{behind.port}",)
    found = await behind.outcomes(CONNECTIONS, f"connect({behind.port})", "connect(9)", only=only)
    assert found == ["hello", "Permission denied"]


async def test_all_walls_stand_together(behind: Behind) -> None:
    """As around an agent and a hosted application."""
    found = await behind.outcomes(
        ALL,
        "os.getpid()",
        f"connect({behind.port})",
        "connect(9)",
        "open('/etc/passwd').read()",
        "open('b.txt', 'w').write('kept')",
        write=(str(behind.folder),),
    )
    assert found[0] == 1
    assert found[1] == "hello"
    assert found[4] == 4


@pytest.mark.long
@pytest.mark.parametrize("walls", [Walls(), NO_NAMESPACES, ALL], ids=["none", "most", "all"])
@pytest.mark.parametrize(
    ("code", "ended"),
    [
        ("raise SystemExit(7)", 7),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("import os; os.kill(os.getpid(), 15)", -signal.SIGTERM),
    ],
    ids=["exit", "kill", "term"],
)
async def test_a_warden_ends_as_its_program(
    behind: Behind, walls: Walls, code: str, ended: int
) -> None:
    """With its exit code, or by its signal; the first process of a namespace ignores its own."""
    words = (sys.executable, "-I", "-S", "-c", code)
    found, _, _ = await behind.run(walls, *words, write=(str(behind.folder),))
    assert found == (0 if walls.namespaces and ended < 0 else ended)


async def test_a_program_that_is_not_there_is_named(behind: Behind) -> None:
    """By the code of a shell for it."""
    code, _, errors = await behind.run(ALL, "/nowhere/program", write=(str(behind.folder),))
    assert (code, errors) == (REFUSED, "/nowhere/program: [Errno 2] No such file or directory\n")


async def test_nothing_starts_for_a_parent_that_is_gone(behind: Behind) -> None:
    """The program would have no one to end it."""
    code, _, _ = await behind.run(Walls(), sys.executable, "-c", "pass", parent=1)
    assert code == REFUSED


async def test_an_own_user_is_that_of_the_program(behind: Behind) -> None:
    """Under root; else the user of the suite stays."""
    root = os.geteuid() == 0
    walls = Walls(namespaces=True, own_user=root)
    found = await behind.outcomes(
        walls, "os.getuid()", "os.getgroups()", uid=50_000, write=(str(behind.folder),)
    )
    assert found[0] == (50_000 if root else os.geteuid())
    assert not root or found[1] == []
