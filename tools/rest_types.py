"""Write the TypeScript types of the REST API: `python -m tools.rest_types [--check]`.

`console/src/api/schema.ts` has an interface for each schema of the OpenAPI document, and for each
operation below `/api/v1` its query, body and answer.
"""

import json
import sys
from pathlib import Path
from typing import Any

from flowmesh.gateway.openapi import document

Json = dict[str, Any]
TARGET = Path("console/src/api/schema.ts")
HEAD = (
    "/** Types of the REST API. Generated from the OpenAPI document by tools/rest_types.py. */\n\n"
)
SCALARS = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}
PREFIX = "/api/v1"
READS = "GET"


def types() -> str:
    """Return the module."""
    described = document()
    schemas = described["components"]["schemas"]
    parts = [_named(name, schema) for name, schema in sorted(schemas.items())]
    operations = [
        (method.upper(), path, operation)
        for path, methods in described["paths"].items()
        if path.startswith(PREFIX)
        for method, operation in methods.items()
        if "101" not in operation["responses"]
    ]
    reads = [_operation(path, each) for method, path, each in operations if method == READS]
    writes = [
        _operation(f"{method} {path}", each) for method, path, each in operations if method != READS
    ]
    parts.append("export interface Reads {\n" + "".join(reads) + "}\n")
    parts.append("export interface Writes {\n" + "".join(writes) + "}\n")
    return HEAD + "\n".join(parts)


def _named(name: str, schema: Json) -> str:
    name = name.replace(".", "_").lstrip("_")
    comment = " ".join(str(schema.get("description", "")).split())
    lead = f"/** {comment} */\n" if comment else ""
    if schema.get("type") == "object" and "properties" in schema:
        return f"{lead}export interface {name} {_members(schema)}\n"
    return f"{lead}export type {name} = {_type(schema)};\n"


def _members(schema: Json, indent: str = "  ") -> str:
    required = set(schema.get("required", ()))
    lines = [
        f"{indent}{_key(name)}{'' if name in required else '?'}: {_type(each, indent + '  ')};\n"
        for name, each in schema["properties"].items()
    ]
    return "{\n" + "".join(lines) + indent[2:] + "}"


def _key(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


def _type(schema: Json, indent: str = "  ") -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2].replace(".", "_").lstrip("_")
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " | ".join(dict.fromkeys(_type(each, indent) for each in schema[word]))
    if "enum" in schema:
        return " | ".join(json.dumps(each) for each in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    return _plain(schema, indent)


def _plain(schema: Json, indent: str) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(SCALARS.get(each, "unknown") for each in kind)
    if kind == "array":
        item = (
            _type(schema["items"], indent) if isinstance(schema.get("items"), dict) else "unknown"
        )
        return f"({item})[]" if " | " in item else f"{item}[]"
    if kind == "object":
        if schema.get("properties"):
            return _members(schema, indent)
        values = schema.get("additionalProperties")
        return f"Record<string, {_type(values, indent) if isinstance(values, dict) else 'unknown'}>"
    return SCALARS.get(str(kind), "unknown")


def _operation(name: str, operation: Json) -> str:
    queries = [each for each in operation["parameters"] if each["in"] == "query"]
    query = "; ".join(
        f"{_key(each['name'])}{'' if each.get('required') else '?'}: {_type(each['schema'])}"
        for each in queries
    )
    body = _type(_json_schema(operation.get("requestBody", {})))
    answers = [
        _type(_json_schema(answer))
        for status, answer in operation["responses"].items()
        if status.startswith("2") and "application/json" in answer.get("content", {})
    ]
    answer = " | ".join(dict.fromkeys(answers)) or "unknown"
    return f'  "{name}": {{ query: {{ {query} }}; body: {body}; answer: {answer} }};\n'


def _json_schema(described: Json) -> Json:
    found: Json = described.get("content", {}).get("application/json", {}).get("schema", {})
    return found


def main() -> None:
    text = types()
    if "--check" in sys.argv[1:]:
        if TARGET.read_text() != text:
            sys.exit(f"{TARGET} is stale: run `python -m tools.rest_types` and commit it")
        return
    TARGET.write_text(text)


if __name__ == "__main__":
    main()
