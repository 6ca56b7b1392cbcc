"""Texts with fields: `Dear ${name}, you owe ${order.total}`.

`${ }` holds a field path, `${}` the element itself; `$${` writes `${`. Missing and null values
write nothing. Templates of workflows (`{{ }}`) are a different language and rendered before.
"""

import re
from collections.abc import Callable

from flowmesh.contract.json_value import Json
from flowmesh.transforms.values import TextMeter, reader, text_of

_PART = re.compile(r"\$\$\{|\$\{([^}]*)\}|\$\{")

Write = Callable[[Json, TextMeter], str]


def compile_text(text: str) -> Write:
    """Return a writer of the text for an element. Raises ValueError."""
    parts: list[str | Callable[[Json], Json]] = []
    end = 0
    for found in _PART.finditer(text):
        parts.append(text[end : found.start()])
        end = found.end()
        if found.group() == "$${":
            parts.append("${")
        elif found.group(1) is None:
            raise ValueError(f"the ${{ at offset {found.start()} is not closed")
        else:
            parts.append(reader(found.group(1).strip() or None))
    parts.append(text[end:])

    def write(element: Json, meter: TextMeter) -> str:
        written = "".join(
            part if isinstance(part, str) else text_of(part(element)) for part in parts
        )
        meter.spend(len(written))
        return written

    return write
