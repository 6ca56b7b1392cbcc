"""Checks of sources before they run, for early and clear errors; the wall is the process."""

import ast
from dataclasses import dataclass

SOURCE_BYTES_MAX = 256 * 1024
# Pure modules of the standard library, as the confined process has loaded them.
MODULES = frozenset(
    {
        *("abc", "base64", "binascii", "bisect", "calendar", "cmath", "collections", "copy", "csv"),
        *("dataclasses", "datetime", "decimal", "difflib", "enum", "fractions", "functools"),
        *("graphlib", "hashlib", "heapq", "hmac", "html", "ipaddress", "itertools", "json", "math"),
        *("numbers", "operator", "random", "re", "secrets", "statistics", "string", "struct"),
        *("textwrap", "time", "typing", "unicodedata", "urllib", "uuid", "zlib", "__future__"),
    }
)
_NAMES = frozenset(
    {
        *("__import__", "eval", "exec", "open", "globals", "locals", "compile", "vars", "input"),
        *("breakpoint", "memoryview", "__builtins__", "__loader__", "__spec__"),
    }
)
_URLLIB = frozenset({"urllib.parse"})


@dataclass(frozen=True, slots=True)
class Flaw:
    """A line of a source that is not accepted."""

    line: int
    message: str


def flaws_of(source: str) -> list[Flaw]:
    """Return the problem of a source."""
    if len(source.encode()) > SOURCE_BYTES_MAX:
        return [Flaw(0, f"a source has at most {SOURCE_BYTES_MAX // 1024} KiB")]
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", 0) or 0
        return [Flaw(line, f"not Python: {getattr(error, 'msg', type(error).__name__)}")]
    found: list[Flaw] = []
    for node in ast.walk(tree):
        found += _of_node(node)
    functions = {e.name: e for e in tree.body if isinstance(e, ast.FunctionDef)}
    if "execute" not in functions:
        asynchronous = any(
            isinstance(e, ast.AsyncFunctionDef) and e.name == "execute" for e in tree.body
        )
        what = "; execute must not be async" if asynchronous else ""
        found.append(Flaw(1, f"a component needs a function execute(params){what}"))
    elif len(functions["execute"].args.args) != 1:
        found.append(Flaw(functions["execute"].lineno, "execute takes one argument, params"))
    return sorted(found, key=lambda each: each.line)


def _of_node(node: ast.AST) -> list[Flaw]:
    line = getattr(node, "lineno", 0)
    if isinstance(node, ast.Import):
        return [_import(each.name, line) for each in node.names if not _allowed(each.name)]
    if isinstance(node, ast.ImportFrom):
        name = node.module or "."
        return [] if node.level == 0 and _allowed(name) else [_import(name, line)]
    if isinstance(node, ast.Name) and node.id in _NAMES:
        return [Flaw(line, f"{node.id} is not available to components")]
    if isinstance(node, ast.Attribute) and node.attr.startswith("__") and node.attr.endswith("__"):
        return [Flaw(line, f"the attribute {node.attr} is not available to components")]
    return []


def _allowed(name: str) -> bool:
    top = name.partition(".")[0]
    return top in MODULES and (top != "urllib" or name in _URLLIB)


def _import(name: str, line: int) -> Flaw:
    known = ", ".join(sorted(MODULES - {"__future__"}))
    return Flaw(line, f"the module {name} is not available to components; available are {known}")
