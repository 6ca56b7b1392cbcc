"""The OpenAPI 3.1 document, generated from the routes and their structs."""

from typing import Any

import msgspec

from flowmesh.access.cookies import ACCESS_COOKIE
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.http.operation_docs import (
    ADMINISTER,
    EXECUTE,
    MANAGE,
    TEST,
    Answer,
    Body,
    Operation,
)
from flowmesh.gateway.http.parameters import Kind, Query, Rules
from flowmesh.gateway.http.probes import PROBES
from flowmesh.gateway.http.requests import JSON
from flowmesh.gateway.http.streams import EVENT_STREAM
from flowmesh.gateway.routes import ROUTES, SOCKETS
from flowmesh.telemetry.export import VERSION

_TAGS = {
    EXECUTE: "Start, await and control executions.",
    TEST: "Check definitions, inspect executions, watch events.",
    MANAGE: "Manage workflows, tasks, services and stored values.",
    ADMINISTER: "Log in; administer tenants, users, roles and API keys.",
}
_ERRORS = {
    400: "The request is malformed or invalid; `details` names the fields.",
    401: "The credential, password or signature is missing or invalid.",
    403: "Not permitted, or sent by a web page of a foreign origin.",
    404: "Not found.",
    405: "The path does not support this method; see the `Allow` header.",
    409: "A conflict with the current state, a version or the request id.",
    410: "The cursor or the link has expired.",
    413: "Over a size limit, which the message names.",
    415: "The content type is not supported.",
    426: "The path is a WebSocket endpoint; send an upgrade request.",
    429: "Too many requests; retry after `Retry-After`.",
    500: "An internal error; the log of the service has the details.",
    503: "A service is unavailable or draining; retry after `Retry-After`.",
    504: "A service did not respond in time.",
}
# Errors of all routes, of routes that name an object, and of routes with a body.
_ALWAYS = (400, 401, 403, 429, 500, 503, 504)
_NAMED = (404,)
_WITH_BODY = (413, 415)
_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token or an API key. An open installation needs none.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": ACCESS_COOKIE,
        "description": "The access token of a browser that logged in with `cookie`.",
    },
}
# `{}` means none.
_SECURITY: list[dict[str, list[str]]] = [{}, {"bearer": []}, {"cookie": []}]
HTML = "text/html"
_REFERENCE = "#/components/schemas/{name}"
# The schema of bodies of other media types than JSON: text or bytes.
_ANY_SCHEMA: dict[str, Any] = {}


def document() -> dict[str, Any]:
    """Return the document, which is the same for every process of a version."""
    operations = [route.operation for route in ROUTES] + [each.operation for each in SOCKETS]
    shapes = _shapes(operations)
    schemas, components = msgspec.json.schema_components(shapes, ref_template=_REFERENCE)
    by_shape = dict(zip(shapes, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        methods = paths.setdefault(route.path, {})
        if route.page and "get" in methods:
            _add_page(methods["get"])
            continue
        described = _operation(route.operation, route.rules(), route.operation_id, by_shape)
        methods[route.method.lower()] = described
    for socket in SOCKETS:
        described = _operation(socket.operation, socket.rules(), socket.operation_id, by_shape)
        described["responses"] |= _errors([426], socket.operation, by_shape)
        paths.setdefault(socket.path, {})["get"] = described
    for path, operation in PROBES.items():
        paths[path] = {"get": _operation(operation, Rules(), path.removeprefix("/"), by_shape)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Flowmesh",
            "version": VERSION,
            "description": "Durable workflow orchestration over HTTP.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "security": _SECURITY,
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY_SCHEMES},
    }


def _add_page(described: dict[str, Any]) -> None:
    """Add the page that browsers get instead of the answer."""
    found = described["responses"].setdefault("200", {"description": "The page."})
    found.setdefault("content", {})[HTML] = {"schema": _ANY_SCHEMA}


def _shapes(operations: list[Operation]) -> list[Any]:
    shapes: dict[Any, None] = {answers.ErrorAnswer: None, answers.StateErrorAnswer: None}
    for operation in operations:
        for answer in operation.answers:
            shapes |= dict.fromkeys(each for each in (answer.shape, answer.other) if each)
        if operation.error_shape is not None:
            shapes[operation.error_shape] = None
        if operation.body is not None and operation.body.shape is not None:
            shapes[operation.body.shape] = None
    return list(shapes)


def _operation(
    operation: Operation, rules: Rules, operation_id: str, by_shape: dict[Any, dict[str, Any]]
) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation_id,
        "tags": [operation.tag],
        "summary": operation.summary,
    }
    if operation.description:
        described["description"] = operation.description
    described["parameters"] = _parameters(operation, rules)
    if operation.body is not None:
        described["requestBody"] = _body(operation.body, by_shape)
    described["responses"] = _responses(operation, rules, by_shape)
    return described


def _body(body: Body, by_shape: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, dict[str, Any]] = {}
    for kind in body.media_types:
        schema = body.schemas.get(kind, _ANY_SCHEMA)
        content[kind] = {"schema": schema if body.shape is None else by_shape[body.shape]}
    if body.example is not None:
        content[JSON]["example"] = body.example
    return {
        "required": body.required,
        "description": body.description or "The request body.",
        "content": content,
    }


def _parameters(operation: Operation, rules: Rules) -> list[dict[str, Any]]:
    named = [
        _parameter(name, "path", kind) | {"required": True} for name, kind in rules.paths.items()
    ]
    headers = [
        _parameter(header.name, "header", header.kind) | {"description": header.description}
        for header in rules.headers.values()
    ]
    return [*named, *map(_query, operation.query), *headers]


def _parameter(name: str, place: str, kind: Kind) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": dict(kind.schema)}


def _query(query: Query) -> dict[str, Any]:
    described = _parameter(query.name, "query", query.kind)
    described["description"] = query.description
    if query.required:
        described["required"] = True
    if query.repeated:
        described["schema"] = {"type": "array", "items": described["schema"]}
        described |= {"style": "form", "explode": True}
    return described


def _responses(
    operation: Operation, rules: Rules, by_shape: dict[Any, dict[str, Any]]
) -> dict[str, Any]:
    responses = {str(answer.status): _answer(answer, by_shape) for answer in operation.answers}
    statuses = {*_ALWAYS, *operation.errors}
    statuses |= {*_NAMED} if rules.paths else set()
    statuses |= {*_WITH_BODY} if operation.body is not None else set()
    return _errors(sorted(statuses), operation, by_shape) | responses


def _errors(
    statuses: list[int], operation: Operation, by_shape: dict[Any, dict[str, Any]]
) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status in statuses:
        usual = answers.StateErrorAnswer if status == 409 else answers.ErrorAnswer
        shape = operation.error_shape or usual
        content = {operation.error_media_type: {"schema": by_shape[shape]}}
        if operation.error_pages:
            content[HTML] = {"schema": _ANY_SCHEMA}
        responses[str(status)] = {"description": _ERRORS[status], "content": content}
        if status in (429, 503):
            responses[str(status)]["headers"] = {
                "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
            }
    return responses


def _answer(answer: Answer, by_shape: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.other is not None:
        either = [by_shape[answer.shape], by_shape[answer.other]]
        described["content"] = {answer.media_type: {"schema": {"anyOf": either}}}
    elif answer.media_type == EVENT_STREAM:
        described["content"] = {EVENT_STREAM: {"schema": _stream(by_shape[answer.shape])}}
    elif answer.shape is not None:
        described["content"] = {answer.media_type: {"schema": by_shape[answer.shape]}}
    elif answer.media_types or answer.media_type != JSON:
        kinds = answer.media_types or (answer.media_type,)
        described["content"] = {kind: {"schema": _ANY_SCHEMA} for kind in kinds}
    return described


def _stream(event: dict[str, Any]) -> dict[str, Any]:
    """The fields of each Server-Sent Event."""
    data = {"type": "string", "contentMediaType": JSON, "contentSchema": event}
    fields = {"id": {"type": "string"}, "event": {"type": "string"}, "data": data}
    return {"type": "object", "properties": fields}
