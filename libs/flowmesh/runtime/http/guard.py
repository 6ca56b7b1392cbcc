"""Protection of an HTTP port against web pages of other sites in the browser of a user.

A browser sends the site of a page in `Origin`, which the page cannot change, with every WebSocket,
write, and read of another site. A page that resolves its own name to this machine (DNS rebinding)
has the same origin as its requests, so host names are checked too. Other clients send no Origin
and are not affected.
"""

import ipaddress
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from urllib.parse import urlsplit

from flowmesh.errors import FlowmeshError, Forbidden
from flowmesh.jsontext.integers import is_whole
from flowmesh.runtime.settings import Settings
from flowmesh.runtime.settings.types import ANY

# Names that browsers resolve to this machine only (RFC 6761, 6.3).
LOCAL = "localhost"
# The page of a SAML provider posts its answer here. It counts only with the cookie of the browser
# that began the login, and with the state sealed in it.
_LOGIN_ANSWER = re.compile(r"/login/[^/]{1,100}/acs")
# Values of `Sec-Fetch-Site` for a page of the same origin, and for an action of the user.
_OWN_SITE = ("same-origin", "none")
Headers = Iterable[tuple[bytes, bytes]]


class HttpGuard:
    """Rejects requests by `Host` and `Origin`; without host names every Host is allowed."""

    def __init__(self, *, hosts: Collection[str] = (), origins: Collection[str] = ()) -> None:
        self._hosts = frozenset() if ANY in hosts else frozenset(map(str.lower, hosts))
        self._any_origin = ANY in origins
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    def refusal(self, headers: Headers, method: str = "", path: str = "") -> FlowmeshError | None:
        """Return the error for a request with these headers; None if it is allowed."""
        host = origin = None
        for name, value in headers:
            if name == b"host":
                host = str(value, "latin-1").lower()
            elif name == b"origin":
                origin = str(value, "latin-1").lower()
        if host and self._hosts and not self._is_known(host):
            text = f"The host name {host!r} is not one of this server's; add it to"
            return Forbidden("HOST_NOT_ALLOWED", f"{text} FLOWMESH_HTTP_HOSTS.")
        answers = method == "POST" and _LOGIN_ANSWER.fullmatch(path)
        if origin is not None and not answers and not self._is_own(origin, host):
            text = f"Pages of {origin!r} may not use this server; add it to"
            return Forbidden("ORIGIN_NOT_ALLOWED", f"{text} FLOWMESH_HTTP_ORIGINS.")
        return None

    def trusts(self, headers: Headers) -> bool:
        """Return whether the page behind a request may use the cookies of its user.

        Its origin is this server's own or listed by name; `*` lists none by name.
        """
        stated = {name: str(value, "latin-1").lower() for name, value in headers}
        origin = stated.get(b"origin")
        if origin is None:
            return stated.get(b"sec-fetch-site") in _OWN_SITE
        return _has_host(origin, stated.get(b"host")) or origin in self._origins

    def _is_known(self, host: str) -> bool:
        name = _without_port(host)
        if name in self._hosts or name == LOCAL or name.endswith(f".{LOCAL}"):
            return True
        # An IP address is not resolved, so the request does not come from DNS rebinding.
        with suppress(ValueError):
            ipaddress.ip_address(name.strip("[]"))
            return True
        return False

    def _is_own(self, origin: str, host: str | None) -> bool:
        return _has_host(origin, host) or self._any_origin or origin in self._origins


def guard_of(settings: Settings) -> HttpGuard:
    """Return the guard of the settings; it always allows the public URL and the own address."""
    public = urlsplit(settings.public_url)
    origins = [*settings.allowed_origins, *settings.cors_allowed_origins]
    hosts = [*settings.allowed_hosts]
    if public.hostname:
        origins.append(f"{public.scheme}://{public.netloc}")
    if hosts:
        hosts += [settings.host, *([public.hostname] if public.hostname else [])]
    return HttpGuard(hosts=hosts, origins=origins)


def _has_host(origin: str, host: str | None) -> bool:
    scheme, _, authority = origin.partition("://")
    # Without the scheme: a proxy may terminate TLS.
    return authority == host and scheme in ("http", "https")


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and is_whole(port) and not name.endswith(":") else host
