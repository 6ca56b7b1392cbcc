"""Sizes that keep the code readable: functions, files, lines."""

import ast

from tests.tidy import sources

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
LINE_COLUMNS_MAX = 100

# What is over a budget, by name, with the reason. The list only shrinks.
EXCEPTIONS: dict[str, str] = {
    "libs/flowmesh/errors/reasons.py": "one reason a line reads as a table",
    "protos/flowmesh/api/execution/v1/execution_service.proto": "buf keeps messages in files",
    "tests/features.toml": "one feature a line, all of them in one list",
    "tests/features/breaks.toml": "all breaks of features in one list",
}


def _functions(name: str) -> list[tuple[str, int]]:
    return [
        (f"{name}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in sources.nodes(name)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_functions_fit_on_a_screen() -> None:
    """No function is longer than 70 lines."""
    over = [
        f"{function}: {lines} lines"
        for name in sources.python()
        for function, lines in _functions(name)
        if lines > FUNCTION_LINES_MAX
    ]
    assert not over, sources.lines(over)


def test_files_are_read_in_one_sitting() -> None:
    """No source file is longer than 500 lines."""
    suffixes = (".py", ".sql", ".proto", ".sh", ".toml", "Makefile")
    over = [
        f"{name}: {lines} lines"
        for name in sources.written()
        if name.endswith(suffixes) and name not in EXCEPTIONS
        if (lines := sources.text(name).count("\n")) > FILE_LINES_MAX
    ]
    assert not over, sources.lines(over)


def test_lines_fit_beside_each_other() -> None:
    """No line of source is wider than 100 columns; aiosql wants a query's name line whole."""
    suffixes = (".py", ".sql", ".sh", ".toml", "Makefile")
    over = [
        f"{name}:{number} {len(line)} columns"
        for name in sources.written()
        if name.endswith(suffixes) and name not in EXCEPTIONS
        for number, line in enumerate(sources.text(name).splitlines(), 1)
        if len(line) > LINE_COLUMNS_MAX and not line.startswith("-- name: ")
    ]
    assert not over, sources.lines(over)


def test_every_exception_is_still_needed() -> None:
    """What is excepted exists."""
    assert [name for name in EXCEPTIONS if name not in sources.tracked()] == []
