"""What a route says of itself: the source of both the routing and the OpenAPI document."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.parameters import (
    ID,
    NAMESPACE,
    PATH_KINDS,
    Kind,
    Query,
    RequestHeader,
    Rules,
)
from flowmesh.gateway.http.requests import JSON, AnyResponse, Request
from flowmesh.gateway.http.sockets import Socket

EXECUTE = "Execute"
TEST = "Test"
MANAGE = "Manage"
HOOKS = "/api/v1/hooks/"
PATH_PARAMETER = re.compile(r"\{(\w+)\}")


class Endpoint(Protocol):
    """A function of a routes module; its name is the operation's id."""

    __name__: str

    async def __call__(self, backends: Backends, request: Request, /) -> AnyResponse: ...


class SocketEndpoint(Protocol):
    """The same for a WebSocket."""

    __name__: str

    async def __call__(self, backends: Backends, socket: Socket, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Body:
    """A request body: a struct, or `None` for text or bytes of the named media types."""

    shape: Any
    media_types: tuple[str, ...] = (JSON,)
    required: bool = True
    description: str = ""
    # Of bodies that are no envelopes, by media type.
    schemas: Mapping[str, Any] = field(default_factory=dict)
    example: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no error; `shape` is `None` where it is not JSON.

    `other` is the shape that a query parameter asks for in its place, `media_types` are those it
    asks for in place of the first.
    """

    status: int
    description: str
    shape: Any = None
    media_type: str = JSON
    other: Any = None
    media_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation as the OpenAPI document shows it. `errors` are statuses beside 4xx of all."""

    tag: str
    summary: str
    answers: tuple[Answer, ...]
    description: str = ""
    # Parameters of the path that are neither ids nor what is usual under their name.
    path: Mapping[str, Kind] = field(default_factory=dict)
    query: tuple[Query, ...] = ()
    headers: tuple[RequestHeader, ...] = ()
    body: Body | None = None
    errors: tuple[int, ...] = ()
    # Whether a browser gets its errors as pages.
    error_pages: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path template; `{name}` takes one segment, a literal `:verb` may follow."""

    method: str
    path: str
    endpoint: Endpoint
    operation: Operation
    # Where two paths lead to one endpoint.
    alias: str = ""
    # Served without a credential: the request carries a token of its own, or it is documentation.
    public: bool = False

    @property
    def operation_id(self) -> str:
        return self.alias or _camel(self.endpoint.__name__)

    def rules(self) -> Rules:
        """Clients of the step-JSON routes came before us, and callers of webhooks ask as they like;
        elsewhere a misspelled parameter is refused."""
        strict = self.path.startswith("/api/") and not self.path.startswith(HOOKS)
        return _rules(self.path, self.operation, strict=strict)


@dataclass(frozen=True, slots=True)
class SocketRoute:
    """A WebSocket under a path template."""

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
