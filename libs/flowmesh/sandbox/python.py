"""Python of users in the sandbox: the call and its response."""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.jsontext.integers import inexact
from flowmesh.sandbox.child import CPU, MEMORY, RESULT_BYTES_MAX, TIMEOUT, TOO_LARGE, VALUE
from flowmesh.sandbox.errors import SandboxFailure, out_of_cpu
from flowmesh.sandbox.pool import (
    CODE_BYTES_MAX,
    KILL_GRACE_MS,
    VARIABLES_BYTES_MAX,
    Sandbox,
    class_named,
    why_unreadable,
)
from flowmesh.sandbox.process import Call

TIMEOUT_MS_MAX = 3_600_000
MIB = 1024 * 1024
_DIED, _UNCONFINED = b"D", b"U"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one run; memory is in addition to the needs of Python itself."""

    memory_bytes: int = 128 * MIB
    cpu_s: int = 10
    output_bytes: int = RESULT_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of the code, and the text it printed."""

    value: Json
    log: str


async def run_python(
    sandbox: Sandbox, code: str, variables: Mapping[str, Json], limits: Limits, timeout_ms: int
) -> Outcome:
    """Run the function body `code`. Raises SandboxFailure, and Overloaded.

    The time limit starts when a process has the call; the caller limits the wait before.
    """
    answer = await sandbox.answer(_call(code, variables, limits, timeout_ms))
    status, text = answer.status, answer.text
    if len(text) < 4:  # killed with its process
        raise SandboxFailure("Timeout", _late(timeout_ms))
    end = 4 + struct.unpack_from(">I", text)[0]
    log, result = text[4:end].decode("utf-8", "replace"), text[end:]
    if status == VALUE:
        try:
            value = orjson.loads(result)
        except orjson.JSONDecodeError:
            raise SandboxFailure("ValidationError", why_unreadable(result), log) from None
        if path := inexact(result, "result"):
            message = f"{path} is a number that cannot be kept exactly; return it as a string"
            raise SandboxFailure("ValidationError", message, log)
        return Outcome(value, log)
    raise _failure(status, result, limits, timeout_ms, log)


def _call(code: str, variables: Mapping[str, Json], limits: Limits, timeout_ms: int) -> Call:
    if len(code) > CODE_BYTES_MAX or "\0" in code:
        raise SandboxFailure("ValidationError", "the code is too long, or holds a NUL character")
    try:
        call = Call(
            "python",
            code.encode(),
            orjson.dumps(dict(variables)),
            orjson.dumps(limits),
            max(1, min(timeout_ms, TIMEOUT_MS_MAX) - KILL_GRACE_MS),
        )
    except (orjson.JSONEncodeError, UnicodeEncodeError) as error:
        raise SandboxFailure("ValidationError", "the input cannot be written as JSON") from error
    if len(call.variables) > VARIABLES_BYTES_MAX:
        message = f"the input is larger than {VARIABLES_BYTES_MAX // MIB} MiB"
        raise SandboxFailure("ResourceLimit", message)
    return call


def _late(timeout_ms: int) -> str:
    return f"the code did not end within its {timeout_ms} ms"


def _failure(
    status: bytes, result: bytes, limits: Limits, timeout_ms: int, log: str
) -> SandboxFailure:
    messages = {
        MEMORY: f"the code needs more than its {limits.memory_bytes // MIB} MiB of memory",
        TOO_LARGE: f"the result is larger than {limits.output_bytes} bytes",
        _DIED: "the code ended its process",
        _UNCONFINED: "this machine cannot confine Python; it takes Linux with seccomp",
    }
    if status == TIMEOUT:
        return SandboxFailure("Timeout", _late(timeout_ms), log)
    if status == CPU:
        return out_of_cpu(f"the code used more than its {limits.cpu_s} s of processor time", log)
    if status in messages:
        return SandboxFailure("ResourceLimit", messages[status], log)
    try:
        # json instead of orjson, because messages of exceptions can be invalid Unicode.
        name, message = json.loads(result)
    except (ValueError, TypeError, RecursionError):
        return SandboxFailure("Error", "the code wrote to the pipe of its result", log)
    said = str(message).encode("utf-8", "replace").decode()
    return SandboxFailure(class_named(str(name)), said, log)
