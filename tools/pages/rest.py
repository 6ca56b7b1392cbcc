"""docs/rest.md from the OpenAPI document that the gateway serves."""

import json
from collections.abc import Iterator
from typing import Any

from flowmesh.gateway import openapi
from tools.pages import markdown

METHODS = ("get", "post", "put", "patch", "delete")
FIRST_ERROR = 400
JSON = "application/json"

# Headers that the page describes once instead of at every operation.
COMMON_HEADERS = ("Flowmesh-Namespace", "Idempotency-Key")


def page() -> str:
    """Return a section per tag and a heading per operation, followed by the bodies."""
    document = openapi.document()
    lines = markdown.title("REST", source="the OpenAPI document that the gateway serves")
    lines += [
        "`flowmesh dev` serves the API on port 3000, with the document at `/openapi.json` and an",
        "interactive page at `/swagger`.",
        "The header `Flowmesh-Namespace` selects the namespace; the default is the only one that"
        " the caller is permitted in, or `default`.",
        "The header `Idempotency-Key` is equivalent to `requestId` of a body:",
        "a repeated request with the same key returns the first response.",
        "[errors.md](errors.md) explains the reasons of errors.",
        "",
    ]
    tags: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                operation = item[method]
                tag = (operation.get("tags") or ["Other"])[0]
                tags.setdefault(tag, []).extend(_operation(method, path, operation))
    for tag, body in tags.items():
        lines += [f"## {tag}", "", *body]
    lines += ["## Bodies", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += _schema(name, schema)
    return markdown.join(lines)


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield from (f"### {method.upper()} {path}", "")
    for text in (operation.get("summary"), operation.get("description")):
        if text:
            yield from (text.strip().rstrip(".") + ".", "")
    rows = (
        (
            markdown.code(parameter["name"]),
            parameter["in"] + ("" if parameter.get("required") else ", optional"),
            _type(parameter.get("schema", {})),
            parameter.get("description", ""),
        )
        for parameter in operation.get("parameters", [])
        if parameter["name"] not in COMMON_HEADERS
    )
    yield from markdown.table(("parameter", "in", "type", "meaning"), rows)
    if "requestBody" in operation:
        yield from (f"Body: {_content(operation['requestBody'])}.", "")
    responses = operation.get("responses", {})
    answers = (
        (status, answer.get("description", ""), _content(answer))
        for status, answer in responses.items()
        if int(status) < FIRST_ERROR
    )
    yield from markdown.table(("status", "meaning", "content"), answers)
    refusals = sorted(status for status in responses if int(status) >= FIRST_ERROR)
    if refusals:
        yield from (f"Errors: {', '.join(refusals)}.", "")


def _schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield from (f"### {name}", "")
    if text := schema.get("description"):
        yield from (" ".join(text.split()), "")
    required = schema.get("required", [])
    rows = (
        (
            markdown.code(member),
            _type(inner) + ("" if member in required else ", optional"),
            inner.get("description", ""),
        )
        for member, inner in schema.get("properties", {}).items()
    )
    table = list(markdown.table(("member", "type", "meaning"), rows))
    yield from table or (_type(schema), "")


def _content(body: dict[str, Any]) -> str:
    """Return the type of a body and its media types."""
    kinds: dict[str, list[str]] = {}
    for media, entry in body.get("content", {}).items():
        kinds.setdefault(_type(entry.get("schema", {})), []).append(media)
    return "; ".join(
        kind if media == [JSON] else f"{kind} ({', '.join(media)})" for kind, media in kinds.items()
    )


def _type(schema: dict[str, Any]) -> str:
    """Return a short form of a schema: its name or its type."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower().replace('.', '')})"
    if "enum" in schema:
        return " or ".join(markdown.code(json.dumps(value)) for value in schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(inner) for inner in schema[several]))
    kind = schema.get("type", "any JSON")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return str(kind)
