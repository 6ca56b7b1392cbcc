"""Parsing and checks of SQL statements of users, which contain names of values, never values.

The text for the server is generated from the checked statement.
"""

from flowmesh.sql.statement import (
    KINDS,
    STATEMENT_CHARACTERS_MAX,
    Dialect,
    SqlForbidden,
    Statement,
    parse_statement,
    read_statement,
)

__all__ = [
    "KINDS",
    "STATEMENT_CHARACTERS_MAX",
    "Dialect",
    "SqlForbidden",
    "Statement",
    "parse_statement",
    "read_statement",
]
