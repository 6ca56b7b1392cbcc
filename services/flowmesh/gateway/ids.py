"""Ids and short texts as they arrive in paths, headers, queries and envelopes."""

import re

from flowmesh.errors import Invalid, Violation
from flowmesh.gateway.limits import ID_CHARACTERS_MAX, TEXT_CHARACTERS_MAX

ID_PATTERN = f"^[A-Za-z0-9._:-]{{1,{ID_CHARACTERS_MAX}}}$"
_ID = re.compile(f"[A-Za-z0-9._:-]{{1,{ID_CHARACTERS_MAX}}}")


def checked_id(field: str, value: str) -> str:
    """The id itself; `Invalid` that names the field for anything else."""
    if _ID.fullmatch(value):
        return value
    message = f"{field}: ids match [A-Za-z0-9._:-]{{1,{ID_CHARACTERS_MAX}}}."
    raise Invalid("ID_INVALID", message, violations=(Violation(field, message, "ID_INVALID"),))


def checked_text(field: str, value: str) -> str:
    """A text for people, bounded and without NUL."""
    if "\x00" in value:
        message = f"{field}: text must not hold NUL characters."
        reason = "STRING_HAS_NUL"
    elif len(value) > TEXT_CHARACTERS_MAX:
        message = f"{field}: {len(value)} characters; at most {TEXT_CHARACTERS_MAX} are allowed."
        reason = "REQUEST_INVALID"
    else:
        return value
    raise Invalid(reason, message, violations=(Violation(field, message, reason),))
