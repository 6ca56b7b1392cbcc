"""Bad requests get the documented JSON error, never an internal one."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from flowmesh.errors import Invalid
from flowmesh.gateway.http import requests as messages
from flowmesh.gateway.http.operation_docs import Route, SocketRoute
from flowmesh.gateway.http.parameters import TEXT, Rules
from flowmesh.gateway.routes import ROUTES, SOCKETS
from tests.integration.gateway.conftest import Rest

JSON = {"Content-Type": "application/json"}
UNKNOWN = "unknown member; known are workflowId, context, requestId, version, labels"
MIB = 1024 * 1024


async def refused(rest: Rest, method: str, path: str, **options: Any) -> dict[str, Any]:
    """Return the error of a rejected request; check the status."""
    async with rest.http.request(method, rest.url + path, **options) as response:
        assert response.headers["Content-Type"] == "application/json"
        error: dict[str, Any] = (await response.json())["error"]
        assert response.status == error["code"]
        assert set(error) == {"code", "reason", "message", "details"}
        rest.description.check(method, path, response.status, {"error": error})
        return error


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/workflows/", "//workflows", "/api/v1", "/api/v1/executions/x:explode/y"],
)
async def test_unknown_paths_are_404(rest: Rest, path: str) -> None:
    """An unknown path returns a JSON error."""
    error = await refused(rest, "GET", path)
    assert (error["code"], error["reason"]) == (404, "ROUTE_NOT_FOUND")


async def test_sockets_without_an_upgrade_are_426(rest: Rest) -> None:
    """A WebSocket path says so to a plain GET."""
    for path in ("/api/v1/events/ws", "/api/v1/executions/exec-1/events/ws"):
        async with rest.http.get(rest.url + path) as response:
            error = (await response.json())["error"]
            assert (response.status, error["reason"]) == (426, "UPGRADE_REQUIRED")
            assert response.headers["Upgrade"] == "websocket"


async def test_other_methods_are_405(rest: Rest) -> None:
    """The error lists the allowed methods."""
    error = await refused(rest, "PATCH", "/workflows")
    assert (error["code"], error["reason"]) == (405, "METHOD_NOT_ALLOWED")
    error = await refused(rest, "GET", "/api/v1/executions/exec-1:cancel")
    assert error["code"] == 405
    async with rest.http.delete(rest.url + "/executions/start") as response:
        assert response.headers["Allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"workflowId": "a"', "JSON_INVALID"),
        (b'{"workflowId": "a", "workflowId": "b"}', "JSON_INVALID"),
        (b'{"workflowId": "a", "context": {"x": NaN}}', "JSON_INVALID"),
        (b'{"workflowId": "a", "context": {"x": 1e999}}', "JSON_INVALID"),
        (b'{"workflowId": "a", "context": {"x": ' + b"9" * 10_000 + b"}}", "JSON_INVALID"),
        (b'{"workflowId": "a", "context": {"x": "\xff"}}', "INVALID_UTF8"),
        (b'{"workflowId": "a", "context": {"x": "\\ud800"}}', "INVALID_UTF8"),
        (b"[" * 100_000, "NESTING_TOO_DEEP"),
        (b'{"context":' * 65 + b"1" + b"}" * 65, "NESTING_TOO_DEEP"),
        (b"[]", "REQUEST_INVALID"),
        (b"", "REQUEST_INVALID"),
        (b'{"workflowId": 1}', "REQUEST_INVALID"),
        (b'{"workflowId": "a", "context": []}', "REQUEST_INVALID"),
        (b'{"workflowId": "a", "colour": "red"}', "REQUEST_INVALID"),
        (b'{"workflowId": "a b"}', "ID_INVALID"),
        (b'{"workflowId": ""}', "ID_INVALID"),
        (b'{"workflowId": "' + b"x" * 129 + b'"}', "ID_INVALID"),
        (b'{"workflowId": "a", "context": {"$payload": 1}}', "REQUEST_INVALID"),
    ],
)
async def test_bad_bodies_are_400(rest: Rest, body: bytes, reason: str) -> None:
    """An invalid body starts nothing."""
    error = await refused(rest, "POST", "/executions/start", data=body, headers=JSON)
    assert (error["code"], error["reason"]) == (400, reason)
    assert rest.executions.starts == []


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"colour": "red", "workflowId": "a"}, "colour", UNKNOWN),
        ({}, "workflowId", "required member is missing"),
        ({"workflowId": "a", "context": "x"}, "context", "expected object, got string"),
        ({"workflowId": "a", "requestId": 7}, "requestId", "expected string, got integer"),
    ],
)
async def test_the_field_is_named(rest: Rest, body: Any, field: str, says: str) -> None:
    """The error names the member and the problem."""
    error = await refused(rest, "POST", "/executions/start", json=body)
    assert error["details"][0]["field"] == field
    assert error["details"][0]["description"] == says


async def test_the_place_of_a_syntax_error_is_reported(rest: Rest) -> None:
    """Line and column count from 1."""
    body = '{\n  "workflowId" "a"}'
    error = await refused(rest, "POST", "/executions/start", data=body, headers=JSON)
    assert (error["details"][0]["line"], error["details"][0]["column"]) == (2, 16)


async def test_other_content_types_are_415(rest: Rest) -> None:
    """The default type of curl is rejected only if there is a body."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for path in ("/executions/start", "/workflows", "/api/v1/workflows:validate"):
        for options in ({"headers": form}, {"skip_auto_headers": ["Content-Type"]}):
            error = await refused(rest, "POST", path, data=b"{}", **options)
            assert (error["code"], error["reason"]) == (415, "CONTENT_TYPE_UNSUPPORTED")
    gzip = JSON | {"Content-Encoding": "gzip"}
    error = await refused(rest, "POST", "/executions/start", data=b"{}", headers=gzip)
    assert error["code"] == 415
    await rest.register("slow")
    path = f"/executions/{await rest.start('slow')}/cancel"
    assert (await rest.call("POST", path, headers=form))[0] == 202


async def test_bodies_above_8_mib_are_413(rest: Rest) -> None:
    """Counted while reading, also without a declared length."""
    body = json.dumps({"id": "a", "x": "x" * 8 * MIB}).encode()
    error = await refused(rest, "POST", "/workflows", data=body, headers=JSON)
    assert (error["code"], error["reason"]) == (413, "BODY_TOO_LARGE")

    async def pieces() -> Any:
        for start in range(0, len(body), MIB):
            yield body[start : start + MIB]

    error = await refused(rest, "POST", "/workflows", data=pieces(), headers=JSON)
    assert (error["code"], error["reason"]) == (413, "BODY_TOO_LARGE")
    assert rest.definitions.requests == []


async def test_a_slow_body_is_aborted(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow sender cannot hold a request open."""
    monkeypatch.setattr(messages, "BODY_READ_S", 0.1)
    answered = asyncio.Event()

    async def pieces() -> Any:
        yield b"{"
        await answered.wait()

    try:
        error = await refused(rest, "POST", "/workflows", data=pieces(), headers=JSON)
    finally:
        answered.set()
    assert (error["code"], error["reason"]) == (504, "DEADLINE_EXCEEDED")
    assert rest.definitions.requests == []


async def test_payloads_above_64_mib_are_413_and_not_stored(rest: Rest) -> None:
    """A partial payload is never stored."""

    async def pieces() -> Any:
        for _ in range(65):
            yield b"x" * MIB

    error = await refused(rest, "PUT", "/api/v1/payloads", data=pieces())
    assert (error["code"], error["reason"]) == (413, "PAYLOAD_TOO_LARGE")
    await rest.payloads.cancelled.wait()
    assert rest.payloads.stored == {}


@pytest.mark.parametrize(
    "path",
    [
        "/workflows/%2e%2e%2fetc",
        "/workflows/a%20b",
        "/workflows/%ff",
        "/executions/a%00",
        "/executions/" + "x" * 129,
        "/api/v1/tasks/%E2%82%AC",
        "/api/v1/payloads/short",
    ],
)
async def test_bad_ids_in_paths_are_400(rest: Rest, path: str) -> None:
    """An id in a path is decoded and then checked against the pattern."""
    async with rest.http.get(_raw(rest.url + path)) as response:
        answer = await response.json()
    assert (response.status, answer["error"]["reason"]) == (400, "ID_INVALID")


def _raw(url: str) -> Any:
    from yarl import URL

    return URL(url, encoded=True)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/executions?status=happy", "FILTER_INVALID"),
        ("/api/v1/services?status=happy", "FILTER_INVALID"),
        ("/executions?pageSize=many", "REQUEST_INVALID"),
        ("/executions?pageSize=1001", "REQUEST_INVALID"),
        ("/executions?workflowId=a%20b", "ID_INVALID"),
        ("/executions?pageToken=%00", "STRING_HAS_NUL"),
        ("/api/v1/executions?worflow=a", "REQUEST_INVALID"),
        ("/api/v1/executions?startedAfter=yesterday", "REQUEST_INVALID"),
        ("/api/v1/executions?startedAfter=2026-01-01T00:00:00", "REQUEST_INVALID"),
        ("/api/v1/workflows/a/versions/0", "REQUEST_INVALID"),
    ],
)
async def test_bad_queries_are_400(rest: Rest, path: str, reason: str) -> None:
    """An invalid filter is rejected, not ignored."""
    error = await refused(rest, "GET", path)
    assert (error["code"], error["reason"]) == (400, reason)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/executions?workflowId=a&workflowId=b", "workflowId"),
        ("/workflows?pageSize=1&pageSize=1", "pageSize"),
        ("/api/v1/executions?filter=a&status=failed&filter=", "filter"),
        ("/api/v1/executions?workflow=a&workflowId=b", "workflowId"),
        ("/api/v1/events?after=a&cursor=b", "cursor"),
        ("/api/v1/services?name=a&name=b", "name"),
        ("/api/v1/workflows:validate?strict=true&strict=false", "strict"),
    ],
)
async def test_a_repeated_query_parameter_is_refused(rest: Rest, path: str, field: str) -> None:
    """A repeated single-valued parameter is rejected by name, also in step JSON."""
    method = "POST" if ":validate" in path else "GET"
    error = await refused(rest, method, path)
    assert (error["code"], error["reason"]) == (400, "REQUEST_INVALID")
    assert error["details"][0]["field"] == field
    assert "more than once" in error["message"]


def test_only_lists_of_the_query_may_be_repeated() -> None:
    """For each route, exactly the list parameters of the OpenAPI document."""
    routes: tuple[Route | SocketRoute, ...] = (*ROUTES, *SOCKETS)
    for route in routes:
        for query in route.operation.query:
            rules = Rules(queries={query.name: replace(query, kind=TEXT)})
            twice = [(query.name, "a")] * 2
            if query.repeated:
                rules.read(twice)
            else:
                with pytest.raises(Invalid, match="more than once"):
                    rules.read(twice)


async def test_bad_namespaces_are_400(rest: Rest) -> None:
    """The namespace header is checked against the pattern of ids."""
    headers = {"Flowmesh-Namespace": "a b"}
    error = await refused(rest, "GET", "/workflows", headers=headers)
    assert (error["code"], error["reason"]) == (400, "ID_INVALID")


@pytest.mark.parametrize("timeout_ms", [0, -1, 30_001, 10**30, 1.5, "1", True])
async def test_the_time_to_wait_is_bounded(rest: Rest, timeout_ms: Any) -> None:
    """The waiting time is from 1 ms to 30 s, as an integer."""
    body = {"timeoutMs": timeout_ms}
    error = await refused(rest, "POST", "/workflows/a/execute", json=body)
    assert (error["code"], error["details"][0]["field"]) == (400, "timeoutMs")


async def test_problems_of_a_definition_keep_their_place(rest: Rest) -> None:
    """Path, code, line and column of a problem reach the client."""
    error = await refused(rest, "POST", "/workflows", json={"problem": True})
    assert error["reason"] == "GRAPH_CYCLE"
    assert error["details"] == [
        {
            "field": "steps[0].dependencies",
            "description": "Circular dependency: a → b → a",
            "code": "GRAPH_CYCLE",
            "line": 3,
            "column": 7,
        }
    ]


async def test_unavailable_and_overloaded_services_send_retry_after(rest: Rest) -> None:
    """503 and 429 have Retry-After in whole seconds."""
    async with rest.http.post(rest.url + "/workflows", json={"id": "away"}) as response:
        assert response.status == 503
        assert int(response.headers["Retry-After"]) >= 1
    body = {"workflowId": "busy"}
    async with rest.http.post(rest.url + "/executions/start", json=body) as response:
        assert response.status == 429
        assert response.headers["Retry-After"] == "2"


async def test_an_internal_error_reveals_no_details(rest: Rest) -> None:
    """The text of an exception never leaves the process."""
    error = await refused(rest, "POST", "/workflows", json={"id": "broken"})
    assert (error["code"], error["reason"]) == (500, "INTERNAL")
    assert "secret" not in error["message"]


async def test_a_disconnect_within_a_body_has_no_effect(rest: Rest) -> None:
    """A partial body is never used, and other requests are served."""
    host, port = rest.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = "PUT /api/v1/payloads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf"
    writer.write(head.encode())
    await writer.drain()
    writer.close()
    await rest.payloads.cancelled.wait()
    assert rest.payloads.stored == {}
    assert (await rest.call("GET", "/workflows"))[0] == 200
