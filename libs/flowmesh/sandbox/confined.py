"""Python of users: each run is a fork that can only compute.

Imported by the child process (child.py), never by the suite. The process loads the modules below
and forks for each run. The fork sets limits on memory and CPU time, closes all but three pipes,
and makes the kernel reject every system call that computing does not need: no files, no network,
no processes, no signals to others. It is killed at its time limit.
"""

import ast
import builtins
import codecs
import ctypes
import gc
import importlib
import json
import os
import platform
import resource
import select
import signal
import struct
import sys
import time
from collections.abc import Iterable
from typing import Any

# Statuses beside those of child.py.
VALUE, USER_ERROR, TIMEOUT, MEMORY, TOO_LARGE = b"V", b"E", b"T", b"M", b"L"
CPU, DIED, UNCONFINED = b"C", b"D", b"U"
LOG_BYTES_MAX = 64 * 1024
_CHUNK_BYTES = 64 * 1024
_ERROR_CHARACTERS_MAX = 1_000
_RESULT_FD = 3
# Runs have a lower CPU priority than services.
_NICE = 10
_WHERE = "<task>"

# The modules that code can import; a run cannot read files.
MODULES = (
    "abc", "base64", "binascii", "bisect", "calendar", "cmath", "collections", "collections.abc",
    "colorsys", "contextlib", "copy", "csv", "dataclasses", "datetime", "decimal", "difflib",
    "enum", "fractions", "functools", "graphlib", "hashlib", "heapq", "hmac", "html", "io",
    "ipaddress", "itertools", "json", "keyword", "math", "numbers", "operator", "pprint", "random",
    "re", "reprlib", "secrets", "statistics", "string", "struct", "textwrap", "time", "traceback",
    "types", "typing", "unicodedata", "urllib.parse", "uuid", "zlib", "_strptime",
)  # fmt: skip
_CODECS = (
    "ascii", "base64", "cp1252", "hex", "idna", "latin-1", "punycode", "rot13", "unicode_escape",
    "utf-16", "utf-32", "utf-8-sig",
)  # fmt: skip

# Allowed system calls by machine: memory, time, randomness, its own pipes, exit.
_CALLS = {
    "x86_64": (
        0xC000003E,
        (0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 28, 35, 39, 60, 96, 98, 100, 131, 186,
         201, 202, 219, 228, 229, 230, 231, 318, 334),
    ),
    "aarch64": (
        0xC00000B7,
        (57, 62, 63, 64, 80, 93, 94, 98, 101, 113, 114, 115, 124, 128, 132, 134, 135, 139, 153,
         165, 169, 172, 178, 214, 215, 216, 222, 226, 233, 278, 293),
    ),
}  # fmt: skip
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_MODE_FILTER, _EPERM = 2, 1
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def prepare() -> None:
    """Load the importable modules, once for all runs."""
    for name in MODULES:
        importlib.import_module(name)
    for name in _CODECS:
        codecs.lookup(name)
    gc.collect()
    gc.freeze()


def run_python(limit_ms: int, code: str, variables: str, limits: str) -> tuple[bytes, bytes]:
    """Return the status and text: the size of the printed text, the printed text, the result."""
    allowed = json.loads(limits)
    result_out, result_in = os.pipe()
    log_out, log_in = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _die_with(parent)
            _become_confined(log_in, result_in, allowed)
            answer = _evaluated(code, variables, allowed["output_bytes"])
        except OSError as error:
            answer = UNCONFINED + str(error).encode()
        _write(answer)
        os._exit(0)
    os.close(result_in)
    os.close(log_in)
    deadline = time.monotonic() + limit_ms / 1000
    collected, log = _collected(result_out, log_out, pid, deadline, allowed["output_bytes"])
    _, status, used = os.wait4(pid, 0)
    answer = collected or b""
    if collected is None:
        answer = TIMEOUT if time.monotonic() >= deadline else TOO_LARGE
    elif os.WIFSIGNALED(status):
        answer = _cause(os.WTERMSIG(status), used.ru_utime + used.ru_stime, allowed["cpu_s"])
    elif not answer:
        answer = DIED + b"the code ended its process"
    return answer[:1], struct.pack(">I", len(log)) + log + answer[1:]


def _cause(number: int, used_s: float, cpu_s: int) -> bytes:
    if number == signal.SIGXCPU or (number == signal.SIGKILL and used_s >= cpu_s):
        return CPU
    if number == signal.SIGKILL:
        return MEMORY
    return DIED + signal.Signals(number).name.encode()


def _collected(
    result: int, log: int, pid: int, deadline: float, output_bytes_max: int
) -> tuple[bytes | None, bytes]:
    """Return the output of the fork, or None after it was killed for its time or output size."""
    parts: dict[int, list[bytes]] = {result: [], log: []}
    sizes = {result: 0, log: 0}
    most = {result: output_bytes_max + _ERROR_CHARACTERS_MAX * 8, log: LOG_BYTES_MAX}
    open_fds = {result, log}
    late = False
    while open_fds and not late:
        left = deadline - time.monotonic()
        # Standard input is read between runs only; an event during a run means that it has closed.
        ready = select.select([*open_fds, 0], [], [], max(0.0, left))[0] if left > 0 else []
        if 0 in ready:
            os.kill(pid, signal.SIGKILL)
            os._exit(0)
        late = not ready
        for fd in ready:
            data = os.read(fd, _CHUNK_BYTES)
            if not data:
                open_fds.discard(fd)
            elif fd == log or sizes[fd] + len(data) <= most[fd]:
                parts[fd].append(data[: max(0, most[fd] - sizes[fd])])
            else:
                late = True
            sizes[fd] += len(data)
    if late:
        os.kill(pid, signal.SIGKILL)
    os.close(result)
    os.close(log)
    return (None if late else b"".join(parts[result])), b"".join(parts[log])


def _die_with(parent: int) -> None:
    """Die with the parent; a parent that is already dead shows as a changed parent id."""
    _call(ctypes.CDLL(None, use_errno=True), _PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _become_confined(log_in: int, result_in: int, allowed: dict[str, Any]) -> None:
    """Confine the process to computing and writing to two pipes. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Free the numbers that the pipes must get.
    log_in, result_in = os.dup(log_in), os.dup(result_in)
    os.dup2(log_in, 1)
    os.dup2(log_in, 2)
    os.dup2(result_in, _RESULT_FD)
    os.closerange(_RESULT_FD + 1, 1024)
    os.close(0)
    os.nice(_NICE)
    with_this = _address_space() + allowed["memory_bytes"]
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, allowed["cpu_s"]),
        (resource.RLIMIT_AS, with_this),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    _refuse_calls(libc)


def stay_confined(memory_bytes: int, cpu_s: int) -> None:
    """Confine this process for good, with the pipes that it has open. Raises OSError."""
    _die_with(os.getppid())
    libc = ctypes.CDLL(None, use_errno=True)
    os.nice(_NICE)
    with_this = _address_space() + memory_bytes
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, with_this),
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    _refuse_calls(libc)


def _address_space() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123 (pathlib is not loaded here)
        return int(file.read().split()[0]) * resource.getpagesize()


def _refuse_calls(libc: ctypes.CDLL) -> None:
    machine = platform.machine()
    if machine not in _CALLS:
        raise OSError(f"a {machine} cannot be confined")
    architecture, numbers = _CALLS[machine]
    program = [
        (_LOAD, 0, 0, 4),
        (_JUMP_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
    ]
    for index, number in enumerate(numbers):
        program.append((_JUMP_IF_EQUAL, len(numbers) - index, 0, number))
    program += [(_RETURN, 0, 0, _ERRNO | _EPERM), (_RETURN, 0, 0, _ALLOW)]
    code = b"".join(struct.pack("HBBI", *each) for each in program)
    filter_ = _Program(len(program), code)
    _call(libc, _PR_SET_NO_NEW_PRIVS, 1)
    _call(libc, _PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(filter_))


def _call(libc: ctypes.CDLL, *arguments: int) -> None:
    given = [ctypes.c_ulong(each) for each in (*arguments, 0, 0, 0, 0)[:5]]
    if libc.prctl(*given) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _evaluated(code: str, given: str, output_bytes_max: int) -> bytes:
    """Return the status and text of the result; `given` is a JSON object of variables."""
    try:
        variables = json.loads(given)
        value = _function(code, variables)(**variables)
        said = json.dumps(value, ensure_ascii=False, allow_nan=False)
        # The reader of the result reports invalid Unicode.
        text = said.encode("utf-8", "surrogatepass")
    except MemoryError:
        return MEMORY
    except BaseException as error:  # noqa: BLE001 (any exception of the code is its failure)
        return _failure(error)
    finally:
        _flush()
    return VALUE + text if len(text) <= output_bytes_max else TOO_LARGE


def _function(code: str, variables: Iterable[str]) -> Any:
    """Compile the code as the body of a function of the variables."""
    tree = ast.parse(code, _WHERE)
    arguments = ast.arguments(
        posonlyargs=[],
        args=[ast.arg(name) for name in variables],
        kwonlyargs=[],
        kw_defaults=[],
        defaults=[],
    )
    body = tree.body or [ast.Pass()]
    tree.body = [ast.FunctionDef("task", arguments, body, [])]
    scope: dict[str, Any] = {"__builtins__": builtins, "__name__": "__task__"}
    exec(compile(ast.fix_missing_locations(tree), _WHERE, "exec"), scope)  # noqa: S102
    return scope["task"]


def _failure(error: BaseException) -> bytes:
    """Return the name and message of an exception, with its line in the code."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _WHERE:
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        line = error.lineno or 0
    try:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
    except BaseException:  # noqa: BLE001 (its own code)
        said = ""
    message = f"{said[:_ERROR_CHARACTERS_MAX]} (line {line})" if line else said
    named = [type(error).__name__, message[: _ERROR_CHARACTERS_MAX + 20].strip()]
    return USER_ERROR + json.dumps(named).encode()


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 (the code may have put anything there)
        return


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(_RESULT_FD, data) :]
