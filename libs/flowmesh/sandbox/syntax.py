"""Whether a text is JavaScript, jq or JMESPath, found out by parsing it and never by running it.

The parser of JavaScript is QuickJS. The source stands behind a `throw`, so what parses ends before
its first statement; and it stands in two different brackets, so it cannot close one and go on
outside. jq computes constants while it compiles and has no limits, so a child process compiles it.
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

# For one call: the child starts, then compiles some hundred programs in a tenth of a second.
JQ_SECONDS_MAX = 6.0
JQ_PROGRAM_SECONDS_MAX = 0.01

_STOP = "throw null;"
_TOO_LONG = f"the code is longer than {CODE_CHARACTERS_MAX} characters"
_PARAMETERS = "input, context, inputKey"


def expression_error(source: str) -> str:
    """Why `source` is not one JavaScript expression; empty if it is."""
    return _first_error(f"{_STOP}(\n{source}\n)", f"{_STOP}[\n{source}\n]")


def check_syntax(language: Language, code: str, variables: Sequence[str] = ()) -> str:
    """Why `code` is not the body of a JavaScript or Python function, jq or JMESPath; else empty.

    A jq program may use the `variables` as `$name`.
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
    """Parsing makes a tree of it and runs nothing."""
    try:
        ast.parse(code)
    except SyntaxError as error:
        return f"{error.msg} (line {error.lineno or 1})"[:MESSAGE_CHARACTERS_MAX]
    except (MemoryError, RecursionError):
        return "the code is nested too deeply"
    except UnicodeError:
        return "the code holds a character that Python has not"
    except ValueError as error:
        # So null bytes are refused before Python 3.11.4.
        return str(error)
    return ""


def jq_errors(programs: Sequence[str], variables: Sequence[str] = ()) -> list[str]:
    """Why each text is not a jq program, empty where it is; one process compiles them all.

    It is killed when it takes too long. The program it was at is the culprit, and those behind it
    stay unchecked: the caller refuses the lot for the one.
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
    """Functions have fixed names, so an unknown one is an error of the text as well."""
    try:
        waiting = [jmespath.compile(expression).parsed]
    except RecursionError:
        return "the expression is nested too deeply"
    except ValueError as error:  # what a JMESPathError is
        return str(error).partition("\n")[0][:MESSAGE_CHARACTERS_MAX]
    while waiting:
        node = waiting.pop()
        if node["type"] == "function_expression" and node["value"] not in Functions.FUNCTION_TABLE:
            return f"there is no function {node['value'][:64]!r}"
        waiting += node["children"]
    return ""


def _compiled(calls: Sequence[Call]) -> bytes:
    """What a child answers to the calls, as far as it comes."""
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
    while len(frames) >= 4:
        end = 4 + struct.unpack_from(">I", frames)[0]
        answers.append(frames[4:end])
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
    """QuickJS's first line, without the kind of error before it."""
    first = text.partition("\n")[0].partition(": ")
    return (first[2] or first[0])[:MESSAGE_CHARACTERS_MAX]
