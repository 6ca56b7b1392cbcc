"""Cookies of a browser's session: set at login, replaced by a refresh, cleared at logout."""

import jwt

from flowmesh.access.cookies import ACCESS_COOKIE, LOGIN_COOKIE, REFRESH_COOKIE, REFRESH_PATH
from flowmesh.gateway.http.requests import Headers

# The identity service accepts the answer of a provider for as long.
LOGIN_KEPT_S = 600
_SHARED = "HttpOnly; Secure"


def set_cookies(access: str, refresh: str, kept_s: int) -> Headers:
    """Return the headers that set both tokens.

    The access token is kept beyond its expiry, to name the session that a refresh continues.
    """
    return _cookies(access, refresh, kept_s)


def clear_cookies() -> Headers:
    """Return the headers that remove both tokens."""
    return _cookies("", "", 0)


def set_login_cookie(value: str, *, cross_site: bool = False) -> Headers:
    """Return the header that binds a login to this browser; an empty value removes it.

    `cross_site` is for an answer that a page of the provider posts here.
    """
    kept_s = LOGIN_KEPT_S if value else 0
    site = "None" if cross_site else "Lax"
    cookie = f"{LOGIN_COOKIE}={value}; Path=/; {_SHARED}; SameSite={site}; Max-Age={kept_s}"
    return ((b"set-cookie", cookie.encode()),)


def session_of(access: str) -> str:
    """Return the session that an access token names, not verified; empty if it names none."""
    try:
        return str(jwt.decode(access, options={"verify_signature": False}).get("sid", ""))
    except jwt.InvalidTokenError:
        return ""


def _cookies(access: str, refresh: str, kept_s: int) -> Headers:
    values = (
        f"{ACCESS_COOKIE}={access}; Path=/; {_SHARED}; SameSite=Lax; Max-Age={kept_s}",
        f"{REFRESH_COOKIE}={refresh}; Path={REFRESH_PATH}; {_SHARED}; SameSite=Strict;"
        f" Max-Age={kept_s}",
    )
    return tuple((b"set-cookie", value.encode()) for value in values)
