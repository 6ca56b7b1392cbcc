"""The client: a pool of checked connections, and explicit redirects.

It ignores proxies and netrc of the environment. It decompresses responses itself, to count their
size, instead of the HTTP library.
"""

import asyncio
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from flowmesh.contract.hosts import host_problem
from flowmesh.egress.bodies import ACCEPT_ENCODING, RESPONSE_BYTES_MAX, read_body
from flowmesh.egress.connector import IDLE_CONNECTION_SECONDS, CheckedResolver, http_session
from flowmesh.egress.errors import (
    Interrupted,
    RequestInvalid,
    TimedOut,
    TooManyRedirects,
    Unreachable,
)
from flowmesh.egress.headers import HEADER_BYTES_MAX, across_hosts, check_headers
from flowmesh.egress.policy import Policy

REDIRECTS_MAX = 3
URL_CHARACTERS_MAX = 8 * 1024
CALLS_MAX = 256
# Idle connections to other hosts must not block a call.
CONNECTIONS_PER_CALL = 2

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response. Header names are lower case; repeated headers are comma-joined."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: URL
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The connections of a client: in all, to one host, and their times."""

    connections_max: int = CONNECTIONS_PER_CALL * CALLS_MAX
    host_connections_max: int = CALLS_MAX
    idle_s: float = IDLE_CONNECTION_SECONDS
    # The time to connect, TLS included; 0 for that of the request.
    connect_s: float = 0.0

    @classmethod
    def of_calls(cls, calls_max: int) -> "Pool":
        """Return the pool of so many calls to one host at once."""
        most = CONNECTIONS_PER_CALL * calls_max
        return cls(connections_max=most, host_connections_max=calls_max)


class Egress:
    """Sends requests of users within one policy. An async context manager."""

    def __init__(
        self,
        policy: Policy,
        resolver: AbstractResolver | None = None,
        *,
        pool: Pool | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`resolver` resolves host names; by default the resolver of the system.

        Calls beyond the connections of the pool wait. `tls` has the authorities of servers, if
        they are not those of the system.
        """
        self._policy = policy
        self._pool = pool or Pool()
        self._resolver = resolver
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Egress":
        self._session = http_session(
            self._policy,
            connections_max=self._pool.connections_max,
            host_connections_max=self._pool.host_connections_max,
            idle_s=self._pool.idle_s,
            resolver=self._resolver,
            tls=self._tls,
            max_field_size=HEADER_BYTES_MAX,
            max_line_size=HEADER_BYTES_MAX,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_ms: int,
        redirects_max: int = REDIRECTS_MAX,
        response_bytes_max: int = RESPONSE_BYTES_MAX,
    ) -> Response:
        """Send a request and return the response with any status, within `timeout_ms` in all.

        Raises the errors of `flowmesh.egress.errors`. At most `redirects_max` redirects are
        followed; with 0 the redirect itself is returned.
        """
        check_headers(headers)
        request = _Request(check_method(method), check_url(url), _with_defaults(headers), body)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await self._follow(request, redirects_max, response_bytes_max)
        except TimeoutError:
            raise TimedOut(f"no complete answer within {timeout_ms} ms") from None

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Return the numeric addresses of a host for calls other than HTTP; all are admitted.

        Raises EgressBlocked and Unreachable.
        """
        resolver = CheckedResolver(self._policy, self._resolver)
        try:
            found = await resolver.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"the host name {host} cannot be resolved") from error
        if not found:
            raise Unreachable(f"the host name {host} cannot be resolved")
        return tuple(str(each["host"]) for each in found)

    async def _follow(self, request: _Request, redirects_max: int, bytes_max: int) -> Response:
        for _ in range(redirects_max + 1):
            response = await self._exchange(request, bytes_max)
            location = response.headers.get("location")
            if redirects_max == 0 or response.status not in _REDIRECTS or not location:
                return response
            request = _redirected(request, response.status, location)
        raise TooManyRedirects(f"more than {redirects_max} redirects")

    async def _exchange(self, request: _Request, bytes_max: int) -> Response:
        if self._session is None:
            raise RuntimeError("Egress must be used inside its `async with` block")
        try:
            async with self._session.request(
                request.method,
                request.url,
                headers=request.headers,
                data=request.body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self._pool.connect_s or None
                ),
            ) as answer:
                encoding = answer.headers.get("Content-Encoding", "")
                # HEAD and 304 can have a Content-Encoding without a body.
                plain = request.method == "HEAD" or answer.status in (204, 304)
                body = await read_body(
                    answer.content.iter_any(), "" if plain else encoding, bytes_max
                )
                return Response(answer.status, _headers_of(answer), body, str(request.url))
        except (aiohttp.ClientConnectorError, ssl.SSLError) as error:
            raise Unreachable(_connect_message(request.url, error)) from error
        except aiohttp.InvalidURL as error:
            raise RequestInvalid("the url cannot be called") from error
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise Interrupted("the connection broke before the answer was complete") from error


def check_method(method: str) -> str:
    """Return the method in capitals. Raises RequestInvalid."""
    if method.upper() not in METHODS:
        raise RequestInvalid(f"method {method[:32]!r} is none of {', '.join(sorted(METHODS))}")
    return method.upper()


def check_url(text: str) -> URL:
    """Parse and check a URL. Raises RequestInvalid."""
    if len(text) > URL_CHARACTERS_MAX:
        raise RequestInvalid(f"urls are limited to {URL_CHARACTERS_MAX} characters")
    if any(ord(character) < 0x20 or character == "\x7f" for character in text):
        raise RequestInvalid("the url holds control characters")
    try:
        url = URL(text.strip())
        host, port = url.raw_host, url.port
    except ValueError:
        message = "the url cannot be parsed; it needs a host, and a port from 1 to 65535 if any"
        raise RequestInvalid(message) from None
    if url.scheme not in ("http", "https"):
        raise RequestInvalid("the url must begin with http:// or https://")
    if not host or "%" in host or port == 0:
        raise RequestInvalid("the url has no valid host and port")
    if problem := host_problem(host):
        raise RequestInvalid(f"the url has no valid host: {problem}")
    return url


def check_server(text: str) -> URL:
    """Parse and check the URL of a server that an administrator names. Raises RequestInvalid."""
    url = check_url(text)
    if url.user or url.password:
        raise RequestInvalid("it names a user; credentials are in files")
    if url.scheme == "http" and not _is_here(url.host or ""):
        raise RequestInvalid("plain http is for servers of this machine only; use https")
    return url


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _with_defaults(headers: Mapping[str, str]) -> dict[str, str]:
    given = {name.lower() for name in headers}
    defaults = {"User-Agent": "flowmesh", "Accept": "*/*", "Accept-Encoding": ACCEPT_ENCODING}
    return {
        **{name: value for name, value in defaults.items() if name.lower() not in given},
        **headers,
    }


def _redirected(request: _Request, status: int, location: str) -> _Request:
    """Return the redirected request; 303, and 301 or 302 after a POST, become GET."""
    try:
        target = request.url.join(URL(location))
    except ValueError:
        raise RequestInvalid("the redirect's location cannot be parsed") from None
    target = check_url(str(target))
    headers = request.headers
    if target.origin() != request.url.origin():
        headers = across_hosts(headers)
    becomes_get = status == 303 or (status in (301, 302) and request.method == "POST")
    if becomes_get and request.method != "HEAD":
        bodyless = {n: v for n, v in headers.items() if n.lower() != "content-type"}
        return _Request("GET", target, bodyless, None)
    return _Request(request.method, target, headers, request.body)


def _headers_of(answer: aiohttp.ClientResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in answer.headers.items():
        lower = name.lower()
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    return headers


def _connect_message(url: URL, error: BaseException) -> str:
    """Return a message with the host as written, without resolved addresses."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the host name {url.raw_host} cannot be resolved"
    if isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):
        return f"no TLS connection to {url.raw_host} could be made"
    return f"{url.raw_host} refused the connection or cannot be reached"
