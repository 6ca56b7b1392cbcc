"""Page tokens and the filter of lists. Tokens are opaque to callers and bound to their list."""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, field

import orjson

from flowmesh.definition import limits
from flowmesh.errors import Invalid, Violation


def page_size(asked: int) -> int:
    return min(asked or limits.PAGE_SIZE_DEFAULT, limits.PAGE_SIZE_MAX)


def page_token(list_name: str, last: str) -> str:
    """The token of the page behind `last`."""
    body = orjson.dumps([last, _mark(list_name, last)])
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def last_of(token: str, list_name: str) -> str:
    """What the page behind the token follows; empty for the first. Raises PAGE_TOKEN_INVALID."""
    if not token:
        return ""
    if len(token) <= limits.PAGE_TOKEN_CHARACTERS_MAX:
        try:
            body = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            last, mark = orjson.loads(body)
        except (binascii.Error, ValueError, TypeError):
            last, mark = None, None
        if isinstance(last, str) and mark == _mark(list_name, last):
            return last
    message = "page_token is not one this list gave out; leave it empty for the first page"
    raise Invalid(
        "PAGE_TOKEN_INVALID",
        message,
        violations=(Violation("page_token", message, "PAGE_TOKEN_INVALID"),),
    )


def _mark(list_name: str, last: str) -> str:
    """Finds tokens of other lists out; it is no secret."""
    return hashlib.sha256(f"{list_name}\0{last}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Filter:
    """Terms that all hold; empty ones hold for everything."""

    id_exact: str = ""
    id_prefix: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def labels_json(self) -> str:
        return json.dumps(self.labels)


def parse_filter(text: str) -> Filter:
    """Reads `id:name`, `id:prefix*` and `label.key=value`, joined by spaces.

    Raises FILTER_INVALID naming the term that does not follow the grammar.
    """
    terms = text.split()
    if len(text) > limits.FILTER_CHARACTERS_MAX or len(terms) > limits.FILTER_TERMS_MAX:
        raise _refused(f"a filter has at most {limits.FILTER_TERMS_MAX} terms")
    exact = prefix = ""
    labels: dict[str, str] = {}
    for term in terms:
        key, equals, value = term.partition("=")
        if term.startswith("id:") and term[3:]:
            if exact or prefix:
                raise _refused("a filter has at most one id: term")
            if "*" in term[:-1]:
                raise _refused(f"{term[:64]!r}: * stands at the end of an id only")
            exact, prefix = ("", term[3:-1]) if term.endswith("*") else (term[3:], "")
        elif key.startswith("label.") and key[6:] and equals:
            labels[key[6:]] = value
        else:
            raise _refused(f"{term[:64]!r} is none of id:name, id:prefix*, label.key=value")
    if "\0" in text:
        raise _refused("a filter holds no NUL")
    return Filter(exact, prefix, labels)


def _refused(message: str) -> Invalid:
    return Invalid(
        "FILTER_INVALID", message, violations=(Violation("filter", message, "FILTER_INVALID"),)
    )
