"""Descriptions of routes: the source of both the routing and the OpenAPI document."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flowmesh.errors import FlowmeshError
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.errors import error_response
from flowmesh.gateway.http.parameters import (
    ID,
    NAMESPACE,
    PATH_KINDS,
    Kind,
    Query,
    RequestHeader,
    Rules,
)
from flowmesh.gateway.http.requests import JSON, AnyResponse, Request, Response
from flowmesh.gateway.http.sockets import Socket

EXECUTE = "Execute"
TEST = "Test"
MANAGE = "Manage"
ADMINISTER = "Administer"
HOOKS = "/api/v1/hooks/"
PATH_PARAMETER = re.compile(r"\{(\w+)\}")
# The method under which the router keeps the page of a path, beside its `GET`.
PAGE = "GET text/html"


class Endpoint(Protocol):
    """A handler of a route; its name is the operation id."""

    __name__: str

    async def __call__(self, backends: Backends, request: Request, /) -> AnyResponse: ...


class SocketEndpoint(Protocol):
    """A handler of a WebSocket; its name is the operation id."""

    __name__: str

    async def __call__(self, backends: Backends, socket: Socket, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Body:
    """A request body: a struct, or `None` for text or bytes of the named media types."""

    shape: Any
    media_types: tuple[str, ...] = (JSON,)
    required: bool = True
    description: str = ""
    # Schemas of bodies that are not envelopes, by media type.
    schemas: Mapping[str, Any] = field(default_factory=dict)
    example: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response; `shape` is `None` if it is not JSON.

    `other` is the shape that a query parameter selects instead, and `media_types` are those that
    it selects instead of the first.
    """

    status: int
    description: str
    shape: Any = None
    media_type: str = JSON
    other: Any = None
    media_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation of the OpenAPI document. `errors` are statuses beyond those of all routes."""

    tag: str
    summary: str
    answers: tuple[Answer, ...]
    description: str = ""
    # Path parameters that are neither ids nor of the usual kind of their name.
    path: Mapping[str, Kind] = field(default_factory=dict)
    query: tuple[Query, ...] = ()
    headers: tuple[RequestHeader, ...] = ()
    body: Body | None = None
    errors: tuple[int, ...] = ()
    # The shape and the media type of errors, if a standard defines others.
    error_shape: Any = None
    error_media_type: str = JSON
    # True if browsers get errors as HTML pages.
    error_pages: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path template; `{name}` matches a segment, a literal `:verb` may follow."""

    method: str
    path: str
    endpoint: Endpoint
    operation: Operation
    # The operation id of a second path of the same endpoint.
    alias: str = ""
    # Served without a credential: the request carries a token of its own, or it is documentation.
    public: bool = False
    # Served to browsers only, if the path has another answer to GET: see `PAGE`.
    page: bool = False
    # The form of errors, if a standard defines another one.
    refusal: Callable[[FlowmeshError], Response] = error_response

    @property
    def operation_id(self) -> str:
        return self.alias or _camel(self.endpoint.__name__)

    @property
    def key(self) -> str:
        """The method by which the router finds this route."""
        return PAGE if self.page else self.method

    def rules(self) -> Rules:
        """Return the rules of the parameters.

        Unknown parameters are rejected, except on step-JSON routes, whose clients are older, and
        on webhooks.
        """
        strict = self.path.startswith("/api/") and not self.path.startswith(HOOKS)
        return _rules(self.path, self.operation, strict=strict)


@dataclass(frozen=True, slots=True)
class SocketRoute:
    """A WebSocket with a path template."""

    path: str
    endpoint: SocketEndpoint
    operation: Operation

    @property
    def operation_id(self) -> str:
        return _camel(self.endpoint.__name__)

    def rules(self) -> Rules:
        return _rules(self.path, self.operation, strict=True)


def _rules(path: str, operation: Operation, *, strict: bool) -> Rules:
    return Rules(
        paths={
            name: operation.path.get(name) or PATH_KINDS.get(name, ID)
            for name in PATH_PARAMETER.findall(path)
        },
        queries={query.name: query for query in operation.query},
        headers={
            header.name.lower().encode(): header for header in (NAMESPACE, *operation.headers)
        },
        strict=strict,
        required=frozenset(query.name for query in operation.query if query.required),
    )


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
