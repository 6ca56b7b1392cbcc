"""SQL statements of applications: checked when the application is loaded, values as parameters."""

import re
from dataclasses import dataclass

from flowmesh.sql import Dialect, SqlForbidden, parse_statement

CHARACTERS_MAX = 64 * 1024
TEMPLATE = "{{"
_WRITES = frozenset({"insert", "update", "delete", "merge"})
# Strings, quoted names, comments, and parameters outside of them.
_TOKEN = re.compile(
    r"""(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/)"""
    r"""|(?P<mark>\?(?P<place>\d+)?)|\$(?P<number>\d+)""",
    re.DOTALL,
)


# The parser of SQLite does not know numbers behind the sign of a parameter.
_MARKED = re.compile(r"\?\d+")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement for the server, with numbered parameters in its dialect."""

    text: str
    parameters: int
    reads: bool
    returns: bool


def prepared(text: str, dialect: Dialect) -> Statement:
    """Check a statement of a step. Raises Invalid unless it is one SELECT or one change."""
    if len(text) > CHARACTERS_MAX:
        raise SqlForbidden(f"a statement has at most {CHARACTERS_MAX} characters")
    if TEMPLATE in text:
        raise SqlForbidden(
            "a statement holds no templates; write ? or $1 and give the value in params"
        )
    if "\0" in text:
        raise SqlForbidden("a statement holds no NUL character")
    written, count = _numbered(text, dialect)
    kinds = _kinds(_MARKED.sub("?", written) if dialect == "sqlite" else written, dialect)
    reads = not kinds & _WRITES
    return Statement(written, count, reads, reads or " returning " in f" {text.lower()} ")


def own_statement(text: str, dialect: Dialect) -> Statement:
    """Return a statement of this library, which needs no check."""
    written, count = _numbered(text, dialect)
    reads = text.startswith("SELECT")
    return Statement(written, count, reads, reads)


def _numbered(text: str, dialect: Dialect) -> tuple[str, int]:
    """Return the statement with parameters of its dialect, and their number."""
    sign = "?" if dialect == "sqlite" else "$"
    highest = marks = 0

    def numbered(found: re.Match[str]) -> str:
        nonlocal highest, marks
        if found["text"] is not None:
            return found.group()
        if found["number"] is not None:
            number = int(found["number"])
        elif found["place"] is not None:
            number = int(found["place"])
        else:
            marks += 1
            number = marks
        highest = max(highest, number)
        return f"{sign}{number}"

    return _TOKEN.sub(numbered, text), highest


def _kinds(text: str, dialect: Dialect) -> frozenset[str]:
    tree = parse_statement(text, dialect)
    from sqlglot import exp

    allowed = exp.Insert | exp.Update | exp.Delete | exp.Select | exp.SetOperation
    if not isinstance(tree, allowed):
        text = "a step runs SELECT, INSERT, UPDATE or DELETE"
        raise SqlForbidden(f"{text}, not {tree.key.upper()}; migrations create tables")
    changes = exp.Insert | exp.Update | exp.Delete
    return frozenset({tree.key} | {node.key for node in tree.walk() if isinstance(node, changes)})
