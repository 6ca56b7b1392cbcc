"""Reasons of texts that are not YAML: what is wrong, with line and column."""

import pytest

from flowmesh.definitions.reading.yaml_text import Unreadable, read_yaml


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ("a:\n\tb: 1\n", 2, 1, "a tab cannot indent; use blanks"),
        ("a: |\n\tx\n", 2, 1, "a tab cannot indent; use blanks"),
        ('a: "x\nb: 2\n', 3, 1, "the quote of line 1 is not closed"),
        ("a: 1\nb: 'it\n", 3, 1, "the quote of line 2 is not closed"),
        ("a: [1, 2\nb: 3\n", 2, 2, "the [ of line 1 is not closed by ]"),
        ("a: {b: 1\n", 2, 1, "the { of line 1 is not closed by }"),
        ("a: ]\n", 1, 4, "expected a value; a bracket may be too many or open"),
        ("a: \x00\n", 1, 4, "the character NUL is not allowed"),
        ('é: 1\nb: "\x01"\n', 2, 5, "the character U+0001 is not allowed"),
        ("a: b: c\n", 1, 5, "': ' is not allowed here; quote the text, or check the indentation"),
        ("a: @x\n", 1, 4, "@ cannot begin a value; put it in quotes"),
        ("a: %x\n", 1, 4, "% cannot begin a value; put it in quotes"),
        ("x: 1\nabc\ny: 1\n", 3, 1, "the key of line 2 has no colon"),
        ("a:\n  - b\n c: 1\n", 3, 2, "expected a key; check the indentation and the quotes"),
        ("- a\nb: c\n", 2, 1, "expected '- ', an item of the list of line 1"),
        ('a: "\\q"\n', 1, 5, "there is no such escape; write \\\\ for a backslash"),
    ],
)
def test_a_text_that_is_not_yaml_is_refused_with_its_reason(
    text: str, line: int, column: int, reason: str
) -> None:
    """The problem has the place, and its message the place and the reason."""
    with pytest.raises(Unreadable) as refused:
        read_yaml(text)
    problem = refused.value.problem
    assert (problem.line, problem.column) == (line, column)
    assert problem.message == f"this is not YAML at line {line}, column {column}: {reason}"
