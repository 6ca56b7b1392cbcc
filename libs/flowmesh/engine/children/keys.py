"""Keys of waits, and names that templates give to child executions."""

from __future__ import annotations

import msgspec

KEY_CHARACTERS_MAX = 256
"""Characters of the key of a wait."""


def key_of(given: object) -> str | None:
    """Return a rendered value as a key or name; None for an unsuitable value."""
    if isinstance(given, bool) or not isinstance(given, str | int):
        return None
    key = str(given)
    return key if key_fits(key) else None


def no_key(what: str, given: object) -> str:
    expected = f"expected a text of 1 to {KEY_CHARACTERS_MAX} characters or an integer"
    return f"{what}: {expected}, got {short(given)}"


def key_fits(key: str) -> bool:
    """Return whether a text can be the key of a wait."""
    return 0 < len(key) <= KEY_CHARACTERS_MAX and key.isprintable()


def short(value: object) -> str:
    """Return a value as JSON of at most 64 characters, for messages."""
    return msgspec.json.encode(value).decode()[:64]
