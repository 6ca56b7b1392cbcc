"""Schema of the supported part of Serverless Workflow documents.

Definitions in `use` must be valid even if they are not used.
"""

import re

from flowmesh.contract.durations import ISO_DURATION
from flowmesh.definitions import limits
from flowmesh.definitions.editor.parts import (
    ANYTHING,
    ID,
    JSON_SCHEMA,
    LABELS,
    Schema,
    choice,
    code,
    described,
    document,
    flag,
    members,
    number,
    optional,
    or_null,
    text,
    whole,
)
from flowmesh.definitions.formats.common import METHODS
from flowmesh.definitions.formats.serverless.blocks import BACKOFFS, ERROR_MEMBERS
from flowmesh.definitions.formats.serverless.http import ANSWERS
from flowmesh.definitions.formats.serverless.listen import PATTERN_CHARACTERS, READS
from flowmesh.definitions.formats.serverless.names import NAME
from flowmesh.definitions.formats.serverless.oauth2 import (
    CLIENT_AUTHENTICATIONS,
    ENCODING,
    GRANT,
    NOT_TAKEN,
)
from flowmesh.definitions.formats.serverless.schedule import ATTRIBUTES
from flowmesh.definitions.formats.serverless.tasks import KINDS
from flowmesh.definitions.formats.serverless.values import UNITS_MS
from flowmesh.standards.events import MOMENT

_TEXT: Schema = {"type": "string", "pattern": r"\S"}
_EXPRESSION = described("A jq expression.", {"type": "string"})
_LABEL: Schema = {"type": "string", "pattern": "^" + NAME.pattern.removesuffix(r"\Z") + "$"}
_NAME = described("The name of a variable, without its $.", {"type": "string"})
_ERROR: Schema = {"$ref": "#/$defs/error"}
_TASKS: Schema = {"$ref": "#/$defs/tasks"}
_DURATION: Schema = {"$ref": "#/$defs/duration"}
_AUTHORITY: Schema = {"type": "string", "pattern": r"^([hH][tT][tT][pP][sS]?://|\$?\{)"}
_ARGUMENTS: Schema = {"type": ["array", "object", "null"]}
_MOMENT: Schema = {
    "type": "string",
    "pattern": "^" + MOMENT.pattern.removesuffix(r"\Z") + r"$|\$\{",
}
_PLAIN = "[^" + re.escape(PATTERN_CHARACTERS) + "]"
# Unsupported members are accepted if empty.
_NOTHING: Schema = {"enum": [None, False, 0, "", {}, []]}


def serverless_schema() -> Schema:
    """Return the schema of a document of DSL 1.0."""
    schema = members(
        {
            "document": members(
                {
                    "dsl": {"type": "string", "pattern": r"^1\.0\.\d+([-+].*)?$"},
                    "namespace": described(
                        "Part of the workflow's id unless it is default.", _LABEL
                    ),
                    "name": described("The name of the workflow.", _LABEL),
                    "version": _TEXT,
                    "title": text(),
                    "summary": text(limits.DESCRIPTION_CHARACTERS_MAX),
                    "metadata": {"type": ["object", "null"]},
                    "tags": LABELS,
                },
                "dsl",
                "namespace",
                "name",
                "version",
            ),
            "input": _shaped("from"),
            "output": _shaped("as"),
            "timeout": _timeout(),
            "evaluate": optional(
                {"language": {"enum": ["jq", ""]}, "mode": {"enum": ["strict", ""]}}
            ),
            "use": _use(),
            "schedule": _schedule(),
            "do": _TASKS,
        },
        "document",
        "do",
    )
    schema["$defs"] = {
        "tasks": {"type": "array", "minItems": 1, "items": _named({"$ref": "#/$defs/task"})},
        "task": _task(),
        "duration": _duration(),
        "error": _error(),
        "retry": _retry(),
        **_kinds(),
    }
    return document("Workflow in Serverless Workflow DSL 1.0", schema)


def _named(schema: Schema) -> Schema:
    """Return the schema of an object with one member, the name."""
    return {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": schema,
    }


def _shaped(member: str) -> Schema:
    schema = optional({"format": text(), "document": JSON_SCHEMA})
    return optional({"schema": schema, member: ANYTHING})


def _duration() -> Schema:
    """Return the schema of a duration: an object, an ISO 8601 text, or an expression."""
    iso = ISO_DURATION.pattern.removesuffix(r"\Z")
    units = members({unit: number(0, limits.DELAY_MS_MAX) for unit in UNITS_MS})
    units["minProperties"] = 1
    written = {"type": "string", "pattern": rf"^{iso}$|\$\{{", "examples": ["PT15S"]}
    return {"anyOf": [written, units]}


def _timeout() -> Schema:
    named = described("A name in use.timeouts.", text())
    return {"anyOf": [named, members({"after": _DURATION}, "after"), {"type": "null"}]}


def _use() -> Schema:
    def by_name(schema: Schema) -> Schema:
        return {"type": ["object", "null"], "additionalProperties": schema}

    return optional(
        {
            "authentications": by_name(_authentication()),
            "errors": by_name(_ERROR),
            "functions": by_name({"$ref": "#/$defs/task"}),
            "retries": by_name({"$ref": "#/$defs/retry"}),
            "timeouts": by_name(members({"after": _DURATION}, "after")),
            "secrets": {"type": ["array", "null"], "items": ID},
            **dict.fromkeys(("catalogs", "extensions"), _NOTHING),
        }
    )


def _schedule() -> Schema:
    plain = f"^{_PLAIN}+$"
    said_of = {"type": "Such as order.paid.", "source": "The source of the event."}
    wanted = members(
        {key: described(said_of[key], _TEXT | {"pattern": plain}) for key in ATTRIBUTES}
    )
    event = members({"with": {**wanted, "minProperties": 1}}, "with")
    on = members({"one": event, "any": {"type": "array", "items": event}})
    schedule = members(
        {
            "cron": code("Five fields, or six with seconds first; or @daily. UTC."),
            "every": described("A divisor of a minute, an hour or a day.", _DURATION),
            "on": {**on, "minProperties": 1, "maxProperties": 1},
        }
    )
    return or_null({**schedule, "minProperties": 1})


def _authentication() -> Schema:
    basic = members({"username": _TEXT, "password": _TEXT}, "username", "password")
    return members(
        {
            "basic": _or_secret(basic),
            "bearer": _or_secret(members({"token": _TEXT}, "token")),
            "oauth2": _oauth2("Tokens are requested from endpoints.token below it."),
            "oidc": _oauth2("Its endpoints are published below /.well-known.", endpoints=False),
        }
    )


def _or_secret(schema: Schema) -> Schema:
    return {"anyOf": [schema, members({"use": described("A name in use.secrets.", _TEXT)}, "use")]}


def _oauth2(about: str, *, endpoints: bool = True) -> Schema:
    client = members(
        {
            "id": _TEXT,
            "secret": _TEXT,
            "authentication": {"enum": [*CLIENT_AUTHENTICATIONS, ""]},
            "assertion": _NOTHING,
        },
        "id",
        "secret",
    )
    names: Schema = {"type": "array", "items": _TEXT}
    paths = dict.fromkeys(("token", "revocation", "introspection"), text())
    return members(
        {
            "authority": described(about, _AUTHORITY),
            **({"endpoints": optional(paths)} if endpoints else {}),
            "grant": {"const": GRANT},
            "client": client,
            "request": optional({"encoding": {"enum": [ENCODING, ""]}}),
            "scopes": names,
            "audiences": {**names, "maxItems": 1},
            **dict.fromkeys(NOT_TAKEN, _NOTHING),
        },
        "authority",
        "grant",
        "client",
    )


def _error() -> Schema:
    known: dict[str, Schema] = {
        "type": described("The URI of the kind of error.", _TEXT),
        "status": whole(100, 599),
        **dict.fromkeys(("instance", "title", "detail"), text(limits.CODE_CHARACTERS_MAX)),
    }
    return members(known, "type", "status")


def _retry() -> Schema:
    nothing = or_null({"type": "object", "maxProperties": 0})
    attempt = members({"count": whole(0, limits.RETRY_ATTEMPTS_MAX)})
    return members(
        {
            "when": _EXPRESSION,
            "exceptWhen": _EXPRESSION,
            "delay": _DURATION,
            "backoff": optional(dict.fromkeys(BACKOFFS, nothing)),
            "limit": optional({"attempt": or_null(attempt), "duration": _DURATION}),
            "jitter": optional({"from": _DURATION, "to": _DURATION}),
        }
    )


def _task() -> Schema:
    """Return the schema of a task, chosen by the member that names its kind; `for` has a `do`
    too.
    """
    schema: Schema = {"anyOf": [{"required": [kind]} for kind in KINDS]}
    for kind in sorted(KINDS, key=lambda kind: kind == "for"):
        schema = {"if": {"required": [kind]}, "then": {"$ref": f"#/$defs/{kind}"}, "else": schema}
    return {"type": "object", **schema}


def _kinds() -> dict[str, Schema]:
    own: dict[str, tuple[dict[str, Schema], tuple[str, ...]]] = {
        "call": (
            {
                "call": described("http, openapi, a function, a WorkflowTask.", _TEXT),
                "with": ANYTHING,
            },
            (),
        ),
        "do": ({"do": _TASKS}, ()),
        "emit": ({"emit": members({"event": members({"with": _event()}, "with")}, "event")}, ()),
        "for": (
            {
                "for": members({"each": _NAME, "in": _EXPRESSION, "at": _NAME}, "in"),
                "while": _EXPRESSION,
                "do": _TASKS,
            },
            ("do",),
        ),
        "fork": ({"fork": members({"branches": _TASKS, "compete": flag(False)}, "branches")}, ()),
        "listen": ({"listen": _listen()}, ()),
        "raise": (
            {"raise": members({"error": {"anyOf": [{"type": "string"}, _ERROR]}}, "error")},
            (),
        ),
        "run": ({"run": _run()}, ()),
        "set": ({"set": {"type": ["object", "string"]}}, ()),
        "switch": ({"switch": {"type": "array", "minItems": 1, "items": _named(_case())}}, ()),
        "try": ({"try": _TASKS, "catch": or_null(_catch())}, ("catch",)),
        "wait": ({"wait": _DURATION}, ()),
    }
    kinds = {kind: _kind(kind, *own[kind]) for kind in KINDS}
    kinds["call"]["allOf"] = [
        {
            "if": {"properties": {"call": {"const": call}}},
            "then": {"properties": {"with": schema}, "required": ["with"]},
        }
        for call, schema in (("http", _request()), ("openapi", _operation()))
    ]
    return kinds


def _kind(kind: str, own: dict[str, Schema], required: tuple[str, ...]) -> Schema:
    return members(
        {
            "if": described("A jq expression; the task is skipped if it does not hold.", {}),
            "input": _shaped("from"),
            "output": _shaped("as"),
            "export": _shaped("as"),
            "timeout": _timeout(),
            "then": described("A task of this list, or continue, exit, end.", {"type": "string"}),
            "metadata": ANYTHING,
            **own,
        },
        kind,
        *required,
    )


def _signed() -> Schema:
    return {
        "anyOf": [
            described("A name in use.authentications.", {"type": ["string", "null"]}),
            members({"use": _TEXT}, "use"),
            _authentication(),
        ]
    }


def _operation() -> Schema:
    """Return the schema of an operation of an OpenAPI document."""
    endpoint: Schema = {"anyOf": [{"type": "string"}, members({"uri": _TEXT}, "uri")]}
    return members(
        {
            "document": members({"endpoint": endpoint, "name": text()}, "endpoint"),
            "operationId": _TEXT,
            "parameters": {"type": ["object", "string"]},
            "authentication": _signed(),
            "output": {"enum": [*ANSWERS, ""]},
            "redirect": flag(False),
        },
        "document",
        "operationId",
    )


def _request() -> Schema:
    endpoint = members({"uri": _TEXT, "authentication": _signed()}, "uri")
    parts: Schema = {"type": ["object", "string"]}
    return members(
        {
            "method": choice(METHODS, "GET"),
            "endpoint": {"anyOf": [{"type": "string"}, endpoint]},
            "headers": parts,
            "query": parts,
            "body": ANYTHING,
            "output": {"enum": [*ANSWERS, ""]},
            "redirect": flag(False),
        },
        "method",
        "endpoint",
    )


def _listen() -> Schema:
    key = members({"from": _EXPRESSION, "expect": ANYTHING}, "from")
    correlate: Schema = {"type": ["object", "null"], "additionalProperties": key}
    plain: Schema = {"anyOf": [{"pattern": "^" + _PLAIN + "*$"}, {"pattern": r"\$\{"}]}
    wanted: Schema = {
        "type": "object",
        "minProperties": 1,
        "properties": {
            "type": described("Such as order.paid.", {"type": "string", **plain}),
            "source": described("The source of the event.", {"type": "string", **plain}),
            "data": described("An expression over the data, or the data.", {}),
        },
        "propertyNames": {"pattern": "^[a-z0-9]{1,64}$"},
    }
    event = members({"with": wanted, "correlate": correlate}, "with")
    events: Schema = {"type": "array", "items": event}
    strategies = {"one": event, "any": events, "all": {**events, "minItems": 1}}
    until = members(strategies) | {"minProperties": 1, "maxProperties": 1}
    to = members({**strategies, "until": {"anyOf": [_EXPRESSION, until]}})
    to["oneOf"] = [{"required": [key]} for key in strategies]
    to["dependentRequired"] = {"until": ["any"]}
    return members({"to": to, "read": {"enum": [*READS, ""]}}, "to")


def _event() -> Schema:
    """Return the schema of an emitted event; other attributes are extensions."""
    return {
        "type": "object",
        "properties": {
            "source": described("The source of the event.", _TEXT),
            "type": described("The type of the event, also its subject.", _TEXT),
            "time": described("As in 2030-01-31T08:00:00Z; now without it.", _MOMENT),
            **dict.fromkeys(("id", "subject", "datacontenttype", "dataschema"), _TEXT),
            "data": ANYTHING,
        },
        "required": ["source", "type"],
        "propertyNames": {"pattern": "^[a-z0-9]{1,64}$"},
        "additionalProperties": {"type": ["string", "integer", "boolean"]},
    }


def _run() -> Schema:
    script = members(
        {
            "language": {"type": "string", "pattern": "^([jJ][sS]|[jJ]ava[sS]cript|JAVASCRIPT)$"},
            "code": code("JavaScript that returns the output."),
            "arguments": described("A list for process.argv, or variables.", _ARGUMENTS),
            "environment": described("For process.env.", {"type": ["object", "null"]}),
        },
        "language",
        "code",
    )
    workflow = members(
        {
            "namespace": described("The namespace of the document to run.", _LABEL),
            "name": described("The workflow to run.", _LABEL),
            "version": described("The document's version, a label, a number, or latest.", ID),
            "input": ANYTHING,
        },
        "namespace",
        "name",
        "version",
    )
    waits = flag(True)
    return {
        "anyOf": [
            members({"script": script, "await": waits, "return": {"const": "stdout"}}, "script"),
            members({"workflow": workflow, "await": waits}, "workflow"),
        ]
    }


def _case() -> Schema:
    return members({"when": _EXPRESSION, "then": {"type": "string"}}, "then")


def _catch() -> Schema:
    wanted = members(dict.fromkeys(ERROR_MEMBERS, ANYTHING))
    return members(
        {
            "errors": optional({"with": or_null(wanted)}),
            "as": _NAME,
            "when": _EXPRESSION,
            "exceptWhen": _EXPRESSION,
            "retry": {"anyOf": [{"type": ["string", "null"]}, {"$ref": "#/$defs/retry"}]},
            "do": _TASKS,
        }
    )
