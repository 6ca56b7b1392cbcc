"""Rules of our own for dangers that the rules of bandit do not know.

Semgrep would need its engine, which every developer installs, for what the parser of Python
gives: these rules are a walk over the syntax tree, as those of `tests/tidy` are. A call out beside
the egress policy is found there, by `tests/tidy/contracts/test_raw_clients.py`.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tools.scans.findings import ROOT, Finding, Result

FOLDERS: Final = ("libs", "services", "plugins")
# Methods of drivers whose first argument is a statement.
STATEMENTS: Final = frozenset(
    {"execute", "executemany", "executescript", "fetch", "fetchrow", "fetchval"}
)
LOADERS: Final = frozenset({"pickle", "marshal", "shelve", "dill", "cloudpickle"})
SECRET: Final = ("secret", "signature", "password", "hmac", "token_hash", "api_key")
READS: Final = frozenset({"load", "loads", "open", "Unpickler"})


def scan(root: Path = ROOT, folders: tuple[str, ...] = FOLDERS) -> Result:
    """Judge each Python file of these folders."""
    files = [each for folder in folders for each in sorted((root / folder).rglob("*.py"))]
    findings = {
        Finding("rules", file.relative_to(root).as_posix(), problem)
        for file in files
        for problem in problems(file.read_text())
    }
    return Result("rules", len(files), sorted(findings, key=str))


def problems(text: str) -> Iterator[str]:
    """Yield the dangers in the text of a module, with the function that each is in."""
    yield from _problems(ast.parse(text), "module")


def _problems(node: ast.AST, function: str) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        function = node.name
    for name, found in RULES.get(type(node), {}).items():
        if found(node):
            yield f"{name} in {function}"
    for child in ast.iter_child_nodes(node):
        yield from _problems(child, function)


def _last(call: ast.Call) -> str:
    """Return the last word of the name that is called."""
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _shell(call: ast.Call) -> bool:
    return _last(call) in {"create_subprocess_shell", "subprocess_shell"}


def _code(call: ast.Call) -> bool:
    built_in = isinstance(call.func, ast.Name)
    return built_in and _last(call) in {"eval", "exec", "compile", "__import__"}


def _objects(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(value=ast.Name(id="yaml"), attr=method):
            unsafe = method in {"load", "load_all", "unsafe_load", "full_load"}
            return unsafe and "SafeLoader" not in ast.unparse(call)
        case ast.Attribute(value=ast.Name(id=module), attr=method):
            return module in LOADERS and method in READS
    return False


def _statement(call: ast.Call) -> bool:
    """Return whether a statement of SQL is put together where it is run."""
    if _last(call) not in STATEMENTS or not call.args:
        return False
    match call.args[0]:
        case ast.JoinedStr(values=values):
            return any(isinstance(each, ast.FormattedValue) for each in values)
        case ast.BinOp(op=ast.Add() | ast.Mod()):
            return True
        case ast.Call(func=ast.Attribute(attr="format")):
            return True
    return False


def _unverified(call: ast.Call) -> bool:
    """Return whether a token is read without its algorithms, or without its signature."""
    if _last(call) != "decode" or ast.unparse(call.func) != "jwt.decode":
        return False
    return "verify_signature" in ast.unparse(call) or not any(
        each.arg in {"algorithms", None} for each in call.keywords
    )


def _certificates(assigned: ast.Assign) -> bool:
    match assigned:
        case ast.Assign(targets=[ast.Attribute(attr=name)], value=value):
            return (name, ast.unparse(value)) in {
                ("check_hostname", "False"),
                ("verify_mode", "ssl.CERT_NONE"),
            }
    return False


def _compared(compared: ast.Compare) -> bool:
    """Return whether two secrets are compared in a time that depends on them."""
    if not isinstance(compared.ops[0], ast.Eq | ast.NotEq):
        return False
    sides = (compared.left, compared.comparators[0])
    names = [ast.unparse(each).rpartition(".")[2] for each in sides]
    return all(any(word in name for word in SECRET) for name in names)


# The rules by the kind of node that they judge.
RULES: Final[dict[type[ast.AST], dict[str, Callable[..., bool]]]] = {
    ast.Call: {
        "shell": _shell,
        "code from text": _code,
        "objects from bytes": _objects,
        "built SQL": _statement,
        "token not verified": _unverified,
    },
    ast.Assign: {"certificate not verified": _certificates},
    ast.Compare: {"secrets compared by ==": _compared},
}
