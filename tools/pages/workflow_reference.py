"""docs/workflow-reference.md from the schemas of the native format that editors check with.

Sentences are those of the schemas; for members that need none in an editor they stand here.
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
# By the name of the member, or by its object and name where one name has several meanings.
SENTENCES = {
    "apiVersion": "The version of the format.",
    "kind": "What the document describes.",
    "metadata": "What names the resource.",
    "metadata.name": "The name; registering it again makes a new version.",
    "labels": "Words to find definitions by, of your choice.",
    "annotations": "Anything that tools keep with the resource; Flowmesh does not read it.",
    "namespace": "The namespace; that of the request unless said.",
    "spec": "What it is made of.",
    "description": "A text for people.",
    "tasks": "The tasks, each with an id of its own; they run as their dependencies allow.",
    "inputSchema": "JSON Schema of the input, checked before anything runs.",
    "outputSchema": "JSON Schema of the output, checked before it is used.",
    "start": "When executions begin, and how many of a key at once.",
    "limits": "What holds its tasks back although workers are free.",
    "triggers": "What starts executions: schedules, events, webhooks.",
    "compensation.onFailure": "Whether a failure of the execution undoes what was done.",
    "compensation.onCancel": "Whether a cancel does.",
    "compensation.onTerminate": "Whether a terminate does.",
    "compensation.order": "The order in which tasks are undone.",
    "type": "The kind of it.",
    "start.onConflict": "What happens to a start for which there is no room.",
    "schema": "JSON Schema of its values.",
    "id": "Its name in the workflow: others refer to it, events and errors name it.",
    "name": "A name for people.",
    "join": "How many of the edges that lead here must be taken for it to run.",
    "join.mode": "Whether one taken edge is enough.",
    "undo": "The task that undoes this one once it has completed.",
    "retry": "How often a failed attempt is tried again, and after what pause.",
    "priority": "Which of the ready tasks go first.",
    "queue": "The queue it waits in; workers choose the queues they serve.",
    "approval.deadline": "How long people have.",
    "approval.onDeadline": "What happens when nobody has decided by then.",
    "approval.onReject": "What a rejection does.",
    "initialDelay": "The pause before the second attempt.",
    "multiplier": "Each pause is so many times the one before.",
    "maxDelay": "No pause is longer.",
    "maxPages": "Pages that are read at most.",
    "pages.taskRef": "The task that reads a page.",
    "undo.taskRef": "The task to run.",
    "concurrency": "Items that run at once.",
    "tolerate.count": "So many items may fail.",
    "tolerate.share": "This share of the items may fail.",
    "rounds": "Rounds that are run at most.",
    "catch": "What runs for the failures of its tasks.",
    "errors": "Failure classes it is for; all without it.",
    "cron": "Starts by the clock.",
    "cron.catchUp": "Which missed instants still fire.",
    "cron.catchUpMax": "How many of them, at most.",
    "event": "Starts for events.",
    "webhook": "Starts for calls of a URL.",
    "path": "The last part of the URL; workflow and id unless said.",
    "provider": "Who calls, which decides how calls are signed.",
    "payloadSchema": "JSON Schema of the body; others are refused.",
    "method": "The HTTP method.",
    "grpc.method": "The method, as package.Service/Method.",
    "url": "Where to; a template.",
    "headers": "Headers by name; values are templates.",
    "body": "The body; templates, sent as JSON unless a text.",
    "config": "What the type asks for.",
    "transform.pipeline": "Operations, one after another: see [transforms](transforms.md).",
    "duration": "How long to wait; a template may say it.",
    "webhook.payload": "The body; templates.",
    "conditions": "The conditions, in order.",
    "match": "Whether the first that holds is named, or all.",
    "language": "The language it is written in.",
    "level": "How severe it is.",
    "fields": "Further values of the line; templates.",
    "grpc.metadata": "Metadata by name; values are templates.",
    "task": "The node that is waited for.",
    "of": "The names it may be.",
    "authentication.type": "The scheme.",
    "authentication.config": "What the scheme needs.",
    "username": "Who sends it.",
    "password": "The password; a template.",
    "token": "The token; a template.",
    "authentication.name": "The header or the query parameter that carries the key.",
    "value": "The key; a template.",
    "in": "Where the key goes: header or query.",
    "tokenUrl": "Where tokens are fetched.",
    "clientId": "Who asks for a token.",
    "clientSecret": "The secret of the client; a template.",
    "authentication.scope": "What the token is to allow.",
    "audience": "Whom the token is for.",
    "grantType": "How a token is asked for.",
    "tls": "Whether the connection is encrypted.",
    "memoryMiB": "Memory it may use, in MiB.",
    "cpuSeconds": "Processor time it may use, in seconds.",
    "outputBytes": "Bytes its output may have.",
    "cache.scope": "Who shares the result.",
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
`flowmesh schema` writes for editors. How the pieces work together is in [concepts](concepts.md);
retries have [a page](retries.md) with examples.

Unknown members are refused with their place. `null` is as if the member were not there.
A **duration** is a text such as `500ms`, `30s` or `1h30m`; an **id** has 1 to 128 characters of
`A-Z a-z 0-9 . _ : -`; **anything** is any JSON value, with templates in its texts.
"""


class _Page:
    """Collects the sections of one resource; an object that occurs twice has one section."""

    def __init__(self, root: Schema) -> None:
        self._defs: dict[str, Schema] = root.get("$defs", {})
        self.anchors: dict[bytes, str] = {}
        self.lines: list[str] = []
        self.used: set[str] = set()

    def write(self, path: str, schema: Schema, level: int = 3) -> None:
        """The section of an object, then those of the objects in it."""
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
                    f"`{name}`" + (" (needed)" if name in required else ""),
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
                if _told(each)
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
        return {"string": "text", "boolean": "true or false"}.get(kind or "", kind or "anything")

    def _sentence(self, path: str, name: str, schema: Schema) -> str:
        """Of the schema where it has one, else of this module. Raises KeyError without any."""
        if "description" in schema:
            return str(schema["description"]).replace("<", "&lt;")
        parent = _parent(path)
        key = f"{parent}.{name}" if f"{parent}.{name}" in SENTENCES else name
        if key not in SENTENCES:
            raise KeyError(f"{path}.{name} has no sentence, in the schema or in this module")
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
    written.lines += ["A task with one of these words holds further tasks.", ""]
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
        raise KeyError(f"sentences for members that there are not: {sorted(unused)}")
    return markdown.join(lines)


def _key(schema: Schema) -> bytes:
    return orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)


def _told(schema: Schema) -> bool:
    """Whether an alternative says something to a reader: not null, not other spellings."""
    spelling = schema.get("type") == "string" and str(schema.get("pattern", "")).startswith("^(")
    return schema.get("type") != "null" and not spelling


def _scheme(alternative: Schema) -> str:
    """What tells alternatives apart that are objects: the constant of their type."""
    kind = alternative.get("properties", {}).get("type", {}).get("const")
    return f" ({kind})" if kind else ""


def _parent(path: str) -> str:
    """The member that an object is, without what tells it from others of its name."""
    words = path.replace("[]", "").replace(".*", "").split(" ")[0]
    return words.rpartition(".")[2]


def _slug(heading: str) -> str:
    """The anchor that a heading gets."""
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
