"""Write docs/workflow-reference.md from the schemas of the native format for editors.

This module describes the members whose schema has no description.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from flowmesh.definitions.editor.native import task_schema, workflow_schema
from flowmesh.definitions.editor.parts import DURATION, ID
from flowmesh.definitions.model import NATIVE_RETRY
from flowmesh.tasktypes import TASK_TYPES, TIMEOUT_MS
from flowmesh.tasktypes.builtin.http import TIMEOUT_MS as HTTP_TIMEOUT_MS
from tools.pages import markdown

Schema = dict[str, Any]
# Keyed by member, or by object and member if the name is ambiguous.
SENTENCES = {
    "apiVersion": "The version of the format.",
    "kind": "The kind of the resource.",
    "metadata": "The identity of the resource.",
    "metadata.name": "The name; registering it again creates a new version.",
    "labels": "Labels by which definitions are found.",
    "annotations": "Data of other tools; ignored by Flowmesh.",
    "namespace": "The namespace; by default that of the request.",
    "spec": "The content of the resource.",
    "description": "A description for people.",
    "tasks": "The tasks, each with its own id; they run in the order of their dependencies.",
    "inputSchema": "JSON Schema of the input, checked before anything runs.",
    "outputSchema": "JSON Schema of the output, checked before it is used.",
    "start": "The start policy: delays, and the number of executions per key.",
    "limits": "Limits on the dispatch of its tasks.",
    "triggers": "Starts by schedules, events, webhooks, messages of queues, changes of tables.",
    "compensation.onFailure": "Compensate completed tasks if the execution fails.",
    "compensation.onCancel": "Compensate if the execution is canceled.",
    "compensation.onTerminate": "Compensate if the execution is terminated.",
    "compensation.order": "The order of compensation.",
    "type": "The type.",
    "start.onConflict": "Treatment of a start that exceeds `concurrency`.",
    "schema": "JSON Schema of the values.",
    "id": "The id in the workflow, used in references, events and errors.",
    "name": "A display name.",
    "join": "The condition of a task with several incoming edges.",
    "join.mode": "Start at one taken edge, or wait for all.",
    "undo": "The task that compensates this one after its completion.",
    "retry": "The number and delays of retries.",
    "priority": "The priority among ready tasks.",
    "queue": "The queue of the task; workers choose the queues that they serve.",
    "approval.deadline": "The time for a decision.",
    "approval.onDeadline": "The outcome without a decision before the deadline.",
    "approval.onReject": "The effect of a rejection.",
    "initialDelay": "The delay before the second attempt.",
    "multiplier": "The factor between consecutive delays.",
    "maxDelay": "The maximum delay.",
    "maxPages": "The maximum number of pages.",
    "pages.taskRef": "The task that fetches a page.",
    "undo.taskRef": "The task to run.",
    "concurrency": "The number of items that run at once.",
    "tolerate.count": "The number of items that may fail.",
    "tolerate.share": "The share of the items that may fail.",
    "rounds": "The maximum number of rounds.",
    "catch": "The handlers for failures of the tasks.",
    "errors": "The failure classes of the handler; all by default.",
    "cron": "Starts executions by a schedule.",
    "cron.catchUp": "The missed instants that still fire.",
    "cron.catchUpMax": "The maximum number of missed instants that fire.",
    "event": "Starts executions for events.",
    "webhook": "Starts executions for calls of a URL.",
    "change": "Starts executions for changes of the rows of a table.",
    "triggers.queue": "Starts executions for messages of a queue of the namespace.",
    "change.operations": "The changes that fire; all by default.",
    "path": "The last segment of the URL; by default workflow and id.",
    "provider": "The sender, which determines the signature scheme.",
    "payloadSchema": "JSON Schema of the body; other bodies are rejected.",
    "method": "The HTTP method.",
    "mcp.headers": "Headers of the requests to the server; values are templates.",
    "grpc.method": "The method, as package.Service/Method.",
    "url": "The URL; a template.",
    "headers": "Headers by name; values are templates.",
    "body": "The body; templates, sent as JSON unless it is a string.",
    "config": "The configuration of the type.",
    "transform.pipeline": "Operations, applied in order: see [transforms](transforms.md).",
    "duration": "The duration of the wait, optionally a template.",
    "webhook.payload": "The body; templates.",
    "conditions": "The conditions, in order.",
    "match": "Name the first condition that holds, or all of them.",
    "language": "The language of the code or expression.",
    "level": "The log level.",
    "fields": "Additional fields of the log line; templates.",
    "grpc.metadata": "Metadata by name; values are templates.",
    "task": "The node to depend on.",
    "of": "The allowed names.",
    "authentication.type": "The scheme.",
    "authentication.config": "The configuration of the scheme.",
    "username": "The user name; a template.",
    "password": "The password; a template.",
    "token": "The token; a template.",
    "authentication.name": "The header or query parameter for the key.",
    "value": "The key; a template.",
    "in": "The place of the key: header or query.",
    "tokenUrl": "The URL that issues tokens.",
    "clientId": "The id of the client.",
    "clientSecret": "The secret of the client; a template.",
    "authentication.scope": "The requested scope of the token.",
    "audience": "The audience of the token.",
    "grantType": "The grant type of the token request.",
    "tls": "Encrypt the connection.",
    "memoryMiB": "The memory limit, in MiB.",
    "cpuSeconds": "The CPU time limit, in seconds.",
    "outputBytes": "The size limit of the output, in bytes.",
    "cache.scope": "The tasks that share the result.",
}
for task_type in TASK_TYPES.values():
    if task_type.block:
        key = f"spec.{task_type.block}"
        SENTENCES[key] = " ".join(filter(None, (SENTENCES.get(key), task_type.summary)))
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
        """Return the description of the schema or of this module; raise KeyError without one."""
        if "description" in schema:
            return str(schema["description"]).replace("<", "&lt;")
        parent = _parent(path)
        key = f"{parent}.{name}" if f"{parent}.{name}" in SENTENCES else name
        if key not in SENTENCES:
            raise KeyError(
                f"{path}.{name} has no description, neither in the schema nor in this module"
            )
        self.used.add(key)
        return SENTENCES[key]

    def _default(self, path: str, name: str, schema: Schema) -> str:
        parent = _parent(path)
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


def _parent(path: str) -> str:
    """Return the member name of an object, without its distinguishing suffix."""
    words = path.replace("[]", "").replace(".*", "").split(" ")[0]
    return words.rpartition(".")[2]


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
