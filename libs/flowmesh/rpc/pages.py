"""Page tokens: opaque to callers, and bound to the list that gave them out and to its filter."""

import base64
import binascii
import hashlib
from typing import Any

import orjson

from flowmesh.errors import Invalid, Violation
from flowmesh.rpc.limits import PAGE_TOKEN_CHARACTERS_MAX
from flowmesh.rpc.requests import namespace_of

# What may differ from page to page: how long one is, and how much it shows.
_OF_A_PAGE = ("page_size", "page_token", "with_nodes")


def list_key(request: Any) -> str:
    """The name of the list that a request is for: what all requests for its pages have in common.

    Raises ID_INVALID where its namespace is none.
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
    """The token of the page behind `last`."""
    body = orjson.dumps([last, _mark(list_name, last)])
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def last_of_token(token: str, list_name: str) -> str:
    """What the page behind the token follows; empty for the first. Raises PAGE_TOKEN_INVALID."""
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
    message = (
        "page_token is not one that this list gave out with this filter; "
        "leave it empty for the first page"
    )
    return Invalid(
        "PAGE_TOKEN_INVALID",
        message,
        violations=(Violation("page_token", message, "PAGE_TOKEN_INVALID"),),
    )


def _mark(list_name: str, last: str) -> str:
    """Finds tokens of other lists out; it is no secret."""
    return hashlib.sha256(f"{list_name}\0{last}".encode()).hexdigest()[:16]
