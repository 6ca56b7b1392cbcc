"""Ids and short texts as they arrive in paths, headers, queries and envelopes."""

import re

from flowmesh.errors import Invalid, Violation
from flowmesh.gateway.http.limits import ID_CHARACTERS_MAX, TEXT_CHARACTERS_MAX

ID_PATTERN = f"^[A-Za-z0-9._:-]{{1,{ID_CHARACTERS_MAX}}}$"
# An optional id: empty means none.
OPTIONAL_ID_PATTERN = f"^[A-Za-z0-9._:-]{{0,{ID_CHARACTERS_MAX}}}$"
# The highest version of a definition.
VERSION_MAX = 2**32 - 1
_ID = re.compile(f"[A-Za-z0-9._:-]{{1,{ID_CHARACTERS_MAX}}}")


def invalid_field(field: str, what: str) -> Invalid:
    """Return the error for an invalid field of a request."""
    place = Violation(field, what, "REQUEST_INVALID")
    return Invalid("REQUEST_INVALID", f"{field}: {what}.", violations=(place,))


def checked_id(field: str, value: str) -> str:
    """Return a valid id. Raise `Invalid` that names the field otherwise."""
    if _ID.fullmatch(value):
        return value
    what = f"must be an id: [A-Za-z0-9._:-]{{1,{ID_CHARACTERS_MAX}}}"
    place = Violation(field, what, "ID_INVALID")
    raise Invalid("ID_INVALID", f"{field}: {what}.", violations=(place,))


def checked_optional_id(field: str, value: str) -> str:
    """Return a valid id, or an empty text."""
    return value and checked_id(field, value)


def checked_text(field: str, value: str, most: int = TEXT_CHARACTERS_MAX) -> str:
    """Return a text of limited length without NUL characters."""
    if "\x00" in value:
        what, reason = "must not hold NUL characters", "STRING_HAS_NUL"
    elif len(value) > most:
        what = f"has {len(value)} characters; at most {most} are allowed"
        reason = "REQUEST_INVALID"
    else:
        return value
    raise Invalid(reason, f"{field}: {what}.", violations=(Violation(field, what, reason),))
