"""Each row of the matrix of bad input has tests that are there, or says what is open."""

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
MATRIX = tomllib.loads((Path(__file__).parent / "matrix.toml").read_text())
ROWS = [f"B{number}" for number in (*range(1, 22), 29, 30, 31, 32, 35)]


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((TESTS / path).read_text())
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_every_row_is_there() -> None:
    """And no other."""
    assert list(MATRIX) == ROWS


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_tests_or_names_what_is_open(row: str) -> None:
    """By path and name; each of them exists."""
    about = MATRIX[row]
    assert about["about"]
    assert about.get("tests") or about.get("open")
    for test in about.get("tests", ()):
        path, _, name = test.partition("::")
        assert name in names_in(path), test
