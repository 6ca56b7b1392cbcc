"""Write docs/workflow-reference.md from the schemas of the native format for editors."""

from collections.abc import Iterator
from typing import Any

import orjson

from flowmesh.definitions.editor.native import task_schema, workflow_schema
from flowmesh.definitions.editor.parts import DURATION, ID
from flowmesh.definitions.editor.sentences import SENTENCES, parent_of, sentence_key
from flowmesh.definitions.model import NATIVE_RETRY
from flowmesh.tasktypes import TIMEOUT_MS
from flowmesh.tasktypes.builtin.http import TIMEOUT_MS as HTTP_TIMEOUT_MS
from tools.pages import markdown

Schema = dict[str, Any]
DEFAULTS = {
    "retry.maxAttempts": str(NATIVE_RETRY.max_attempts),
    "retry.initialDelay": f"{NATIVE_RETRY.initial_delay_ms}ms",
    "retry.multiplier": f"{NATIVE_RETRY.multiplier:g}",
    "retry.maxDelay": f"{NATIVE_RETRY.max_delay_ms // 1_000}s",
    "retry.jitter": f"{NATIVE_RETRY.jitter:g}",
    "retry.retryOn": "Timeout, NetworkError, RateLimitError, ServerError",
    "timeout": f"{TIMEOUT_MS // 60_000}m, {HTTP_TIMEOUT_MS // 1_000}s of HTTP tasks",
}


_SIZES = (("maxLength", "characters"), ("maxItems", "items"), ("maxProperties", "names"))
_ABOUT = """\
Every member of the native format (`apiVersion: workflow.io/v1`), from the schemas that
`flowmesh schema` writes for editors. [Concepts](concepts.md) explains them together; retries
have [a page](retries.md) with examples.

Unknown members are rejected with their position. `null` equals a missing member.
A **duration** is a string such as `500ms`, `30s` or `1h30m`; an **id** has 1 to 128 characters of
`A-Z a-z 0-9 . _ : -`; **anything** is any JSON value, with templates in its strings.
"""


class _Page:
    """The sections of one resource; a repeated object has one section."""

    def __init__(self, root: Schema) -> None:
        self._defs: dict[str, Schema] = root.get("$defs", {})
        self.anchors: dict[bytes, str] = {}
        self.lines: list[str] = []
        self.used: set[str] = set()

    def write(self, path: str, schema: Schema, level: int = 3) -> None:
        """Write the section of an object and of the objects in it."""
        self.anchors[_key(schema)] = path
        required = set(schema.get("required", ()))
        about = schema.get("description", "")
        self.lines += [f"{'#' * level} {path}", "", *([about, ""] if about else [])]
        inside: list[tuple[str, Schema]] = []
        rows = []
        for name, member in schema["properties"].items():
            given = member if isinstance(member, dict) else {}
            rows.append(
                (
                    f"`{name}`" + (" (required)" if name in required else ""),
                    self._type(f"{path}.{name}", given, inside),
                    self._default(path, name, given),
                    _bounds(given),
                    self._sentence(path, name, given),
                )
            )
        self.lines += markdown.table(("member", "type", "default", "bounds", "meaning"), rows)
        for where, found in inside:
            if _key(found) not in self.anchors:
                self.write(where, found)

    def _type(self, path: str, schema: Schema, inside: list[tuple[str, Schema]]) -> str:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            target = self._defs[name]
            if "properties" in target:
                inside.append((name, target))
                return f"[{name}](#{name})"
            return self._type(path, target, inside)
        if "if" in schema:
            return "[task](#task), or one of its [bodies](#bodies-of-tasks)"
        if "properties" in schema:
            anchor = self.anchors.get(_key(schema), path)
            inside.append((path, schema))
            return f"[object](#{_slug(anchor)})"
        if "anyOf" in schema:
            found = [
                self._type(path + _scheme(each), each, inside)
                for each in schema["anyOf"]
                if _is_shown(each)
            ]
            return " or ".join(dict.fromkeys(found)) or "anything"
        if "enum" in schema:
            return " or ".join(f"`{word}`" for word in schema["enum"])
        return self._plain(path, schema, inside)

    def _plain(self, path: str, schema: Schema, inside: list[tuple[str, Schema]]) -> str:
        if "const" in schema:
            return f"`{schema['const']}`"
        given = schema.get("type")
        kind = next((k for k in given if k != "null"), "") if isinstance(given, list) else given
        if kind == "array":
            items = self._type(f"{path}[]", schema.get("items", {}), inside)
            return f"list of {items}" if items else "list"
        if kind == "object":
            values = schema.get("additionalProperties")
            if isinstance(values, dict) and values:
                return f"map of {self._type(f'{path}.*', values, inside)}"
            return "object"
        if schema.get("pattern") == DURATION["pattern"]:
            return "duration"
        if schema.get("pattern") == ID["pattern"]:
            return "id"
        return {"string": "string", "boolean": "true or false"}.get(kind or "", kind or "anything")

    def _sentence(self, path: str, name: str, schema: Schema) -> str:
        """Return the description of the schema or its sentence. Raises KeyError without one."""
        if "description" in schema:
            return str(schema["description"]).replace("<", "&lt;")
        key = sentence_key(path, name)
        self.used.add(key)
        return SENTENCES[key]

    def _default(self, path: str, name: str, schema: Schema) -> str:
        parent = parent_of(path)
        if schema.get("default", "") != "":
            value = schema["default"]
            return f"`{value if isinstance(value, str) else orjson.dumps(value).decode()}`"
        if path == "Workflow.spec":
            return ""  # DEFAULTS are those of tasks
        return DEFAULTS.get(f"{parent}.{name}") or DEFAULTS.get(name, "")


def page() -> str:
    lines = markdown.title(
        "Workflow reference", source="the schemas in `libs/flowmesh/definitions/editor/`"
    )
    lines += [*_ABOUT.splitlines(), ""]
    used: set[str] = set()
    workflow = workflow_schema()
    written = _Page(workflow)
    written.write("Workflow", workflow, level=2)
    written.lines += ["## Bodies of tasks", ""]
    written.lines += ["A task with one of these members contains further tasks.", ""]
    for name, schema in workflow["$defs"].items():
        if "properties" in schema and _key(schema) not in written.anchors:
            written.write(name, schema)
    used |= written.used
    lines += written.lines
    task = task_schema()
    written = _Page(task)
    written.write("WorkflowTask", task, level=2)
    used |= written.used
    lines += written.lines
    unused = SENTENCES.keys() - used
    if unused:
        raise KeyError(f"sentences for unknown members: {sorted(unused)}")
    return markdown.join(lines)


def _key(schema: Schema) -> bytes:
    return orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)


def _is_shown(schema: Schema) -> bool:
    """Return whether the page shows an alternative: neither null nor another spelling."""
    spelling = schema.get("type") == "string" and str(schema.get("pattern", "")).startswith("^(")
    return schema.get("type") != "null" and not spelling


def _scheme(alternative: Schema) -> str:
    """Return the constant type of an object alternative, which distinguishes it."""
    kind = alternative.get("properties", {}).get("type", {}).get("const")
    return f" ({kind})" if kind else ""


def _slug(heading: str) -> str:
    """Return the anchor of a heading."""
    return "".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _bounds(schema: Schema) -> str:
    return ", ".join(_bounds_of(schema))


def _bounds_of(schema: Schema) -> Iterator[str]:
    if "minimum" in schema or "maximum" in schema:
        yield f"{schema.get('minimum', 0):,} to {schema['maximum']:,}"
    for key, noun in _SIZES:
        if key in schema:
            yield f"at most {schema[key]:,} {noun}"
    for each in schema.get("anyOf", ()):
        yield from _bounds_of(each)
