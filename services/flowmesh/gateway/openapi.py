"""The OpenAPI 3.1 document, made of the routes that are served and the structs they name."""

from typing import Any

import msgspec

from flowmesh.gateway import answers
from flowmesh.gateway.messages import JSON
from flowmesh.gateway.operations import EXECUTE, MANAGE, TEST, Answer, Operation
from flowmesh.gateway.parameters import ID, Kind, Query, Rules
from flowmesh.gateway.probes import PROBES
from flowmesh.gateway.routes import ROUTES, SOCKETS

# Of the contract, not of the software behind it.
API_VERSION = "1.0.0"
_TAGS = {
    EXECUTE: "Start executions, wait for them, change their course.",
    TEST: "Check definitions, look at executions, watch what happens.",
    MANAGE: "Workflows, tasks, services, stored values.",
}
_ERRORS = {
    400: "Malformed or invalid; `details` says where.",
    401: "Not signed as it must be.",
    403: "Not allowed.",
    404: "Not found.",
    405: "The path is not served for this method; `Allow` lists those it is.",
    409: "The state, a version or the request id does not fit.",
    410: "The cursor is no longer held, or the link has expired.",
    413: "Too large; the message names the limit.",
    415: "The content type is not accepted here.",
    429: "Too much at once; come back after `Retry-After`.",
    500: "A fault of ours; the log has it.",
    503: "A server is away or draining; come back after `Retry-After`.",
    504: "The services did not answer in time.",
}
# What any call may meet.
_ALWAYS = (400, 429, 500, 503, 504)
_NAMESPACE = {
    "name": "Flowmesh-Namespace",
    "in": "header",
    "description": "The namespace; `default` without one.",
    "schema": ID.schema,
}
_REFERENCE = "#/components/schemas/{name}"
# JSON routes that speak of other media types describe their bodies as text or bytes.
_ANY_SCHEMA: dict[str, Any] = {}


def document() -> dict[str, Any]:
    """The whole document, the same for every process of a version."""
    operations = [route.operation for route in ROUTES] + [each.operation for each in SOCKETS]
    shapes = _shapes(operations)
    schemas, components = msgspec.json.schema_components(shapes, ref_template=_REFERENCE)
    by_shape = dict(zip(shapes, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        described = _operation(route.operation, route.rules(), route.operation_id, by_shape)
        paths.setdefault(route.path, {})[route.method.lower()] = described
    for socket in SOCKETS:
        described = _operation(socket.operation, socket.rules(), socket.operation_id, by_shape)
        paths.setdefault(socket.path, {})["get"] = described
    for path, operation in PROBES.items():
        paths[path] = {"get": _operation(operation, Rules(), path.removeprefix("/"), by_shape)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Flowmesh",
            "version": API_VERSION,
            "description": "Durable workflow orchestration over HTTP.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {"schemas": components},
    }


def _shapes(operations: list[Operation]) -> list[Any]:
    shapes: dict[Any, None] = {answers.ErrorAnswer: None, answers.StateErrorAnswer: None}
    for operation in operations:
        for answer in operation.answers:
            shapes |= dict.fromkeys(each for each in (answer.shape, answer.other) if each)
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
        schema = _ANY_SCHEMA if operation.body.shape is None else by_shape[operation.body.shape]
        described["requestBody"] = {
            "required": operation.body.required,
            "description": operation.body.description or "The request.",
            "content": {kind: {"schema": schema} for kind in operation.body.media_types},
        }
    described["responses"] = _responses(operation, by_shape)
    return described


def _parameters(operation: Operation, rules: Rules) -> list[dict[str, Any]]:
    named = [
        _parameter(name, "path", kind) | {"required": True} for name, kind in rules.paths.items()
    ]
    headers = [
        _parameter(header.name, "header", header.kind) | {"description": header.description}
        for header in operation.headers
    ]
    return [*named, *map(_query, operation.query), *headers, _NAMESPACE]


def _parameter(name: str, place: str, kind: Kind) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": dict(kind.schema)}


def _query(query: Query) -> dict[str, Any]:
    described = _parameter(query.name, "query", query.kind) | {"description": query.description}
    if query.required:
        described["required"] = True
    if query.repeated:
        described["schema"] = {"type": "array", "items": described["schema"]}
        described |= {"style": "form", "explode": True}
    return described


def _responses(operation: Operation, by_shape: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    responses = {str(answer.status): _answer(answer, by_shape) for answer in operation.answers}
    for status in sorted({*_ALWAYS, *operation.errors}):
        shape = answers.StateErrorAnswer if status == 409 else answers.ErrorAnswer
        described: dict[str, Any] = {
            "description": _ERRORS[status],
            "content": {JSON: {"schema": by_shape[shape]}},
        }
        if status in (429, 503):
            described["headers"] = {
                "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
            }
        responses.setdefault(str(status), described)
    return responses


def _answer(answer: Answer, by_shape: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.other is not None:
        either = [by_shape[answer.shape], by_shape[answer.other]]
        described["content"] = {answer.media_type: {"schema": {"oneOf": either}}}
    elif answer.shape is not None:
        described["content"] = {answer.media_type: {"schema": by_shape[answer.shape]}}
    elif answer.media_type != JSON:
        described["content"] = {answer.media_type: {"schema": _ANY_SCHEMA}}
    return described
