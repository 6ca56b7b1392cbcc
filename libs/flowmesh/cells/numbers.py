"""Numbers of cells, and the cell that an id names.

The two last digits of an execution id have room for 1,024 partitions; cell k has 64 k to 64 k + 63.
Ids of bulk operations have the same form, and a task token begins with the id of its execution.
"""

import re

CELLS_MAX = 16
CONTROL_CELL = 0
"""The cell that keeps the directory, and the home of projects that it does not name."""

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_ID = re.compile(f"(?:exec|bulk)-[{_DIGITS}]{{18}}([{_DIGITS}])[{_DIGITS}](?![{_DIGITS}])")


def cell_of(text: str) -> int | None:
    """Return the cell of the first id in a text, such as a path or a token; None without one."""
    found = _ID.search(text)
    return None if found is None else _DIGITS.index(found[1]) >> 1
