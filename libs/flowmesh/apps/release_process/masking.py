"""Masks for the values of variables in what an application reports."""

import json
from collections.abc import Callable, Iterable

MASK = "***"
CHARACTERS_MIN = 4
# Messages shorten what they quote: a beginning of this length is masked like the whole value.
BEGINNING = 8


def masking(values: Iterable[str]) -> Callable[[str], str]:
    """Return a function that masks these values in a text, the longest first.

    Values of fewer than 4 characters are left alone: they occur in any text.
    """
    found = {form for each in values for form in _forms(each) if len(form) >= CHARACTERS_MIN}
    ordered = sorted(found, key=len, reverse=True)

    def mask(text: str) -> str:
        for each in ordered:
            text = _masked(text, each)
        return text

    return mask


def _forms(value: str) -> set[str]:
    """Return a value as messages write it: plain, without space around it, and quoted."""
    plain = {value, value.strip()}
    return plain | {form for each in plain for form in (repr(each)[1:-1], json.dumps(each)[1:-1])}


def _masked(text: str, value: str) -> str:
    """Mask a value, and what begins like it."""
    parts, rest = [], text
    while (at := rest.find(value[:BEGINNING])) >= 0:
        parts += [rest[:at], MASK]
        rest = rest[at:]
        same = next((i for i, (a, b) in enumerate(zip(rest, value, strict=False)) if a != b), None)
        rest = rest[min(len(rest), len(value)) if same is None else same :]
    return "".join([*parts, rest])
