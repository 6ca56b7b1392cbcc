"""The SQL statement of a commit, composed of the parts that a batch needs.

A batch is committed by one statement. Its common part is `sql/commit.sql`; each further part is a
file with common table expressions (CTEs) for one kind of row. An empty part costs a small commit as
much as a used one, in the database and in the driver, so a statement has only the parts with rows.

The text is composed by two markers in `commit.sql`:

- `-- starts` ends a line with an empty CTE `started`. The part "starts" replaces that line, because
  the following CTEs read from `started`.
- `-- parts` follows the last CTE. Every other part is inserted in front of it.

A part numbers its parameters from $1. They are renumbered to follow those of the parts before it.
`tests/unit/orchestrator/storage/commit_statement.sql` holds the statement with all parts.
"""

import re
from functools import cache
from importlib.resources import files

_SQL = files("flowmesh.orchestrator.storage.sql")
_END = " -- parts\n"
_NOTHING_STARTED = "started as (select '' as id where false), -- starts\n"
PARAMETERS = 11
"""Parameters of `commit.sql`; those of the parts follow in the order of `PARTS`."""

PARTS = {
    "starts": 18,
    "metered": 7,
    "changes": 8,
    "served": 2,
    "lanes_and_values": 14,
    "payloads": 10,
    "messages": 14,
    "group_entries": 19,
    "model_usage": 11,
}
"""Parts and their numbers of parameters; each is a file in `sql/`."""


@cache
def commit_statement(parts: tuple[str, ...]) -> str:
    """Return the SQL with these parts, given in the order of `PARTS`."""
    text, before = (_SQL / "commit.sql").read_text(), PARAMETERS
    for part in parts:
        if part == "starts":
            text = text.replace(_NOTHING_STARTED, f"{_renumbered(part, before)},\n")
        else:
            text = text.replace(_END, f",\n{_renumbered(part, before)}{_END}")
        before += PARTS[part]
    return text


def _renumbered(part: str, before: int) -> str:
    """Return the SQL of a part, without comments, its parameters numbered from `before` + 1."""
    lines = (_SQL / f"{part}.sql").read_text().rstrip().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("--"))
    return re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + before}", text)
