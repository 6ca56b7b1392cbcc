"""Python of users: what it gives, what it is kept from, and what it costs others."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from flowmesh.sandbox import Sandbox, SandboxFailure, check_syntax
from flowmesh.sandbox.process import CHILD
from flowmesh.sandbox.python import MIB, Limits, Outcome, run_python
from flowmesh.testing.polling import done


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


async def run(
    sandbox: Sandbox, code: str, limits: Limits | None = None, timeout_ms: int = 5_000, **names: Any
) -> Outcome:
    return await run_python(sandbox, code, names, limits or Limits(), timeout_ms)


async def fails(sandbox: Sandbox, code: str, *arguments: Any) -> SandboxFailure:
    with pytest.raises(SandboxFailure) as caught:
        await run(sandbox, code, *arguments)
    return caught.value


async def test_code_computes_with_the_standard_library(sandbox: Sandbox) -> None:
    """It returns JSON, sees its input, and what it prints is kept."""
    code = (
        "import math, statistics\n"
        "def half(n):\n    return n / 2\n"
        "print('sum', sum(input['n']))\n"
        "return {'mean': statistics.mean(input['n']), 'half': half(9), 'pi': math.floor(math.pi)}"
    )
    outcome = await run(sandbox, code, input={"n": [1, 2, 6]})
    assert outcome == Outcome({"mean": 3, "half": 4.5, "pi": 3}, "sum 9\n")


@pytest.mark.parametrize(
    ("value", "place"),
    [("{'a': ['x', 'y\\ud800']}", "result.a[1]"), ("{'a': {'\\udfff': 1}}", "a key of result.a")],
)
async def test_text_that_is_not_unicode_is_not_repaired(
    sandbox: Sandbox, value: str, place: str
) -> None:
    """The failure says where it is."""
    failed = await fails(sandbox, f"print('before')\nreturn {value}")
    said = f"{place} is not Unicode, it has half of a surrogate pair"
    assert (failed.class_, failed.message, failed.log) == ("ValidationError", said, "before\n")


async def test_no_run_leaves_anything_for_the_next(sandbox: Sandbox) -> None:
    """Not even what it changes in modules and built-ins."""
    await run(sandbox, "import builtins, math\nmath.pi = 3\nbuiltins.kept = 1\nreturn 1")
    with pytest.raises(SandboxFailure) as caught:
        await run(sandbox, "import math\nassert math.pi > 3\nreturn kept")
    assert caught.value.class_ == "NameError"


async def test_what_it_raises_has_its_line_and_what_it_printed(sandbox: Sandbox) -> None:
    """The class is the exception's, but not one that the engine gives a meaning."""
    failed = await fails(sandbox, "print('before')\n\nraise ValueError('no such order')")
    assert (failed.class_, failed.message) == ("ValueError", "no such order (line 3)")
    assert failed.log == "before\n"
    half = await fails(sandbox, "raise ValueError('half \\ud800')")
    assert (half.class_, half.message) == ("ValueError", "half ? (line 1)")
    claimed = await fails(sandbox, "class Timeout(Exception): pass\nraise Timeout('x')")
    assert claimed.class_ == "Error"


@pytest.mark.parametrize(
    ("code", "limits", "class_"),
    [
        ("while True: pass", Limits(cpu_s=100), "Timeout"),
        ("while True: pass", Limits(cpu_s=1), "ResourceLimit"),
        ("a = []\nwhile True: a.append(bytearray(1 << 20))", Limits(), "ResourceLimit"),
        ("return 'x' * 100_000", Limits(output_bytes=1_000), "ResourceLimit"),
        ("import os\nos._exit(0)", Limits(), "ResourceLimit"),
        ("import ctypes\nctypes.string_at(0)", Limits(), "ResourceLimit"),
        ("import os\nos.write(3, b'x' * 10_000_000)", Limits(), "ResourceLimit"),
    ],
)
async def test_what_is_over_a_limit_ends_alone(
    sandbox: Sandbox, code: str, limits: Limits, class_: str
) -> None:
    """Processor time, memory, time, output, and a process that dies; the next run is well."""
    timeout_ms = 700 if limits.cpu_s == 100 else 60_000
    with pytest.raises(SandboxFailure) as caught:
        await run(sandbox, code, limits, timeout_ms)
    assert caught.value.class_ == class_
    assert (await run(sandbox, "return 1")).value == 1


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


REFUSED = (
    "open('/etc/passwd')", "os.listdir('/')", "os.stat('/')", "os.unlink('{file}')",
    "os.truncate('{file}', 0)", "os.rename('{file}', '{file}.x')", "os.symlink('/', '{file}.y')",
    "os.kill({pid}, 9)", "os.kill(os.getppid(), 9)", "os.fork()", "os.setsid()",
    "os.execv('/bin/sh', ['sh'])", "os.posix_spawn('/bin/sh', ['sh'], dict())",
    "os.close(1) or os.open('{file}', 0)", "open('/proc/{pid}/environ')", "os.pipe()",
    "__import__('socket').socket()", "__import__('subprocess').run('ls')",
    "__import__('urllib.request')",
)  # fmt: skip


@pytest.mark.parametrize("expression", REFUSED)
async def test_nothing_but_computing_is_possible(
    sandbox: Sandbox, expression: str, tmp_path: Path
) -> None:
    """Files, processes, signals and the network are refused by the kernel, or are not there."""
    file = tmp_path / "kept"
    file.write_text("secret")
    expression = expression.format(file=file, pid=os.getpid())
    failed = await fails(sandbox, f"import os\nreturn {expression}")
    assert failed.class_ in ("PermissionError", "ModuleNotFoundError", "OSError", "ImportError")
    assert file.read_text() == "secret"
    assert names_in(tmp_path) == ["kept"]


async def test_raw_system_calls_are_refused_too(sandbox: Sandbox, tmp_path: Path) -> None:
    """The wall is in the kernel: neither limits nor the wall itself can be taken back."""
    code = (
        "import ctypes, resource\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"made = libc.open(b'{tmp_path}/new', 0o102, 0o600)\n"
        "calls = [made, libc.socket(2, 1, 0), libc.kill(1, 0), libc.fork(), libc.chdir(b'/'),\n"
        "         libc.prctl(22, 0, 0, 0, 0), libc.ptrace(16, 1, 0, 0)]\n"
        "try:\n    resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))\n"
        "except (ValueError, OSError):\n    calls.append(-1)\n"
        "return calls"
    )
    assert (await run(sandbox, code)).value == [-1] * 8
    assert names_in(tmp_path) == []


async def test_no_environment_and_no_files_of_the_worker_are_inherited(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passwords in settings are not there to be read."""
    monkeypatch.setenv("FLOWMESH_POSTGRES", "postgresql://secret")
    code = (
        "import os\nfound = []\n"
        "for fd in range(4, 200):\n"
        "    try:\n        found.append(os.fstat(fd) and fd)\n"
        "    except OSError:\n        pass\n"
        "return [found, [n for n in os.environ if n.startswith('FLOWMESH')]]"
    )
    assert (await run(sandbox, code)).value == [[], []]


async def test_a_canceled_run_leaves_no_process(sandbox: Sandbox) -> None:
    """The fork dies with the process that made it."""
    running = asyncio.create_task(run(sandbox, "while True: pass", None, 60_000))
    forks: list[psutil.Process] = []

    def forked() -> bool:
        forks.extend(f for pid in sandbox.children for f in psutil.Process(pid).children())
        return bool(forks)

    await done("forked", forked, within_s=20)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    gone, alive = psutil.wait_procs(forks, timeout=10)
    assert (len(gone), alive) == (1, [])


async def test_a_fork_whose_parent_died_at_once_runs_nothing() -> None:
    """It was too early for the kernel to tell of the death."""
    script = (
        "import os, signal, confined\n"
        "fork = os.fork\n"
        "def forked():\n"
        "    parent, pid = os.getpid(), fork()\n"
        "    if pid:\n"
        "        print(pid, flush=True)\n"
        "        os.kill(parent, signal.SIGKILL)\n"
        "    while os.getppid() == parent:\n"
        "        os.sched_yield()\n"
        "    return pid\n"
        "os.fork = forked\n"
        'limits = \'{"memory_bytes": 99999999, "cpu_s": 60, "output_bytes": 99}\'\n'
        "confined.run_python(60_000, 'while True: pass', '{}', limits)\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, cwd=CHILD.parent
    )
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    await process.wait()
    try:
        await done("ended", lambda: not _runs(pid), within_s=10)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_long_output_is_cut_and_blocks_no_other_call(sandbox: Sandbox) -> None:
    """What is printed beyond 64 KiB is read and dropped."""
    outcome = await run(sandbox, "print('x' * 3_000_000)\nreturn 1")
    assert (outcome.value, len(outcome.log)) == (1, 64 * 1024)


async def test_memory_of_a_run_is_what_was_asked_for(sandbox: Sandbox) -> None:
    """On top of the interpreter's own."""
    code = "return len(bytearray(60 << 20))"
    assert (await run(sandbox, code, Limits(memory_bytes=100 * MIB))).value == 60 << 20
    failed = await fails(sandbox, code, Limits(memory_bytes=32 * MIB))
    assert (failed.class_, "32 MiB" in failed.message) == ("ResourceLimit", True)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("return 1", ""),
        ("def f(:", "line 1"),
        ("x = 1\nif x", "line 2"),
        ("(" * 300, "line 1"),
        ("-" * 60_000 + "1", "nested"),
        ("a\0b", "null bytes"),
    ],
)
def test_syntax_is_checked_without_running(code: str, said: str) -> None:
    """With the line; depth is no fault."""
    found = check_syntax("python", code)
    assert said in found if said else found == ""


async def test_an_input_beyond_the_memory_limit_is_reported(sandbox: Sandbox) -> None:
    """Nothing of the process shows in what the task printed."""
    with pytest.raises(SandboxFailure) as caught:
        await run_python(
            sandbox, "return 1", {"input": ["abc"] * 1_500_000}, Limits(16 * MIB), 60_000
        )
    assert caught.value.message == "the code needs more than its 16 MiB of memory"
    assert caught.value.log == ""
