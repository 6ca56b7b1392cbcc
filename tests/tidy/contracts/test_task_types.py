"""The names of built-in task types stand in their records only."""

import ast
from collections.abc import Iterator
from pathlib import Path

from flowmesh.tasktypes import TASK_TYPES
from tests.tidy.sources import ROOT, written

# The records; and importers and exporters, which map types of formats one by one.
_EXCEPTED = (
    "libs/flowmesh/tasktypes/builtin/",
    "libs/flowmesh/definitions/formats/",
    "libs/flowmesh/definitions/exports/",
)
_TYPED = frozenset({"executor", "task_type"})


def test_a_name_stands_in_its_record_only() -> None:
    """A name with a dot is no other word; a plain one is a type where it is compared as one."""
    found = [
        f"{name}:{line}: {word}"
        for name in written()
        if name.startswith(("libs/", "services/", "tools/")) and name.endswith(".py")
        if not name.startswith(_EXCEPTED)
        for line, word in sorted(_names_in(ROOT / name))
    ]
    assert found == []


def _names_in(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Constant(value=str(word)) if word in TASK_TYPES and "." in word:
                yield node.lineno, word
            case ast.Compare() if _is_typed(node):
                yield from _plain_names(node)
            case ast.Call(func=ast.Name(id="Task"), args=args):
                for argument in args:
                    yield from _plain_names(argument)


def _is_typed(node: ast.Compare) -> bool:
    sides = (node.left, *node.comparators)
    return any(
        (isinstance(side, ast.Attribute) and side.attr in _TYPED)
        or (isinstance(side, ast.Name) and side.id in _TYPED)
        for side in sides
    )


def _plain_names(node: ast.AST) -> Iterator[tuple[int, str]]:
    for each in ast.walk(node):
        match each:
            case ast.Constant(value=str(name)) if name in TASK_TYPES and "." not in name:
                yield each.lineno, name
