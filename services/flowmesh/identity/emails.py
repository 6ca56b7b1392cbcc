"""Email addresses of users."""

import re

from flowmesh.identity.limits import EMAIL_CHARS_MAX

_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f]+@[^\s@.\x00-\x1f\x7f]+(\.[^\s@.\x00-\x1f\x7f]+)*")


def is_email(text: str) -> bool:
    """Return whether a text has the form of an email address, and its length."""
    return len(text) <= EMAIL_CHARS_MAX and _EMAIL.fullmatch(text) is not None
