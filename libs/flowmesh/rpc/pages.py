"""Page tokens: opaque to callers, and bound to a list and its filter."""

import base64
import binascii
import hashlib
from typing import Any

import orjson

from flowmesh.errors import Invalid, Violation
from flowmesh.rpc.limits import PAGE_TOKEN_CHARACTERS_MAX
from flowmesh.rpc.requests import namespace_of

# The fields that may differ between pages.
_OF_A_PAGE = ("page_size", "page_token", "with_nodes", "with_search")


def list_key(request: Any) -> str:
    """Return the key of the requested list: the common fields of all requests for its pages.

    Raises ID_INVALID for an invalid namespace.
    """
    same = type(request)()
    same.CopyFrom(request)
    if "namespace" in same.DESCRIPTOR.fields_by_name:
        same.namespace = namespace_of(request)
    for name in _OF_A_PAGE:
        if name in same.DESCRIPTOR.fields_by_name:
            same.ClearField(name)
    return f"{same.DESCRIPTOR.name}/{same.SerializeToString(deterministic=True).hex()}"


def page_token(list_name: str, last: str) -> str:
    """Return the token of the page after `last`."""
    body = orjson.dumps([last, _mark(list_name, last)])
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def last_of_token(token: str, list_name: str) -> str:
    """Return the last entry before the page; "" for the first. Raises PAGE_TOKEN_INVALID."""
    if not token:
        return ""
    if len(token) <= PAGE_TOKEN_CHARACTERS_MAX:
        try:
            last, mark = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        except (binascii.Error, ValueError, TypeError):
            last, mark = None, None
        if isinstance(last, str) and mark == _mark(list_name, last):
            return last
    raise invalid_page_token()


def invalid_page_token() -> Invalid:
    message = "page_token is not from this list with this filter; omit it for the first page"
    return Invalid(
        "PAGE_TOKEN_INVALID",
        message,
        violations=(Violation("page_token", message, "PAGE_TOKEN_INVALID"),),
    )


def _mark(list_name: str, last: str) -> str:
    """Return a checksum that detects tokens of other lists; it is not a signature."""
    return hashlib.sha256(f"{list_name}\0{last}".encode()).hexdigest()[:16]
