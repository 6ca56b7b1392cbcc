"""Sizes of classes: a class that grows is split by composition."""

import ast

from tests.tidy import sources

METHODS_MAX = 25

# Classes with more methods, by name, with the reason. The list only shrinks.
EXCEPTIONS: dict[str, str] = {}


def _classes() -> dict[str, int]:
    """The number of methods of each large class of the libraries and the services."""
    return {
        node.name: methods
        for name in sources.python()
        if name.startswith(("libs/", "services/"))
        for node in sources.nodes(name)
        if isinstance(node, ast.ClassDef)
        if (methods := _methods(node)) > METHODS_MAX
    }


def _methods(node: ast.ClassDef) -> int:
    """The names of the functions: the overloads of a method are one."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return len({member.name for member in node.body if isinstance(member, functions)})


def test_classes_have_few_methods() -> None:
    """No class has more than 25 methods, except for those listed."""
    over = [
        f"{name}: {methods} methods"
        for name, methods in _classes().items()
        if name not in EXCEPTIONS
    ]
    assert not over, sources.lines(over)


def test_every_listed_class_is_still_large() -> None:
    """A class within the limit is removed from the list of exceptions."""
    within = [f"remove {name} from EXCEPTIONS" for name in EXCEPTIONS if name not in _classes()]
    assert not within, sources.lines(within)
