"""Requests and responses over ASGI. Independent of workflows."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, MutableMapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from flowmesh.access.cookies import cookie_of
from flowmesh.access.principal import current
from flowmesh.errors import Invalid, Timeout, UnsupportedMediaType
from flowmesh.gateway.http.decoding import decode
from flowmesh.gateway.http.instants import instant_us
from flowmesh.gateway.http.limits import BODY_BYTES_MAX, BODY_READ_S
from flowmesh.gateway.http.parameters import Rules
from flowmesh.runtime.http.requests import Body, Receive, Scope

Headers = tuple[tuple[bytes, bytes], ...]

JSON = "application/json"
YAML_TYPES = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})
DEFINITION_TYPES = YAML_TYPES | {JSON}
_NAMESPACE = b"flowmesh-namespace"
# Headers that state the caller; others belong to one request.
_CALLER = (_NAMESPACE, b"flowmesh-actor", b"flowmesh-permissions")
_QUERY_FIELDS_MAX = 64

E_ = TypeVar("E_", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response."""

    status: int
    body: bytes = b""
    media_type: str = JSON
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class StreamResponse:
    """A streamed response; ends early if the client disconnects."""

    chunks: AsyncGenerator[bytes, None]
    media_type: str
    status: int = 200
    headers: Headers = ()


AnyResponse = Response | StreamResponse


class Head:
    """The head of a request, or of a WebSocket handshake."""

    def __init__(
        self,
        scope: Scope,
        params: Mapping[str, str],
        query: Mapping[str, list[str]] = MappingProxyType({}),
    ) -> None:
        self._scope = scope
        self._params = params
        self._query = query

    def header(self, name: bytes) -> str:
        """Return the first value of a header by its lower-case name, or an empty text."""
        for key, value in self._scope["headers"]:
            if key == name:
                return str(value, "latin-1")
        return ""

    def headers(self) -> list[tuple[str, str]]:
        """All headers, names in lower case."""
        return [
            (str(key, "latin-1"), str(value, "latin-1")) for key, value in self._scope["headers"]
        ]

    def param(self, name: str) -> str:
        """Return a path parameter."""
        return self._params[name]

    @property
    def params(self) -> Mapping[str, str]:
        """The path parameters by name."""
        return self._params

    @property
    def namespace(self) -> str:
        """The named namespace, or the only one of the caller; empty is `default`."""
        principal = current()
        return self._named() or (principal.home if principal is not None else "")

    def _named(self) -> str:
        return self.header(_NAMESPACE)

    @property
    def address(self) -> str:
        """The IP address of the client; empty if it is unknown."""
        return str((self._scope.get("client") or ("",))[0])

    @property
    def origin(self) -> str:
        """The scheme and the host by which the client reached this server, as it states them."""
        return f"{self._scope.get('scheme', 'http')}://{self.header(b'host')}"

    def cookie(self, name: str) -> str:
        """Return a cookie, or an empty text; raise Unauthenticated for an ambiguous one."""
        return cookie_of(self._scope["headers"], name)

    def check(self, rules: Rules) -> None:
        """Check the parameters of path, query and headers against the rules of the route."""
        for name, kind in rules.paths.items():
            kind.check(name, self._params[name])
        rules.check_headers(self._scope["headers"])
        if self._scope.get("query_string") or rules.required:
            self._query = rules.read(self._pairs())

    def _pairs(self) -> list[tuple[str, str]]:
        text = self._scope.get("query_string", b"").decode("latin-1")
        try:
            return parse_qsl(
                text, keep_blank_values=True, errors="strict", max_num_fields=_QUERY_FIELDS_MAX
            )
        except UnicodeDecodeError as error:
            raise Invalid("INVALID_UTF8", "The query string is not UTF-8.") from error
        except ValueError as error:
            raise Invalid(
                "REQUEST_INVALID", f"There are more than {_QUERY_FIELDS_MAX} query parameters."
            ) from error

    @property
    def raw_query(self) -> str:
        """Return the query as it came, for a signature of its text."""
        return str(self._scope.get("query_string", b""), "latin-1")

    def text(self, name: str) -> str:
        """Return the value of a query parameter, or an empty text."""
        return next(iter(self._query.get(name, ())), "")

    def texts(self, name: str) -> list[str]:
        """Return all values of a query parameter, repeated or separated by commas."""
        return self._query.get(name, [])

    def whole(self, name: str, *, default: int = 0) -> int:
        """Return an integer query parameter."""
        text = self.text(name)
        return int(text) if text else default

    def flag(self, name: str) -> bool:
        return self.text(name) in ("true", "1")

    def instant_us(self, name: str) -> int:
        """Return a time query parameter in microseconds since the epoch, or 0."""
        text = self.text(name)
        return instant_us(name, text) if text else 0


class Request(Head):
    """An HTTP request."""

    def __init__(
        self,
        scope: Scope,
        params: Mapping[str, str],
        receive: Receive,
        query: Mapping[str, list[str]] = MappingProxyType({}),
    ) -> None:
        super().__init__(scope, params, query)
        self._receive = receive
        self._body = Body(receive, scope["headers"])

    @property
    def media_type(self) -> str:
        return self.header(b"content-type").partition(";")[0].strip().lower()

    def pieces(self, bytes_max: int, reason: str) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raise `TooLarge` with `reason` above the limit."""
        return self._body.pieces(bytes_max, reason)

    async def body(self, bytes_max: int = BODY_BYTES_MAX, reason: str = "BODY_TOO_LARGE") -> bytes:
        try:
            return await self._body.read(bytes_max, BODY_READ_S, reason)
        except TimeoutError:
            text = f"The body did not arrive within {BODY_READ_S:.0f} s."
            raise Timeout("DEADLINE_EXCEEDED", text) from None

    async def definition(self) -> tuple[bytes, str]:
        """Return the bytes of a definition, and `application/json` or `application/yaml`."""
        media_type = self.media_type
        source = await self.body()
        if source and media_type not in DEFINITION_TYPES:
            raise _unsupported(media_type, "application/json or application/yaml")
        return source, "application/yaml" if media_type in YAML_TYPES else media_type

    async def envelope(self, kind: type[E_], bytes_max: int = BODY_BYTES_MAX) -> E_:
        """Decode a JSON body of the given struct."""
        raw = await self.body(bytes_max)
        # A page of a foreign origin cannot send this type without a preflight request.
        if raw and self.media_type != JSON:
            raise _unsupported(self.media_type, JSON)
        return decode(raw, kind)

    def within(self, namespace: str) -> "Request":
        """Return this request with another namespace; its body is not yet read."""
        headers = [each for each in self._scope["headers"] if each[0] != _NAMESPACE]
        scope = {**self._scope, "headers": [*headers, (_NAMESPACE, namespace.encode())]}
        return Request(scope, self._params, self._receive, self._query)

    def inner(
        self, method: str, params: Mapping[str, str], query: str, body: bytes, media_type: str
    ) -> "Request":
        """Return a request for another route, from the same caller and for its namespace."""
        headers = [each for each in self._scope["headers"] if each[0] in _CALLER]
        headers.append((b"content-type", media_type.encode()))
        scope = {**self._scope, "method": method, "headers": headers}
        sent = [{"type": "", "body": body}]

        async def receive() -> MutableMapping[str, Any]:
            return sent.pop() if sent else await self._receive()

        return Request({**scope, "query_string": query.encode()}, params, receive)

    async def gone(self) -> None:
        """Return when the client has disconnected."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _unsupported(media_type: str, wanted: str) -> UnsupportedMediaType:
    what = f"Content-Type {media_type!r} is not supported" if media_type else "No Content-Type"
    return UnsupportedMediaType("CONTENT_TYPE_UNSUPPORTED", f"{what}; send {wanted}.")
