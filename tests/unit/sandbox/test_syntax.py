"""Syntax is checked by parsing: nothing of what is checked ever runs."""

import time

import pytest

from flowmesh.sandbox import check_syntax, expression_error


@pytest.mark.parametrize(
    "code",
    [
        "return input.map(item => ({ ...item, processed: true }))",
        "const a = 1;\nfor (const b of input) { if (b) continue }\nreturn a // end",
        "",
        "while (true) {}",
        "throw new Error('never thrown here')",
    ],
)
def test_a_function_body_is_accepted_without_running(code: str) -> None:
    """What parses is accepted, an endless loop too, at once."""
    started = time.perf_counter()
    assert check_syntax("javascript", code) == ""
    assert time.perf_counter() - started < 0.2


@pytest.mark.parametrize(
    "code",
    [
        "return (",
        "return 1 }",
        "}); while (true) {} (function () {",
        "}, other() {",
        "}}); while (true) {} ({run() {",
        "let a; let a",
        "retrun 1",
        "/* open",
        "import x from 'y'",
        "await 1",
        "`${",
        "x" * 70_000,
        "(" * 60_000,
    ],
)
def test_what_is_not_a_function_body_is_refused_with_a_reason(code: str) -> None:
    """Broken code, and code that tries to close its function, is refused quickly."""
    started = time.perf_counter()
    problem = check_syntax("javascript", code)
    assert problem
    assert len(problem) <= 200
    assert "\n" not in problem
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("source", ["1 + 1", "a => a", "{}", "x ? `y` : /z/", "a, b"])
def test_expressions_are_accepted(source: str) -> None:
    """Any one expression is accepted."""
    assert expression_error(source) == ""


@pytest.mark.parametrize(
    "source", ["", "1;", "\0", "if (a) b", "...a", "1)];[(2", "1]);([2", "a b"]
)
def test_statements_and_fragments_are_refused(source: str) -> None:
    """Anything but one expression is refused."""
    assert expression_error(source)
