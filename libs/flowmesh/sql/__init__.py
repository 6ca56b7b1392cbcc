"""SQL that users wrote: one statement, parsed and judged, with names for values and never values.

What is judged is what is sent: the text for the server is written from the parsed statement.
"""

from flowmesh.sql.statement import (
    KINDS,
    STATEMENT_CHARACTERS_MAX,
    Dialect,
    SqlForbidden,
    Statement,
    read_statement,
)

__all__ = [
    "KINDS",
    "STATEMENT_CHARACTERS_MAX",
    "Dialect",
    "SqlForbidden",
    "Statement",
    "read_statement",
]
