"""The project and the cell that a token of an approval link or of a waiting node names.

Both tokens hold a JSON list that begins with a namespace and the id of an execution, in base64url.
Nothing is verified here: the cell that made a token checks its signature.
"""

import base64
import binascii
import re

from flowmesh.cells.numbers import cell_of

TOKEN_CHARACTERS_MAX = 8_192
_PLACE = re.compile(rb'\["([A-Za-z0-9._:-]{1,128})","(exec-[0-9a-z]{20})"')


def place_of_token(token: str) -> tuple[str, int] | None:
    """Return the namespace and the cell of the execution of a token; None for any other text."""
    if len(token) > TOKEN_CHARACTERS_MAX or not token.isascii():
        return None
    for part in token.split("."):
        try:
            data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        except (binascii.Error, ValueError):
            continue
        found = _PLACE.search(data)
        if found is None:
            continue
        cell = cell_of(found[2].decode())
        return None if cell is None else (found[1].decode(), cell)
    return None
