"""The namespace of a request and of a WebSocket."""

from typing import Any

import pytest

from flowmesh.access.principal import Principal, acting_as
from flowmesh.gateway.http.parameters import Query, Rules
from flowmesh.gateway.http.requests import Request
from flowmesh.gateway.http.sockets import Socket

KEY = Principal("key_1", "key", "ci", namespaces={"own": 1})
HEADER = (b"flowmesh-namespace", b"header")


async def _never(*_: Any) -> Any:
    raise AssertionError


@pytest.mark.parametrize(
    ("headers", "query", "found"),
    [((), "", "own"), ((HEADER,), "", "header"), ((), "namespace=query", "query")],
)
def test_a_named_namespace_precedes_the_only_one_of_the_caller(
    headers: tuple[Any, ...], query: str, found: str
) -> None:
    """A foreign one is refused, not replaced."""
    scope: Any = {"headers": headers, "query_string": query.encode()}
    socket = Socket(scope, {}, _never, _never)
    socket.check(Rules(queries={"namespace": Query("namespace", "")}))
    with acting_as(KEY):
        assert socket.namespace == found
        named = "" if "query" in query else found
        assert Request(scope, {}, _never).namespace == (named or "own")
    assert Request(scope, {}, _never).namespace == ("header" if headers else "")
