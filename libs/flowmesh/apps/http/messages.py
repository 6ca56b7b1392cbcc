"""Requests and answers of applications."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson

from flowmesh.apps.http.problems import HttpProblem
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError
from flowmesh.jsontext import parse_json
from flowmesh.runtime.http.requests import Receive, Scope

Headers = list[tuple[bytes, bytes]]

QUERY_FIELDS_MAX = 256
JSON_TYPE = b"application/json"
_UNPARSED: Any = object()


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Request:
    """A request. Its body has been read, except for handlers that stream."""

    method: str
    path: str
    headers: Headers
    raw_query: bytes = b""
    client: str = ""
    scheme: str = "http"
    receive: Receive | None = None
    body: bytes = b""
    params: Mapping[str, str] = field(default_factory=dict)
    # The template of the matched route.
    route: str = ""
    id: str = ""
    begun: float = 0.0
    # The claims of the caller, None without one.
    auth: dict[str, Json] | None = None
    _query: dict[str, str] | None = None
    _json: Json = _UNPARSED

    @classmethod
    def of(cls, scope: Scope, receive: Receive) -> "Request":
        """Return the request of an ASGI scope."""
        client = scope.get("client")
        raw = scope.get("raw_path") or scope["path"].encode()
        return cls(
            method=scope["method"],
            path=str(bytes(raw).partition(b"?")[0], "latin-1"),
            headers=scope["headers"],
            scheme=scope["scheme"],
            raw_query=scope.get("query_string", b""),
            client=client[0] if client else "",
            receive=receive,
        )

    def header(self, name: bytes) -> str:
        """Return the value of a header by its lower-case name; "" without one."""
        for key, value in self.headers:
            if key == name:
                return str(value, "latin-1")
        return ""

    def with_header(self, name: bytes, value: bytes) -> "Request":
        """Return a copy with a header, by its lower-case name, in place of one of this name."""
        copied = copy(self)
        copied.headers = [each for each in self.headers if each[0] != name]
        copied.headers.append((name, value))
        return copied

    @property
    def query(self) -> dict[str, str]:
        """The query; the first value of a repeated field."""
        if self._query is None:
            self._query = {}
            if self.raw_query:
                try:
                    pairs = parse_qsl(
                        str(self.raw_query, "latin-1"),
                        keep_blank_values=True,
                        max_num_fields=QUERY_FIELDS_MAX,
                    )
                except ValueError:
                    text = f"a query has at most {QUERY_FIELDS_MAX} fields"
                    raise HttpProblem(400, "REQUEST_INVALID", text) from None
                for key, value in pairs:
                    self._query.setdefault(key, value)
        return self._query

    def json(self) -> Json:
        """Return the body as JSON; None if it is empty. Raises HttpProblem."""
        if self._json is _UNPARSED:
            self._json = None
            if self.body:
                try:
                    self._json = parse_json(self.body)
                except FlowmeshError as error:
                    raise HttpProblem(400, error.reason, error.message) from None
        return self._json


class Response:
    """An answer; `stream` replaces the body if it is set."""

    __slots__ = ("body", "headers", "status", "stream")

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        content_type: bytes = JSON_TYPE,
        headers: Iterable[tuple[bytes, bytes]] = (),
        stream: AsyncIterator[bytes] | None = None,
    ) -> None:
        self.status = status
        self.body = body
        self.headers: Headers = [*headers]
        if content_type:
            self.headers.append((b"content-type", content_type))
        self.stream = stream

    def set(self, name: bytes, value: bytes) -> None:
        """Set a header in place of one of this name."""
        self.headers = [each for each in self.headers if each[0] != name]
        self.headers.append((name, value))

    def has(self, name: bytes) -> bool:
        return any(key == name for key, _ in self.headers)


Handle = Callable[[Request], "Response | Awaitable[Response]"]
"""Answers a request, at once or later."""


def json_response(
    value: Json, status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()
) -> Response:
    return Response(status, dump(value), headers=headers)


def dump(value: Json) -> bytes:
    """Write a value as JSON. Raises HttpProblem."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        from flowmesh.jsontext import dump_json

        try:
            return dump_json(value)
        except (TypeError, ValueError, OverflowError):
            text = "the answer cannot be written as JSON"
            raise HttpProblem(500, "ANSWER_INVALID", text) from None


def json_or_text(body: bytes) -> Json:
    """Return the value of a body; text that is not JSON stays text."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")


def problem_response(problem: HttpProblem, request_id: str = "") -> Response:
    """Return a problem as `application/problem+json`."""
    body = problem.document()
    if request_id:
        body["requestId"] = request_id
    return Response(
        problem.status, orjson.dumps(body), b"application/problem+json", problem.headers
    )
