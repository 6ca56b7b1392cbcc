"""Analysis of a statement: its kinds, tables, functions and parameters.

The parser is sqlglot, imported at the first statement. Comments are removed. Statements that the
parser does not understand completely are rejected.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from flowmesh.errors import Invalid

if TYPE_CHECKING:
    from sqlglot import exp

Dialect = Literal["postgres", "sqlite"]
Kind = Literal["select", "insert", "update", "delete"]
KINDS: tuple[Kind, ...] = ("select", "insert", "update", "delete")

STATEMENT_CHARACTERS_MAX = 16 * 1024
_MESSAGE_CHARACTERS_MAX = 200
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")


class SqlForbidden(Invalid):
    """The statement is not allowed. The message is for its author."""

    def __init__(self, message: str) -> None:
        super().__init__("SQL_FORBIDDEN", message)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement for the server. `parameters` are in the order of `$1`, `$2`, …

    Tables are in lower case unless quoted; functions are those outside the SQL standard, in lower
    case.
    """

    text: str
    parameters: tuple[str, ...]
    kinds: frozenset[str]
    tables: frozenset[str]
    functions: frozenset[str]

    @property
    def reads_only(self) -> bool:
        return self.kinds == {"select"}


def read_statement(
    text: str, dialect: Dialect, identifiers: Mapping[str, str] | None = None
) -> Statement:
    """Return the statement, with the `:name` of each of `identifiers` replaced.

    Raises SqlForbidden unless it is one SELECT, INSERT, UPDATE or DELETE.
    """
    if len(text) > STATEMENT_CHARACTERS_MAX:
        raise SqlForbidden(f"a statement must have at most {STATEMENT_CHARACTERS_MAX} characters")
    if "\0" in text:
        raise SqlForbidden("a statement must not contain a NUL character")
    try:
        tree = parse_statement(text, dialect)
        for name, identifier in (identifiers or {}).items():
            _replace_name(tree, name, identifier)
        kinds = _kinds(tree)
        tables = frozenset(_tables(tree, frozenset(), dialect))
        functions = frozenset(_functions(tree))
        parameters = _number_parameters(tree, dialect)
        written = _generate(tree, dialect)
    except RecursionError:
        raise SqlForbidden("the statement is nested too deeply") from None
    return Statement(written, parameters, kinds, tables, functions)


def parse_statement(text: str, dialect: Dialect) -> "exp.Expr":
    """Return the tree of one statement. Raises SqlForbidden."""
    import sqlglot
    from sqlglot import errors

    # It warns of unparsed commands, which are rejected below.
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    try:
        found = [each for each in sqlglot.parse(text, dialect=dialect) if each is not None]
    except (errors.SqlglotError, RecursionError) as error:
        first = str(error).partition("\n")[0].replace("\x1b[4m", "").replace("\x1b[0m", "")
        raise SqlForbidden(f"not SQL: {first[:_MESSAGE_CHARACTERS_MAX]}") from None
    statements = [each for each in found if each.key != "semicolon"]
    if len(statements) != 1:
        raise SqlForbidden(f"there must be one statement, not {len(statements)}")
    return statements[0]


def _replace_name(tree: "exp.Expr", name: str, identifier: str) -> None:
    from sqlglot import exp

    if not _NAME.match(identifier):
        raise SqlForbidden(f"{identifier[:64]!r} is not a name of a column or table")
    found = False
    for placeholder in list(tree.find_all(exp.Placeholder)):
        if placeholder.name == name:
            column = exp.column(exp.to_identifier(identifier, quoted=True))
            placeholder.replace(column)
            found = True
    if not found:
        raise SqlForbidden(f"the statement has no :{name} for the identifier")


def _kinds(tree: "exp.Expr") -> frozenset[str]:
    """Return the kinds in the statement; a lock of rows counts as an update."""
    from sqlglot import exp

    writing = {exp.Insert: "insert", exp.Update: "update", exp.Delete: "delete"}
    root = next((kind for type_, kind in writing.items() if isinstance(tree, type_)), "")
    if not root and not isinstance(tree, exp.Select | exp.SetOperation):
        message = "only SELECT, INSERT, UPDATE and DELETE are allowed"
        raise SqlForbidden(f"{message}, not {tree.key.upper()}")
    kinds = {root or "select"}
    for node in tree.walk():
        kinds.update(kind for type_, kind in writing.items() if isinstance(node, type_))
        writes_on_conflict = isinstance(node, exp.OnConflict) and node.args.get("expressions")
        if isinstance(node, exp.Lock) or writes_on_conflict:
            kinds.add("update")
        elif isinstance(node, exp.Insert) and node.args.get("alternative"):
            kinds.add("delete")  # of conflicting rows
        elif isinstance(node, exp.Query) and node is not tree:
            kinds.add("select")
        elif isinstance(
            node, exp.Into | exp.Create | exp.Command | exp.Merge | exp.Copy | exp.Pragma
        ):
            raise SqlForbidden(f"{node.key.upper()} is not allowed")
    return frozenset(kinds)


def _tables(node: "exp.Expr", visible: frozenset[str], dialect: Dialect) -> Iterator[str]:
    """Yield the tables of a part of the statement, without the names of its WITH clause."""
    from sqlglot import exp

    if isinstance(node, exp.Table):
        name = _table_name(node, dialect)
        if name and ("." in name or name not in visible):
            yield name
    clause = node.args.get("with_")
    if isinstance(clause, exp.With):
        named = [_plain(each.args["alias"].this, dialect) for each in clause.expressions]
        # Without RECURSIVE, only the earlier names are visible.
        for index, each in enumerate(clause.expressions):
            seen = named if clause.recursive else named[:index]
            yield from _tables(each.this, visible | set(seen), dialect)
        visible = visible | set(named)
    for child in node.iter_expressions():
        if child is not clause:
            # The target of a write is always a table, even if WITH defines the same name.
            target = child is node.this and isinstance(node, exp.Insert | exp.Update | exp.Delete)
            yield from _tables(child, frozenset() if target else visible, dialect)


def _table_name(table: "exp.Table", dialect: Dialect) -> str:
    """Return `name` or `schema.name`; "" for a function used as a table."""
    from sqlglot import exp

    if not isinstance(table.this, exp.Identifier):
        if isinstance(table.this, exp.Func | exp.Anonymous):
            return ""
        raise SqlForbidden("a table name of this form cannot be checked")
    parts = (table.args.get("catalog"), table.args.get("db"), table.this)
    return ".".join(_plain(part, dialect) for part in parts if part is not None)


def _plain(identifier: "exp.Expr", dialect: Dialect) -> str:
    folds = dialect == "sqlite" or not identifier.args.get("quoted")
    return identifier.name.lower() if folds else identifier.name


def _functions(tree: "exp.Expr") -> Iterator[str]:
    """Yield the functions that the parser does not know as standard SQL."""
    from sqlglot import exp

    for found in tree.find_all(exp.Anonymous, exp.AnonymousAggFunc):
        yield str(found.name or found.this).lower()


def _number_parameters(tree: "exp.Expr", dialect: Dialect) -> tuple[str, ...]:
    """Replace the names by `$1`, `$2` for PostgreSQL; SQLite supports names."""
    from sqlglot import exp

    names: dict[str, int] = {}
    found = list(tree.find_all(exp.Placeholder, exp.Parameter, exp.SessionParameter))
    for each in found:
        if type(each) is not exp.Placeholder or not _NAME.match(each.name):
            raise SqlForbidden("write values as :name, and pass them as parameters")
    for each in found:
        number = names.setdefault(each.name, len(names) + 1)
        if dialect == "postgres":
            each.replace(exp.Parameter(this=exp.Literal.number(number)))
    return tuple(names)


def _generate(tree: "exp.Expr", dialect: Dialect) -> str:
    """Return the text of the statement; raise SqlForbidden if it does not parse to itself."""
    from sqlglot import errors

    try:
        written = tree.sql(dialect=dialect, comments=False)
        again = parse_statement(written, dialect).sql(dialect=dialect, comments=False)
    except (errors.SqlglotError, ValueError):
        again = written = ""
    if not written or again != written:
        raise SqlForbidden("the statement cannot be parsed unambiguously; simplify it")
    return written
