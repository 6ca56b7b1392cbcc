"""Users' jq and JMESPath: what it may do, what stops it, and what is known before it runs."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from flowmesh.sandbox import Sandbox, SandboxFailure, check_syntax, jq_errors

# What memory is to end is not ended by a slow machine.
LONG_MS = 60_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(children_max=2) as running:
        yield running


async def failure(
    sandbox: Sandbox, program: str, value: Any = None, timeout_ms: int = 5_000
) -> SandboxFailure:
    with pytest.raises(SandboxFailure) as caught:
        await sandbox.evaluate("jq", program, value, timeout_ms=timeout_ms)
    return caught.value


@pytest.mark.parametrize(
    ("program", "value", "outputs"),
    [
        (".a | length", {"a": [1, 2]}, [2]),
        (".[]", [1, "é\0", None, {"a": 1.5}], [1, "é\0", None, {"a": 1.5}]),
        ("empty", 1, []),
        (".id, 2 # a comment", {"id": 12345678901234567890}, [12345678901234567890, 2]),
        ("def f: . + 1; f | f", 1, [3]),
        ("$context.n + $more", 1, [5]),
        ('.name | test("^a")', {"name": "ada"}, [True]),
        ("[$ENV, env] | map(has(\"PATH\"))", 1, [[False, False]]),
    ],
)  # fmt: skip
async def test_a_program_gives_its_outputs(
    sandbox: Sandbox, program: str, value: Any, outputs: list[Any]
) -> None:
    """Each output comes back in order, with large numbers as they were, and no environment."""
    variables = {"context": {"n": 2}, "more": 3}
    assert await sandbox.evaluate("jq", program, value, variables) == outputs


@pytest.mark.parametrize(
    ("program", "class_", "message"),
    [
        (".a", "JqError", 'Cannot index array with string ("a")'),
        ('error("no")', "JqError", "no"),
        ("halt", "JqError", "there is nothing to halt"),
        ('"why" | halt_error', "JqError", "why"),
        ("input", "JqError", "the only input is what stands at ."),
        ("{", "SyntaxError", "syntax error, unexpected end of file, at line 1, column 1"),
        ("$nothing", "SyntaxError", "$nothing is not defined, at line 1, column 1"),
        ('import "passwd" as $d {search: "/etc"}; $d', "SyntaxError", "module not found: passwd"),
        ("module {}; .", "SyntaxError", "a program has no 'module', 'import' or 'include'"),
        ("1\0", "SyntaxError", "the code holds a NUL character"),
    ],
)  # fmt: skip
async def test_a_program_fails_with_its_reason(
    sandbox: Sandbox, program: str, class_: str, message: str
) -> None:
    """Errors of the program and of its text are told apart; modules are out of reach."""
    failed = await failure(sandbox, program, [])
    assert (failed.class_, failed.message) == (class_, message)


async def test_an_endless_program_is_killed_in_time(sandbox: Sandbox) -> None:
    """jq knows no time limit, so its process is killed, and the next call is served."""
    started = time.perf_counter()
    assert (await failure(sandbox, "def f: f; f", timeout_ms=200)).class_ == "Timeout"
    assert time.perf_counter() - started < 2
    assert await sandbox.evaluate("jq", ".", 1) == [1]


@pytest.mark.parametrize("program", ['repeat("x" * 1000)', '"x" * 5000000', "def f: 1 + f; f"])
async def test_a_program_that_grows_is_stopped(sandbox: Sandbox, program: str) -> None:
    """More memory than the process has, or a larger result than is taken, fails the call."""
    assert (await failure(sandbox, program)).class_ == "ResourceLimit"
    assert await sandbox.evaluate("jq", ".", 1) == [1]


async def test_a_result_is_measured_in_bytes(sandbox: Sandbox) -> None:
    """Text whose characters take two bytes each is said to be too large, not to be a crash."""
    async with asyncio.timeout(20):
        failed = await failure(sandbox, '"é" * 3000000')
    assert failed.message == "the result is larger than 4 MiB"


async def test_both_languages_have_children_of_their_own(sandbox: Sandbox) -> None:
    """A child runs one language, whatever the other one did before."""
    assert await sandbox.evaluate("jq", ". + 1", 1) == [2]
    assert await sandbox.run("return input + 1", {"input": 2}) == 3
    assert await sandbox.evaluate("jq", ". + 1", 3) == [4]


@pytest.mark.parametrize("name", ["a-b", "$a", "__ a", "", "x" * 65])
async def test_a_variable_needs_a_name_that_jq_has(sandbox: Sandbox, name: str) -> None:
    """A name that is no identifier fails the call and says so."""
    with pytest.raises(SandboxFailure, match="not a valid name") as caught:
        await sandbox.evaluate("jq", ".", 1, {name: 1})
    assert caught.value.class_ == "ValidationError"


def test_what_is_no_program_is_known_before_it_runs() -> None:
    """One process compiles them all; each error stands at its program's place."""
    programs = [".", "{", "$context", "", "a\0", '"\ud800"', "x" * 70_000, "nothing(1)"]
    errors = jq_errors(programs, ["context"])
    assert [bool(error) for error in errors] == [False, True, False, *[True] * 5]
    assert errors[-1] == "nothing/1 is not defined, at line 1, column 1"
    assert check_syntax("jq", ". | $context") == "$context is not defined, at line 1, column 5"


def test_a_bomb_among_programs_is_refused_while_compiling() -> None:
    """jq computes constants when it compiles; that happens in the child and dies there."""
    errors = jq_errors(["{", '"x" * 2000000000 | length', "."])
    assert errors[1:] == ["it takes too much time or memory to compile", ""]
    assert errors[0]


async def test_jmespath_has_one_output(sandbox: Sandbox) -> None:
    """An expression yields what its specification says, also where nothing is found."""
    rows = {"rows": [{"id": 1, "ok": True}, {"id": 2}, {"id": 12345678901234567890, "ok": True}]}
    found = await sandbox.evaluate("jmespath", "rows[?ok].id", rows)
    assert found == [[1, 12345678901234567890]]
    assert await sandbox.evaluate("jmespath", "a.b", rows) == [None]


# Thirty times a text: what is too large is refused before the machine has to touch it.
JOINED = f" | join('', [{', '.join('@' * 30)}])"
EIGHT = " | [@,@,@,@,@,@,@,@]"


@pytest.mark.long
@pytest.mark.parametrize(
    ("expression", "classes"),
    [
        ("length(`1`)", "JmespathError"),
        ("a[", "JmespathError"),
        ("!" * 5_000 + "a", "JmespathError"),
        ("to_number('nan')", "JmespathError"),
        ("@" + JOINED * 8, "ResourceLimit"),
        # Only as text does it take its memory; where touching that is slow, its time is up first.
        ("@" + EIGHT * 12, "ResourceLimit or Timeout"),
    ],
)
async def test_jmespath_fails_within_its_limits(
    sandbox: Sandbox, expression: str, classes: str
) -> None:
    """Errors are told, and an expression that grows ends in its own process."""
    with pytest.raises(SandboxFailure) as caught:
        await sandbox.evaluate("jmespath", expression, "x" * 100, timeout_ms=LONG_MS)
    assert caught.value.class_ in classes.split(" or ")


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("a[?b > `1`].{x: length(@)} | [0]", ""),
        ("a.b c", "Unexpected token: c: Parse error at column 4"),
        ("", "Invalid JMESPath expression: cannot be empty."),
        ("nothing(@)", "there is no function 'nothing'"),
        ("[" * 5_000, "the expression is nested too deeply"),
    ],
)
def test_what_is_no_jmespath_is_known_before_it_runs(expression: str, error: str) -> None:
    """The text and the names of its functions are checked."""
    assert check_syntax("jmespath", expression)[: len(error) or None] == error


@pytest.mark.parametrize(
    ("expression", "class_"),
    [
        ("contains('abc', `1`)", "JmespathError"),
        ("ceil(to_number('Infinity'))", "JmespathError"),
        ("to_number('123456789012345678901234567890')", "ValidationError"),
        (
            "sum(`[9223372036854775807, 9223372036854775807, 9223372036854775807]`)",
            "ValidationError",
        ),
    ],
)
async def test_what_jmespath_cannot_do_is_no_crash(
    sandbox: Sandbox, expression: str, class_: str
) -> None:
    """Functions of JMESPath that raise, and integers that would be rounded, fail the call."""
    with pytest.raises(SandboxFailure) as caught:
        await sandbox.evaluate("jmespath", expression, None)
    assert caught.value.class_ == class_
