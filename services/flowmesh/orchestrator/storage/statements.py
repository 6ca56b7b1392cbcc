"""The statement of a commit, made of the parts that its batch needs.

A part in which nothing is costs a small commit as much as one that is used, in the database and in
the driver: most batches have none.
"""

import re
from functools import cache
from importlib.resources import files

_SQL = files("flowmesh.orchestrator.storage.sql")
_END = " -- parts\n"
_NOTHING_STARTED = "started as (select '' as id where false), -- starts\n"
PARAMETERS = 11
"""Of what every commit does; those of its parts follow in the order of `PARTS`."""

PARTS = {
    "starts": 18,
    "changes": 8,
    "served": 2,
    "finding": 14,
    "payloads": 10,
    "messages": 14,
    "starting": 19,
}
"""Parts with the number of their parameters, each the name of a file in `sql/`."""


@cache
def commit_statement(parts: tuple[str, ...]) -> str:
    """The text of the statement with these parts, given in the order of `PARTS`."""
    text, before = (_SQL / "commit.sql").read_text(), PARAMETERS
    for part in parts:
        if part == "starts":
            text = text.replace(_NOTHING_STARTED, f"{_shifted(part, before)},\n")
        else:
            text = text.replace(_END, f",\n{_shifted(part, before)}{_END}")
        before += PARTS[part]
    return text


def _shifted(part: str, before: int) -> str:
    """A part with its parameters counted on."""
    lines = (_SQL / f"{part}.sql").read_text().rstrip().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("--"))
    return re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + before}", text)
