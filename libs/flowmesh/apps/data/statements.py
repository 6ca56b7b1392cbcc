"""SQL statements of applications: checked when the application is loaded, values as parameters."""

import logging
import re
from dataclasses import dataclass
from typing import Literal

from flowmesh.errors import Invalid

Dialect = Literal["sqlite", "postgres"]

CHARACTERS_MAX = 64 * 1024
_MESSAGE_CHARACTERS_MAX = 160
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
        raise _forbidden(f"a statement has at most {CHARACTERS_MAX} characters")
    if TEMPLATE in text:
        raise _forbidden(
            "a statement holds no templates; write ? or $1 and give the value in params"
        )
    if "\0" in text:
        raise _forbidden("a statement holds no NUL character")
    written, count = _numbered(text, dialect)
    kinds = _kinds(_MARKED.sub("?", written) if dialect == "sqlite" else written, dialect)
    reads = not kinds & _WRITES
    return Statement(written, count, reads, reads or " returning " in f" {text.lower()} ")


def own_statement(text: str, dialect: Dialect) -> Statement:
    """Return a statement of this library, which needs no check."""
    written, count = _numbered(text, dialect)
    reads = text.startswith("SELECT")
    return Statement(written, count, reads, reads)


def _forbidden(message: str) -> Invalid:
    return Invalid("SQL_FORBIDDEN", message)


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
    import sqlglot
    from sqlglot import errors, exp

    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    try:
        found = [each for each in sqlglot.parse(text, dialect=dialect) if each is not None]
    except (errors.SqlglotError, RecursionError) as error:
        first = str(error).partition("\n")[0].replace("\x1b[4m", "").replace("\x1b[0m", "")
        raise _forbidden(f"not SQL: {first[:_MESSAGE_CHARACTERS_MAX]}") from None
    trees = [each for each in found if each.key != "semicolon"]
    if len(trees) != 1:
        raise _forbidden(f"a step runs one statement, not {len(trees)}")
    tree = trees[0]
    allowed = exp.Insert | exp.Update | exp.Delete | exp.Select | exp.SetOperation
    if not isinstance(tree, allowed):
        text = "a step runs SELECT, INSERT, UPDATE or DELETE"
        raise _forbidden(f"{text}, not {tree.key.upper()}; migrations create tables")
    changes = exp.Insert | exp.Update | exp.Delete
    return frozenset({tree.key} | {node.key for node in tree.walk() if isinstance(node, changes)})
