"""The sandbox: a pool of killable child processes that run users' code, each in one language.

Children are started on demand and ended when idle. A call beyond its time limit is killed with its
child; the death of a child fails no other call.
"""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Self

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.jsontext import not_unicode
from flowmesh.jsontext.integers import inexact
from flowmesh.sandbox.child import (
    CPU,
    CPU_MS_MAX,
    HEAP_BYTES_MAX,
    MEMORY,
    PIPELINE_BYTES_MAX,
    PIPELINE_CPU_MS_MAX,
    RESULT_BYTES_MAX,
    TIMEOUT,
    TOO_LARGE,
    VALUE,
)
from flowmesh.sandbox.cpu import CpuLedger
from flowmesh.sandbox.errors import SandboxFailure, out_of_cpu
from flowmesh.sandbox.process import Answer, Call, Child, ChildGone, Language
from flowmesh.sandbox.turns import Turns, current_account

CHILDREN_MAX = 2
RUNS_PER_CHILD_MAX = 10_000
IDLE_SECONDS_MAX = 30.0
# The time from the limit that the child enforces to the kill.
KILL_GRACE_MS = 250
TIMEOUT_MS_MAX = 60_000
TIMEOUT_MS = 5_000
CODE_BYTES_MAX = 256 * 1024
VARIABLES_BYTES_MAX = 32 * 1024 * 1024

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,63}\Z")
# Failure classes with a meaning for the engine; exceptions of code cannot use these names.
_RESERVED = frozenset(
    {
        "AuthenticationError",
        "CIRCUIT_OPEN",
        "Cancelled",
        "ClientError",
        "EgressBlocked",
        "NetworkError",
        "POISON",
        "RateLimitError",
        "ResourceLimit",
        "SecretUnavailable",
        "ServerError",
        "Timeout",
        "ValidationError",
    }
)


class Sandbox:
    """A pool of `children_max` processes, shared by namespaces. An async context manager.

    A namespace without a child gets one beyond `children_max` (see Turns). `cpu` bounds the CPU
    time of executions and namespaces.
    """

    def __init__(
        self,
        *,
        children_max: int = CHILDREN_MAX,
        idle_seconds: float = IDLE_SECONDS_MAX,
        cpu: CpuLedger | None = None,
    ) -> None:
        self._turns = Turns(children_max)
        self._cpu = cpu
        self._idle_seconds = idle_seconds
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._closed = False
        self._reaper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            await asyncio.gather(self._reaper, return_exceptions=True)
        children = [*self._idle, *self._busy]
        self._idle.clear()
        await asyncio.gather(*(child.kill() for child in children))

    @property
    def children(self) -> tuple[int, ...]:
        """Return the process ids of the children."""
        return tuple(child.pid for child in (*self._idle, *self._busy))

    async def run(
        self,
        code: str,
        variables: Mapping[str, Json],
        timeout_ms: int = 5_000,
        *,
        result_of: Sequence[str] = (),
    ) -> Json:
        """Run the function body `code` with the variables and return its result.

        The values of `context` under the ids in `result_of` also have `.result`.
        Raises SandboxFailure, and Overloaded if too many calls wait.
        """
        return await self._outcome(_javascript_call(code, variables, timeout_ms, result_of))

    async def evaluate(
        self,
        language: Literal["jq", "jmespath", "jsonata"],
        program: str,
        value: Json,
        variables: Mapping[str, Json] | None = None,
        timeout_ms: int = 5_000,
    ) -> list[Json]:
        """Return every output of a program for a value; JMESPath has one output and no variables.

        jq has each variable as `$name`. The program of JSONata is a JSON template, evaluated for
        each item of the value as `$states`. Raises SandboxFailure (SyntaxError, JqError,
        JmespathError, JsonataError, ValidationError), and Overloaded if too many calls wait.
        """
        call = _program_call(language, program, value, variables or {}, timeout_ms)
        return outputs_of(language, await self.answer(call))

    async def _outcome(self, call: Call) -> Json:
        return _result(await self.answer(call))

    async def answer(self, call: Call) -> Answer:
        """Return the response of a child. Raises like `run`."""
        account = current_account()
        if self._cpu is not None:
            self._cpu.check(account)
        async with self._turns.turn(account.namespace):
            answer = await self._answer(call)
        if self._cpu is not None:
            self._cpu.spend(account, answer.cpu_ms)
        return answer

    async def holds(
        self,
        expression: str,
        variables: Mapping[str, Json],
        timeout_ms: int = 5_000,
        *,
        result_of: Sequence[str] = (),
    ) -> bool:
        """Return whether a JavaScript expression is truthy; for conditions beyond CEL."""
        code = f"return !!(\n{expression}\n)"
        return await self.run(code, variables, timeout_ms, result_of=result_of) is True

    async def meets(
        self,
        condition: Mapping[str, Json],
        data: bytes,
        timeout_ms: int = 5_000,
    ) -> bool:
        """Return whether a condition holds; each of its `roots` has the same JSON value.

        It has `source`, `dialect`, `steps` and `roots` as in `compile_condition`. Raises
        SandboxFailure (RenderError), and Overloaded if too many calls wait.
        """
        code = orjson.dumps(dict(condition))
        call = _checked(Call("condition", code, b"", data, timeout_ms))
        return await self._outcome(call) is True

    async def transform(self, pipeline: bytes, data: bytes, timeout_ms: int) -> bytes:
        """Run a pipeline, as in `flowmesh.transforms.remote`, and return its value as JSON.

        Raises SandboxFailure; of class PIPELINE_FAILED it has a RemoteFailure as its message.
        """
        if len(data) > PIPELINE_BYTES_MAX:
            message = f"the input is larger than {PIPELINE_BYTES_MAX // 1024 // 1024} MiB"
            raise SandboxFailure("ResourceLimit", message)
        answer = await self.answer(Call("pipeline", pipeline, b"", data, timeout_ms))
        if answer.status != VALUE:
            raise _failure(answer, PIPELINE_BYTES_MAX, PIPELINE_CPU_MS_MAX)
        return answer.text

    async def verify(self, kind: str, expected: Mapping[str, Json], message: str) -> Json:
        """Return what a message of a SAML provider says, as in `flowmesh.saml.verifier`.

        Raises SandboxFailure; of class Refused if the message does not count.
        """
        return await self._outcome(_call("saml", kind, expected, message, TIMEOUT_MS))

    async def _answer(self, call: Call) -> Answer:
        """Run a call, again in a new child if a reused one died; code has no side effects."""
        for fresh in (False, True):
            try:
                return await self._attempt(call, fresh=fresh)
            except ChildGone as error:
                if error.cpu_ms:
                    return Answer(CPU, cpu_ms=error.cpu_ms)
                if error.runs == 1 and not self._closed:
                    break
        message = "the code ended its process, most likely by running out of memory"
        raise SandboxFailure("ResourceLimit", message)

    async def _attempt(self, call: Call, *, fresh: bool = False) -> Answer:
        if self._closed:
            raise SandboxFailure("Cancelled", "the sandbox is closing")
        child = None if fresh else self._idle_child(call.language)
        if child is None:
            child = await Child.start(call.language)
        self._busy.add(child)
        kept = False
        try:
            async with asyncio.timeout((call.timeout_ms + KILL_GRACE_MS) / 1000):
                answer = await child.run(call)
            kept = child.runs < RUNS_PER_CHILD_MAX and not self._closed
            return answer
        except TimeoutError:
            return Answer(TIMEOUT, cpu_ms=call.timeout_ms)
        finally:
            if kept:
                self._keep(child)
            else:
                await asyncio.shield(child.kill())
            self._busy.discard(child)

    def _idle_child(self, language: Language) -> Child | None:
        """Return the most recently used idle child of a language, or None."""
        for index in range(len(self._idle) - 1, -1, -1):
            if self._idle[index].language == language:
                return self._idle.pop(index)
        return None

    def _keep(self, child: Child) -> None:
        child.idle_since = asyncio.get_running_loop().time()
        self._idle.append(child)
        if self._reaper is None or self._reaper.done():
            self._reaper = asyncio.create_task(self._reap())

    async def _reap(self) -> None:
        """End children after their idle time; return when none is left."""
        while self._idle:
            now = asyncio.get_running_loop().time()
            oldest = self._idle[0]
            left = oldest.idle_since + self._idle_seconds - now
            if left > 0:
                await asyncio.sleep(left)
                continue
            self._idle.remove(oldest)
            await oldest.kill()


def _javascript_call(
    code: str, variables: Mapping[str, Json], timeout_ms: int, result_of: Sequence[str]
) -> Call:
    _check_names(variables, _NAME, "JavaScript")
    function = f"(function({', '.join(variables)}) {{\n{code}\n}})"
    return _call("javascript", function, variables, [*result_of], timeout_ms)


def _program_call(
    language: Literal["jq", "jmespath", "jsonata"],
    program: str,
    value: Json,
    variables: Mapping[str, Json],
    timeout_ms: int,
) -> Call:
    _check_names(variables, _IDENTIFIER, language)
    if "\0" in program:
        raise SandboxFailure("SyntaxError", "the code holds a NUL character")
    return _call(language, program, variables, value, timeout_ms)


def _check_names(names: Iterable[str], pattern: re.Pattern[str], language: str) -> None:
    for name in names:
        if not pattern.match(name):
            message = f"{name[:64]!r} is not a valid name in {language}"
            raise SandboxFailure("ValidationError", message)


def _call(
    language: Language, code: str, variables: Mapping[str, Json], subject: Json, timeout_ms: int
) -> Call:
    if not 1 <= timeout_ms <= TIMEOUT_MS_MAX:
        raise ValueError(f"timeout_ms must be from 1 to {TIMEOUT_MS_MAX}")
    try:
        call = Call(
            language,
            code.encode(),
            orjson.dumps(dict(variables)),
            orjson.dumps(subject),
            timeout_ms,
        )
    except (orjson.JSONEncodeError, UnicodeEncodeError) as error:
        raise SandboxFailure("ValidationError", "the input cannot be written as JSON") from error
    return _checked(call)


def _checked(call: Call) -> Call:
    """Return the call. Raises SandboxFailure for too large code or data."""
    if len(call.code) > CODE_BYTES_MAX:
        raise SandboxFailure("ResourceLimit", f"the code is larger than {CODE_BYTES_MAX} bytes")
    if len(call.variables) + len(call.subject) > VARIABLES_BYTES_MAX:
        message = f"the input is larger than {VARIABLES_BYTES_MAX // 1024 // 1024} MiB"
        raise SandboxFailure("ResourceLimit", message)
    return call


def why_unreadable(text: bytes) -> str:
    """Return the fault of a result that orjson cannot parse."""
    try:
        value = json.loads(text.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        value = None
    place = not_unicode(value, "result")
    if place:
        return f"{place} is not Unicode, it has half of a surrogate pair"
    return "the result is not JSON, or nested too deeply"


def outputs_of(language: Language, answer: Answer) -> list[Json]:
    """Return the outputs of a program. Raises SandboxFailure."""
    outputs: list[Json] = _result(answer)
    # All numbers of jq are floats; other languages can return inexact integers.
    if language != "jq" and (path := inexact(answer.text, "result")):
        message = f"{path} is a number that cannot be kept exactly"
        raise SandboxFailure("ValidationError", message)
    return outputs


def _result(answer: Answer) -> Json:
    if answer.status != VALUE:
        raise _failure(answer, RESULT_BYTES_MAX, CPU_MS_MAX)
    try:
        return orjson.loads(answer.text)
    except orjson.JSONDecodeError as error:
        raise SandboxFailure("ValidationError", why_unreadable(answer.text)) from error


def _failure(answer: Answer, result_bytes_max: int, cpu_ms_max: int) -> SandboxFailure:
    if answer.status == TIMEOUT:
        return SandboxFailure("Timeout", "the code did not end within its time")
    if answer.status == CPU:
        return out_of_cpu(f"the code used more than its {cpu_ms_max // 1000} s of CPU time")
    if answer.status == MEMORY:
        limit = HEAP_BYTES_MAX // 1024 // 1024
        message = f"the code needs more than its {limit} MiB of memory (or it threw null)"
        return SandboxFailure("ResourceLimit", message)
    if answer.status == TOO_LARGE:
        limit = result_bytes_max // 1024 // 1024
        return SandboxFailure("ResourceLimit", f"the result is larger than {limit} MiB")
    # json instead of orjson, because thrown text can be invalid Unicode or contain tabs.
    name, message = json.loads(answer.text, strict=False)
    return SandboxFailure(class_named(name), message.encode("utf-8", "replace").decode())


def class_named(name: str) -> str:
    """Return the failure class for an exception name of the code."""
    return name if _NAME.match(name) and name not in _RESERVED else "Error"
