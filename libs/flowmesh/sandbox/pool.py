"""The sandbox: users' code in a few killable child processes, each of one language.

A child is started when it is needed, kept while there is work, ended when idle. A call that is
out of time is killed with its child; a child that dies takes no other call with it.
"""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

import orjson

from flowmesh.errors import Overloaded
from flowmesh.jsontext import not_unicode
from flowmesh.jsontext.integers import inexact
from flowmesh.sandbox.child import (
    CPU_MS_MAX,
    HEAP_BYTES_MAX,
    MEMORY,
    RESULT_BYTES_MAX,
    TIMEOUT,
    TOO_LARGE,
    VALUE,
)
from flowmesh.sandbox.errors import SandboxFailure
from flowmesh.sandbox.process import Call, Child, ChildGone, Language

Json = Any

CHILDREN_MAX = 2
WAITING_MAX = 1_000
RUNS_PER_CHILD_MAX = 10_000
IDLE_SECONDS_MAX = 30.0
# From the limit the child keeps by itself to the kill.
KILL_GRACE_MS = 250
TIMEOUT_MS_MAX = 60_000
CODE_BYTES_MAX = 256 * 1024
VARIABLES_BYTES_MAX = 32 * 1024 * 1024

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,63}\Z")
# Classes that the engine gives a meaning; code cannot claim them by the name of its exception.
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
        "ServerError",
        "Timeout",
        "ValidationError",
    }
)


class Sandbox:
    """A pool of at most `children_max` processes; enter it to use it, leave it to end them."""

    def __init__(
        self, *, children_max: int = CHILDREN_MAX, idle_seconds: float = IDLE_SECONDS_MAX
    ) -> None:
        self._slots = asyncio.Semaphore(children_max)
        self._idle_seconds = idle_seconds
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._waiting = 0
        self._closed = False
        self._reaper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            await asyncio.gather(self._reaper, return_exceptions=True)
        children = [*self._idle, *self._busy]
        self._idle.clear()
        await asyncio.gather(*(child.kill() for child in children))

    @property
    def children(self) -> tuple[int, ...]:
        """The process ids of the children there are."""
        return tuple(child.pid for child in (*self._idle, *self._busy))

    async def run(
        self,
        code: str,
        variables: Mapping[str, Json],
        timeout_ms: int = 5_000,
        *,
        result_of: Sequence[str] = (),
    ) -> Json:
        """What the function body `code` returns, with each variable under its name.

        The values of `context` under the ids in `result_of` also answer to `.result`.
        Raises SandboxFailure, and Overloaded when too many calls wait.
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
        """Every output of a program applied to a value; JMESPath has one and knows no variables.

        jq has each variable as `$name`. JSONata's program is a template of JSON, which is filled
        in for each item of the value, as `$states`. Raises SandboxFailure (SyntaxError, JqError,
        JmespathError, JsonataError, ValidationError), and Overloaded when too many calls wait.
        """
        call = _program_call(language, program, value, variables or {}, timeout_ms)
        answer = await self.answer(call)
        outputs: list[Json] = _result(answer)
        # Numbers of jq are floats, those of the others are not.
        if language != "jq" and (path := inexact(answer[1:], "result")):
            message = f"{path} is a number that cannot be kept exactly"
            raise SandboxFailure("ValidationError", message)
        return outputs

    async def _outcome(self, call: Call) -> Json:
        return _result(await self.answer(call))

    async def answer(self, call: Call) -> bytes:
        """What a child answers to a call, its status first; raises as `run` does."""
        if self._waiting >= WAITING_MAX:
            message = f"{WAITING_MAX} calls wait for the sandbox already"
            raise Overloaded("OVERLOADED", message, retry_after_ms=1_000)
        self._waiting += 1
        try:
            async with self._slots:
                return await self._answer(call)
        finally:
            self._waiting -= 1

    async def holds(
        self,
        expression: str,
        variables: Mapping[str, Json],
        timeout_ms: int = 5_000,
        *,
        result_of: Sequence[str] = (),
    ) -> bool:
        """Whether a JavaScript expression is truthy; for conditions that CEL cannot express."""
        code = f"return !!(\n{expression}\n)"
        return await self.run(code, variables, timeout_ms, result_of=result_of) is True

    async def meets(
        self,
        condition: Mapping[str, Json],
        data: bytes,
        timeout_ms: int = 5_000,
    ) -> bool:
        """Whether a condition holds where each of its `roots` is the same JSON.

        It has `source`, `dialect`, `steps` and `roots` as with `compile_condition`. Raises
        SandboxFailure (RenderError), and Overloaded when too many calls wait.
        """
        code, timeout_ms = orjson.dumps(dict(condition)), min(timeout_ms, CPU_MS_MAX)
        call = _checked(Call("condition", code, b"", data, timeout_ms))
        return await self._outcome(call) is True

    async def _answer(self, call: Call) -> bytes:
        """Code has no effects, so it is given to a new child if one that ran others died of it."""
        for fresh in (False, True):
            try:
                return await self._attempt(call, fresh=fresh)
            except ChildGone as error:
                if error.runs == 1 and not self._closed:
                    break
        message = "the code ended its process, most likely by running out of memory"
        raise SandboxFailure("ResourceLimit", message)

    async def _attempt(self, call: Call, *, fresh: bool = False) -> bytes:
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
            return TIMEOUT
        finally:
            if kept:
                self._keep(child)
            else:
                await asyncio.shield(child.kill())
            self._busy.discard(child)

    def _idle_child(self, language: Language) -> Child | None:
        """The child of the language that was used last, if one has nothing to do."""
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
        """Ends children that had nothing to do for a while; ends itself when none is left."""
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
            message = f"{name[:64]!r} is not a name that {language} has"
            raise SandboxFailure("ValidationError", message)


def _call(
    language: Language, code: str, variables: Mapping[str, Json], subject: Json, timeout_ms: int
) -> Call:
    if not 1 <= timeout_ms <= TIMEOUT_MS_MAX:
        raise ValueError(f"timeout_ms must be from 1 to {TIMEOUT_MS_MAX}")
    if language != "javascript":  # no clock of its own, the kill is its only limit
        timeout_ms = min(timeout_ms, CPU_MS_MAX)
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
    """The call, unless its code or its data is too large."""
    if len(call.code) > CODE_BYTES_MAX:
        raise SandboxFailure("ResourceLimit", f"the code is larger than {CODE_BYTES_MAX} bytes")
    if len(call.variables) + len(call.subject) > VARIABLES_BYTES_MAX:
        message = f"the input is larger than {VARIABLES_BYTES_MAX // 1024 // 1024} MiB"
        raise SandboxFailure("ResourceLimit", message)
    return call


def why_unreadable(text: bytes) -> str:
    """What is wrong with a result that orjson does not read."""
    try:
        value = json.loads(text.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        value = None
    place = not_unicode(value, "result")
    if place:
        return f"{place} is not Unicode, it has half of a surrogate pair"
    return "the result is not JSON, or nested too deeply"


def _result(answer: bytes) -> Json:
    status, text = answer[:1], answer[1:]
    if status == VALUE:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise SandboxFailure("ValidationError", why_unreadable(text)) from error
    if status == TIMEOUT:
        raise SandboxFailure("Timeout", "the code did not end within its time")
    if status == MEMORY:
        limit = HEAP_BYTES_MAX // 1024 // 1024
        message = f"the code needs more than its {limit} MiB of memory (or it threw null)"
        raise SandboxFailure("ResourceLimit", message)
    if status == TOO_LARGE:
        limit = RESULT_BYTES_MAX // 1024 // 1024
        raise SandboxFailure("ResourceLimit", f"the result is larger than {limit} MiB")
    # Not by orjson: what code throws may be text that is not Unicode, or hold a bare tab.
    name, message = json.loads(text, strict=False)
    raise SandboxFailure(class_named(name), message.encode("utf-8", "replace").decode())


def class_named(name: str) -> str:
    """The class of a failure that code names itself."""
    return name if _NAME.match(name) and name not in _RESERVED else "Error"
