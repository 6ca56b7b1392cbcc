"""Syntax checks of JavaScript, Python, jq and JMESPath by parsing, without running the code.

QuickJS parses JavaScript. The source follows a `throw`, so it ends before its first statement. It
is parsed in two different brackets, so it cannot close one and continue outside. jq computes
constants while it compiles and has no limits, so a child process compiles it.
"""

import ast
import struct
import subprocess
from collections.abc import Sequence
from typing import Any

import _quickjs  # type: ignore[import-not-found]  # `quickjs` itself starts a thread at import
import jmespath
import orjson
from jmespath.functions import Functions

from flowmesh.sandbox.child import USER_ERROR
from flowmesh.sandbox.process import Call, Language, command

CODE_CHARACTERS_MAX = 64 * 1024
PARSE_SECONDS_MAX = 0.25
PARSE_MEMORY_BYTES_MAX = 32 * 1024 * 1024
PARSE_STACK_BYTES_MAX = 256 * 1024
MESSAGE_CHARACTERS_MAX = 200

# For one call, including the start of the child; a hundred programs compile in 0.1 s.
JQ_SECONDS_MAX = 6.0
JQ_PROGRAM_SECONDS_MAX = 0.01

_STOP = "throw null;"
_TOO_LONG = f"the code is longer than {CODE_CHARACTERS_MAX} characters"
_PARAMETERS = "input, context, inputKey"


def expression_error(source: str) -> str:
    """Return the syntax error of a JavaScript expression, or an empty text."""
    return _first_error(f"{_STOP}(\n{source}\n)", f"{_STOP}[\n{source}\n]")


def check_syntax(language: Language, code: str, variables: Sequence[str] = ()) -> str:
    """Return the syntax error of a JavaScript or Python function body, jq or JMESPath, or "".

    A jq program can use the `variables` as `$name`.
    """
    if language == "jq":
        return jq_errors([code], variables)[0]
    if len(code) > CODE_CHARACTERS_MAX:
        return _TOO_LONG
    if language == "jmespath":
        return _jmespath_error(code)
    if language == "python":
        return _python_error(code)
    return _first_error(
        f"{_STOP}(function({_PARAMETERS}) {{\n{code}\n}})",
        f"{_STOP}({{run({_PARAMETERS}) {{\n{code}\n}}}})",
    )


def _python_error(code: str) -> str:
    """Return the syntax error of a Python function body; parsing runs nothing."""
    try:
        ast.parse(code)
    except SyntaxError as error:
        return f"{error.msg} (line {error.lineno or 1})"[:MESSAGE_CHARACTERS_MAX]
    except (MemoryError, RecursionError):
        return "the code is nested too deeply"
    except UnicodeError:
        return "the code holds a character that is invalid in Python"
    except ValueError as error:
        # Python before 3.11.4 raises ValueError for null bytes.
        return str(error)
    return ""


def jq_errors(programs: Sequence[str], variables: Sequence[str] = ()) -> list[str]:
    """Return the syntax error of each jq program, or ""; one process compiles them all.

    It is killed at its time limit. Then the current program gets the error and later ones stay
    unchecked, because the caller rejects all of them for one.
    """
    errors = [_refused_unread(program) for program in programs]
    names = orjson.dumps(dict.fromkeys(variables))
    checked = [index for index, error in enumerate(errors) if not error]
    calls = [Call("jq", programs[index].encode(), names, b"", 1) for index in checked]
    if calls:
        answers = _answers(_compiled(calls))
        for index, answer in zip(checked, answers, strict=False):
            if answer[:1] == USER_ERROR:
                errors[index] = orjson.loads(answer[1:])[1][:MESSAGE_CHARACTERS_MAX]
        if len(answers) < len(checked):
            errors[checked[len(answers)]] = "it takes too much time or memory to compile"
    return errors


def _refused_unread(program: str) -> str:
    if len(program) > CODE_CHARACTERS_MAX:
        return _TOO_LONG
    if "\0" in program:
        return "the code holds a NUL character"
    try:
        program.encode()
    except UnicodeEncodeError:
        return "the code is not Unicode"
    return ""


def _jmespath_error(expression: str) -> str:
    """Return the syntax error; an unknown function is an error too."""
    try:
        waiting = [jmespath.compile(expression).parsed]
    except RecursionError:
        return "the expression is nested too deeply"
    except ValueError as error:  # the base of JMESPathError
        return str(error).partition("\n")[0][:MESSAGE_CHARACTERS_MAX]
    while waiting:
        node = waiting.pop()
        if node["type"] == "function_expression" and node["value"] not in Functions.FUNCTION_TABLE:
            return f"there is no function {node['value'][:64]!r}"
        waiting += node["children"]
    return ""


def _compiled(calls: Sequence[Call]) -> bytes:
    """Return the responses of a child to the calls, up to its end."""
    process = subprocess.Popen(
        command("jq"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
    )
    frames = b"".join(call.frame() for call in calls)
    with process:
        try:
            seconds = JQ_SECONDS_MAX + JQ_PROGRAM_SECONDS_MAX * len(calls)
            return process.communicate(frames, timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            return process.communicate()[0]


def _answers(frames: bytes) -> list[bytes]:
    answers = []
    while len(frames) >= 8:
        end = 8 + struct.unpack_from(">I", frames)[0]
        answers.append(frames[8:end])
        frames = frames[end:]
    return answers


def _first_error(*sources: str) -> str:
    if any("\0" in source for source in sources):
        return "the code holds a NUL character"
    for source in sources:
        context: Any = _quickjs.Context()
        context.set_time_limit(PARSE_SECONDS_MAX)
        context.set_memory_limit(PARSE_MEMORY_BYTES_MAX)
        context.set_max_stack_size(PARSE_STACK_BYTES_MAX)
        try:
            context.eval(source)
        except _quickjs.JSException as error:
            text = str(error)
            if not text.startswith("null"):
                return _message(text)
    return ""


def _message(text: str) -> str:
    """Return the first line of QuickJS's message, without the error type."""
    first = text.partition("\n")[0].partition(": ")
    return (first[2] or first[0])[:MESSAGE_CHARACTERS_MAX]
