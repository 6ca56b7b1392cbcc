"""docs/rest.md from the OpenAPI document that the gateway serves."""

import json
from collections.abc import Iterator
from typing import Any

from tools.pages import markdown

METHODS = ("get", "post", "put", "patch", "delete")


def render(document: dict[str, Any]) -> str:
    """One section a tag, one heading an operation, in the document's order."""
    lines = markdown.title("REST", source="the OpenAPI document that the gateway serves")
    lines += [
        "`flowmesh dev` serves it on port 3000, with the document itself at `/openapi.json`",
        "and a page to try it at `/swagger`.",
        "The reasons of errors are explained in [errors.md](errors.md).",
        "",
    ]
    tags: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                operation = item[method]
                tag = (operation.get("tags") or ["other"])[0]
                shared = item.get("parameters", [])
                tags.setdefault(tag, []).extend(
                    _operation(document, method, path, operation, shared)
                )
    for tag, body in tags.items():
        lines += [f"## {tag}", "", *body]
    return markdown.join(lines)


def _operation(
    document: dict[str, Any],
    method: str,
    path: str,
    operation: dict[str, Any],
    shared: list[dict[str, Any]],
) -> Iterator[str]:
    yield from (f"### {method.upper()} {path}", "")
    for text in (operation.get("summary"), operation.get("description")):
        if text:
            yield from (text.strip(), "")
    parameters = [
        _resolve(document, entry) for entry in [*shared, *operation.get("parameters", [])]
    ]
    rows = (
        (
            markdown.code(parameter["name"]),
            parameter["in"] + ("" if parameter.get("required") else ", optional"),
            _type(parameter.get("schema", {})),
            parameter.get("description", ""),
        )
        for parameter in parameters
    )
    yield from markdown.table(("parameter", "in", "type", "meaning"), rows)
    if "requestBody" in operation:
        body = _resolve(document, operation["requestBody"])
        yield from ("Body: " + _content(document, body), "")
    answers = (
        (status, response.get("description", ""), _content(document, response))
        for status, entry in operation.get("responses", {}).items()
        for response in [_resolve(document, entry)]
    )
    yield from markdown.table(("status", "meaning", "content"), answers)


def _content(document: dict[str, Any], body: dict[str, Any]) -> str:
    """The media types of a body and what is in it."""
    kinds: dict[str, list[str]] = {}
    for media, entry in body.get("content", {}).items():
        kinds.setdefault(_type(entry.get("schema", {}), document), []).append(media)
    return "; ".join(
        f"{kind} ({', '.join(media)})" if kind else ", ".join(media)
        for kind, media in kinds.items()
    )


def _type(schema: dict[str, Any], document: dict[str, Any] | None = None) -> str:
    """A schema in a few words: its name, its type, or the members of an object."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"{name} {_type(_resolve(document, schema))}".strip() if document else name
    if "enum" in schema:
        return " ".join(markdown.code(json.dumps(value)) for value in schema["enum"])
    kind = schema.get("type", "")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"list of {_type(schema.get('items', {}), document) or 'anything'}"
    if kind == "object" and schema.get("properties"):
        required = schema.get("required", [])
        names = (name + ("" if name in required else "?") for name in schema["properties"])
        return markdown.code("{" + ", ".join(names) + "}")
    return str(kind)


def _resolve(document: dict[str, Any] | None, entry: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` into the document points at, or the entry itself."""
    if document is None or "$ref" not in entry:
        return entry
    found: Any = document
    for part in entry["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)
