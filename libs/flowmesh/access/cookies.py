"""Cookies that hold the tokens of a browser's session.

`__Host-` and `__Secure-` cookies are set by a secure origin only, and the former by this host
alone; a page of a sibling domain can add cookies of another kind. A name that arrives twice is
therefore ambiguous and refused.
"""

from collections.abc import Iterable

from flowmesh.errors import Unauthenticated

ACCESS_COOKIE = "__Host-flowmesh-access"
# Limited to a path, which `__Host-` does not permit.
REFRESH_COOKIE = "__Secure-flowmesh-refresh"
REFRESH_PATH = "/api/v1/auth/refresh"

# Binds a login at an identity provider to the browser that began it.
LOGIN_COOKIE = "__Host-flowmesh-login"

Headers = Iterable[tuple[bytes, bytes]]


def cookie_of(headers: Headers, name: str) -> str:
    """Return the value of a cookie; empty if there is none.

    Raise CREDENTIALS_INVALID if the request has several of the name.
    """
    found = [
        value
        for header, text in headers
        if header == b"cookie"
        for key, _, value in (part.strip().partition("=") for part in _parts(text))
        if key == name
    ]
    if len(found) > 1:
        text = f"the request has {len(found)} cookies `{name}`; delete them and log in again"
        raise Unauthenticated("CREDENTIALS_INVALID", text)
    return found[0] if found else ""


def _parts(header: bytes) -> list[str]:
    return str(header, "latin-1").split(";")
