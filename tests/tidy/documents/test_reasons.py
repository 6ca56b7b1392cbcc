"""Every reason in code and in the comments of the contracts is in the table, with its class."""

import ast
import re
from collections.abc import Iterator

import pytest

from flowmesh.errors import REASONS, FlowmeshError, Invalid, NotFound, Reason, table_of
from flowmesh.errors.explained import explanations
from tests.tidy import sources

CLASSES = {cls.__name__ for cls in FlowmeshError.__subclasses__()}
REASON = re.compile(r"[A-Z]+(?:_[A-Z0-9]+)*")
# `CODE / REASON`, `CODE / REASON | REASON` or `CODE / REASON, REASON` in a comment of an RPC.
NAMED_IN_COMMENT = re.compile(r"\b([A-Z_]{4,}) / ([A-Z][A-Z0-9_]+(?:(?: \| |, )[A-Z][A-Z0-9_]+)*)")

# Reasons that no line of the libraries and services raises by name, each with its source.
ELSEWHERE: dict[str, str] = {}


def _title(node: ast.expr) -> str:
    """The last part of a name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _trees() -> Iterator[tuple[str, ast.AST]]:
    for name in sources.python():
        if name.startswith(("libs/", "services/")):
            for node in sources.nodes(name):
                yield name, node


def _pairs() -> Iterator[tuple[str, str, str]]:
    """Places with a class of errors beside a reason: `Invalid("X", ...)` and `(Invalid, "X")`."""
    for name, node in _trees():
        if isinstance(node, ast.Call) and node.args:
            title, first = _title(node.func), node.args[0]
        elif isinstance(node, ast.Tuple) and len(node.elts) == 2:
            title, first = _title(node.elts[0]), node.elts[1]
        else:
            continue
        if title in CLASSES and isinstance(first, ast.Constant):
            yield f"{name}:{node.lineno}", title, str(first.value)


def _compared() -> Iterator[tuple[str, str]]:
    """Places that compare the reason of an error: `error.reason == "X"`, `in {"X", "Y"}`."""
    for name, node in _trees():
        if not isinstance(node, ast.Compare) or _title(node.left) != "reason":
            continue
        for part in node.comparators:
            for constant in ast.walk(part):
                if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
                    yield f"{name}:{node.lineno}", constant.value


def _commented() -> Iterator[tuple[str, str, str]]:
    """Pairs of a gRPC code and a reason in the comments of the contracts."""
    for name in sources.written():
        if not name.startswith("protos/") or not name.endswith(".proto"):
            continue
        for number, line in enumerate(sources.text(name).splitlines(), 1):
            for code, reasons in NAMED_IN_COMMENT.findall(line.partition("//")[2]):
                for reason in re.split(r" \| |, ", reasons):
                    yield f"{name}:{number}", code, reason


def test_reasons_are_raised_with_their_class() -> None:
    """`raise Invalid("X", ...)` names a reason of the table whose class is Invalid."""
    wrong = []
    for place, title, name in _pairs():
        reason = REASONS.get(name)
        if reason is None:
            wrong.append(f"{place}: {name} is not in libs/flowmesh/errors/reasons.py")
        elif reason.error.__name__ != title:
            wrong.append(f"{place}: {name} belongs to {reason.error.__name__}, not {title}")
    assert not wrong, sources.lines(wrong)


def test_compared_reasons_are_in_the_table() -> None:
    """A comparison with a misspelled reason is never true."""
    wrong = [
        f"{place}: {name} is not in libs/flowmesh/errors/reasons.py"
        for place, name in _compared()
        if REASON.fullmatch(name) and name not in REASONS
    ]
    assert not wrong, sources.lines(wrong)


def test_comments_of_contracts_agree_with_the_table() -> None:
    """`CODE / REASON` in a .proto file has the gRPC code of the reason's class."""
    found = list(_commented())
    assert len(found) > 100
    wrong = []
    for place, code, name in found:
        reason = REASONS.get(name)
        if reason is None:
            wrong.append(f"{place}: {name} is not in libs/flowmesh/errors/reasons.py")
        elif reason.error.grpc_code != code:
            wrong.append(f"{place}: {name} has the code {reason.error.grpc_code}, not {code}")
    assert not wrong, sources.lines(wrong)


def test_a_duplicate_reason_is_refused() -> None:
    """The second row would silently replace the first."""
    first, second = Reason("X", Invalid, "first"), Reason("X", NotFound, "second")
    with pytest.raises(ValueError, match="X is listed twice"):
        table_of(first, second)


def test_every_reason_is_used() -> None:
    """The table has no row that no line of code raises."""
    texts = [
        sources.text(name)
        for name in sources.written()
        if name.startswith(("libs/", "services/"))
        if name.endswith((".py", ".sql")) and not name.endswith("errors/reasons.py")
    ]
    unused = [
        name
        for name in REASONS
        if name not in ELSEWHERE
        if not any(f'"{name}"' in text or f"'{name}'" in text for text in texts)
    ]
    assert not unused, sources.lines(unused)


def test_exceptions_are_rows_of_the_table() -> None:
    """An exception for a removed reason is removed too."""
    assert [name for name in ELSEWHERE if name not in REASONS] == []


def test_every_problem_of_a_definition_has_a_page() -> None:
    """Each code that a definition can be rejected with is explained."""
    code = re.compile(r"""["']([A-Z]+(?:_[A-Z]+)+)["']""")
    used = {
        found
        for name in sources.python()
        if name.startswith(("libs/flowmesh/definitions/", "libs/flowmesh/transforms/"))
        for found in code.findall(sources.text(name))
        if found in REASONS and REASONS[found].error.__name__ in ("Invalid", "TooLarge")
    }
    missing = sorted({*used, "TASK_NOT_FOUND"} - explanations().keys())
    assert not missing, sources.lines(missing)
