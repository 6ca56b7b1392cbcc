"""The program of a child, by the functions of its languages and as a process without limits.

As the pool starts it, it has no files left, so that nothing of it would be measured.
"""

import asyncio
import ctypes
import json
import platform
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.sandbox import child, confined
from flowmesh.sandbox.process import CHILD, Call, Child, Language

CPU_S = 20
LIMITS = {"memory_bytes": 1 << 30, "cpu_s": CPU_S, "output_bytes": 1_000}


def evaluated(language: Language, code: str, value: Any, **variables: Any) -> tuple[str, Any]:
    """Return the status of a call, and its text as JSON."""
    status, text = child.INTERPRETERS[language]()(
        1_000, code, json.dumps(variables), json.dumps(value)
    )
    return status.decode(), json.loads(text) if text else None


@pytest.mark.parametrize(
    ("language", "code", "value", "answer"),
    [
        ("jq", ".[] | . * $factor", [1, 2], ("V", [2, 4])),
        ("jq", ".a.b", 1, ("E", ["JqError", 'Cannot index number with string ("a")'])),
        ("jq", "input", 1, ("E", ["JqError", "the only input is what stands at ."])),
        ("jmespath", "a[*].b", {"a": [{"b": 1}, {"b": 2}]}, ("V", [[1, 2]])),
        ("jsonata", '{"sum": "{% $sum($states) %}", "as": ["it", 1]}', [[1, 2]],
         ("V", [{"sum": 3, "as": ["it", 1]}])),
        ("jsonata", '"{% $parse($states) %}"', ["[1]"], ("V", [[1]])),
        ("jsonata", '"{% $partition($states, 2) %}"', [[1, 2, 3]], ("V", [[[1, 2], [3]]])),
        ("jsonata", '"{% $range(1, 3, 1) %}"', [0], ("V", [[1, 2, 3]])),
        ("jsonata", '"{% $hash($states, \'SHA-1\') %}"', ["a"],
         ("V", ["86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"])),
        ("jsonata", '"{% $nothing %}"', [0],
         ("E", ["JsonataError", "{% $nothing %} has no value"])),
    ],
)  # fmt: skip
def test_a_program_answers_with_its_outputs(
    language: Language, code: str, value: Any, answer: Any
) -> None:
    """Or with the name and the message of its error."""
    assert evaluated(language, code, value, factor=2) == answer


@pytest.mark.parametrize(
    ("language", "code", "name"),
    [
        ("jq", "{", "SyntaxError"),
        ("jq", 'import "a" as a; .', "SyntaxError"),
        ("jmespath", "a[", "JmespathError"),
        ("jmespath", "abs(@)", "JmespathError"),
        ("jsonata", '"{% ( %}"', "JsonataError"),
    ],
)
def test_a_program_that_is_none_is_an_error(language: Language, code: str, name: str) -> None:
    """Of its language."""
    status, said = evaluated(language, code, ["x"])
    assert (status, said[0]) == ("E", name)


def test_a_program_of_jq_is_compiled_without_a_value() -> None:
    """It has no outputs then."""
    assert child.jq()(1_000, ".a", "{}", "") == (child.VALUE, b"[]")


@pytest.mark.parametrize(
    ("language", "code", "value"),
    [
        ("jq", "range(9) | $text", 0),
        ("jmespath", "@", "x" * 60),
        ("jsonata", '"{% $states %}"', ["x" * 60]),
    ],
)
def test_a_result_has_so_many_bytes(
    language: Language, code: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No part of a larger one is an answer."""
    monkeypatch.setattr(child, "RESULT_BYTES_MAX", 50)
    assert evaluated(language, code, value, text="1234567890") == ("L", None)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("language", ["jmespath", "jsonata"])
def test_a_result_that_is_nested_too_deeply_is_an_error(language: Language) -> None:
    """Of the expression, not of the process."""
    code = "(" * 5_000 if language == "jmespath" else json.dumps(nested(400))
    assert child.INTERPRETERS[language]()(1_000, code, "{}", "[1]")[0] in (b"E", b"V")


@pytest.mark.parametrize(
    ("code", "steps", "variables", "answer"),
    [
        ("return a + 1", [], {"a": 1}, ("V", 2)),
        ("return context.pay.result", ["pay"], {"context": {"pay": {"id": 7}}}, ("V", {"id": 7})),
        ("return Promise.resolve(1)", [], {}, ("V", 1)),
        ("return new Promise(() => 0)", [], {},
         ("E", ["Error", "the returned promise never settles"])),
        ("throw new TypeError('no')", [], {}, ("E", ["TypeError", "no"])),
        ("throw 1", [], {}, ("E", ["Error", "1"])),
        ("let a = ;", [], {}, ("E", ["SyntaxError", "unexpected token in expression: ';'"])),
        ("while (true) {}", [], {}, ("T", None)),
        ("const a = []; while (true) a.push('x'.repeat(1e6) + a.length)", [], {}, ("M", None)),
        ("return 'x'.repeat(5e6)", [], {}, ("L", None)),
    ],
)  # fmt: skip
def test_javascript_answers_with_its_result(
    code: str, steps: list[str], variables: dict[str, Any], answer: Any
) -> None:
    """Within its time and memory."""
    function = f"(function({', '.join(variables)}) {{\n{code}\n}})"
    status, text = child.javascript()(300, function, json.dumps(variables), json.dumps(steps))
    assert (status.decode(), json.loads(text) if text else None) == answer


def test_conditions_and_pipelines_are_compiled_in_the_child(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the libraries that depend on the sandbox."""
    source = {"source": "size(input.a) > 1", "dialect": "cel", "steps": [], "roots": ["input"]}
    condition = child.condition()
    text = json.dumps(source)
    assert condition(1_000, text, "", '{"a": [1, 2]}') == (child.VALUE, b"true")
    assert condition(1_000, text, "", '{"a": []}') == (child.VALUE, b"false")
    status, said = condition(1_000, text, "", "{}")
    assert (status, json.loads(said)[0]) == (child.USER_ERROR, "RenderError")
    pipeline = child.pipeline()

    def run(program: str) -> tuple[bytes, bytes]:
        operation = {"operation": "jq", "program": program}
        return pipeline(1_000, json.dumps({"pipeline": [operation]}), "", "2")

    assert run(". + 1") == (child.VALUE, b"3")
    status, said = run(".a")
    assert (status, json.loads(said)[0]) == (child.USER_ERROR, child.PIPELINE_FAILED)
    monkeypatch.setattr(child, "PIPELINE_BYTES_MAX", 1)
    assert run(". + 40") == (child.TOO_LARGE, b"")


def test_a_message_that_is_no_saml_is_refused() -> None:
    """With the reason of the verifier."""
    expected = json.dumps({"issuer": "i", "audience": "a", "address": "x", "certificates": []})
    status, said = child.saml()(1_000, "response", expected, '"no XML"')
    assert (status, json.loads(said)[0]) == (child.USER_ERROR, "Refused")


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("return {'n': n + 1}", "V", {"n": 2}),
        ("", "V", None),
        ("raise ValueError('no order')", "E", ["ValueError", "no order (line 1)"]),
        ("\nreturn (", "E", ["SyntaxError", "'(' was never closed (line 2)"]),
        ("return object()", "E", ["TypeError", "Object of type object is not JSON serializable"]),
        ("class Odd(Exception):\n  def __str__(self): 1 / 0\nraise Odd", "E", ["Odd", "(line 3)"]),
        ("raise MemoryError", "M", None),
        ("return 'x' * 2000", "L", None),
        ("import sys\nsys.stdout = None\nreturn 1", "V", 1),
    ],
)
def test_python_answers_with_its_result(
    code: str, status: str, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or with its error and the line."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    answer = confined._evaluated(code, '{"n": 1}', 1_000)
    assert answer[:1].decode() == status
    assert (json.loads(answer[1:]) if answer[1:] else None) == said


@pytest.mark.parametrize(
    ("number", "used_s", "status"),
    [
        (signal.SIGXCPU, 0.0, b"C"),
        (signal.SIGKILL, CPU_S, b"C"),
        (signal.SIGKILL, 0.1, b"M"),
        (signal.SIGSEGV, 0.1, b"DSIGSEGV"),
    ],
)
def test_the_signal_of_a_run_tells_its_cause(number: int, used_s: float, status: bytes) -> None:
    """The kernel ends a run at its limits."""
    assert confined._cause(number, used_s, CPU_S) == status


def test_another_machine_confines_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of its calls are not known."""
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="a riscv64 cannot be confined"):
        confined._refuse_calls(ctypes.CDLL(None))


@pytest.fixture
async def python() -> AsyncIterator[Child]:
    """A child for Python in an interpreter that is not isolated, and so measured."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CHILD), "python", str(CHILD.parent)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    yield Child("python", process)
    assert process.stdin is not None
    process.stdin.close()
    assert await process.wait() == 0


async def test_a_child_serves_until_the_end_of_its_input(python: Child) -> None:
    """One run after the other, whatever became of the former."""

    async def run(code: str, timeout_ms: int = 5_000, **limits: int) -> tuple[bytes, bytes]:
        subject = json.dumps({**LIMITS, **limits}).encode()
        answer = await python.run(Call("python", code.encode(), b'{"n": 1}', subject, timeout_ms))
        return answer.status, answer.text[4:]

    assert await run("print('said')\nreturn n + 1") == (b"V", b"said\n2")
    assert await run("while True: pass", timeout_ms=100) == (b"T", b"")
    assert (await run("return 'x' * 20_000", output_bytes=5_000)) == (b"L", b"")
    assert await run("import os\nos._exit(0)") == (b"D", b"the code ended its process")
    assert (await run("open('/etc/passwd')"))[0] == b"E"
    long = "print('x' * 100_000)\nreturn 1"
    assert len((await run(long))[1]) == confined.LOG_BYTES_MAX + 1
