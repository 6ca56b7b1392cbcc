"""Schemas of the parameters of built-in tasks; `more` allows unknown members."""

from flowmesh.definitions import limits
from flowmesh.definitions.editor.parts import (
    ANYTHING,
    HEADERS,
    ID,
    TEMPLATE,
    Schema,
    choice,
    code,
    described,
    flag,
    members,
    number,
    or_null,
    text,
    url,
)
from flowmesh.definitions.formats.authentication import SCHEMES
from flowmesh.definitions.formats.common import METHODS, SCRIPTS
from flowmesh.definitions.formats.native.calls import CACHE_SCOPES, LEVELS, PRIORITY_MAX
from flowmesh.sql import STATEMENT_CHARACTERS_MAX

_WORD = "[A-Za-z0-9_-]+"
_SUBJECT = rf"^{_WORD}(\.{_WORD})*$|{TEMPLATE}"


def http_parameters(more: bool) -> Schema:
    return members(
        {
            "method": choice(METHODS, "GET"),
            "url": url(),
            "headers": HEADERS,
            "body": ANYTHING,
            "authentication": authentication_schema(),
        },
        "url",
        more=more,
    )


def webhook_parameters(more: bool) -> Schema:
    return members({"url": url(), "headers": HEADERS, "payload": ANYTHING}, "url", more=more)


def no_parameters(more: bool) -> Schema:
    return or_null(members({}, more=more))


def publish_parameters(more: bool) -> Schema:
    return members(
        {
            "subject": described(
                "Words separated by dots; a template.",
                {"type": "string", "maxLength": limits.CODE_CHARACTERS_MAX, "pattern": _SUBJECT},
            ),
            "type": text(about="Type of the event; by default the subject."),
            "data": described("The payload; templates.", ANYTHING),
        },
        "subject",
        more=more,
    )


def message_parameters(more: bool) -> Schema:
    return members(
        {
            "exchange": text(about="Name of an exchange; empty sends to the queue of the key."),
            "key": text(about="Routing key, or the name of a queue; a template."),
            "body": described("The body; templates.", ANYTHING),
            "headers": described(
                "Headers; templates.",
                {"type": ["object", "null"], "maxProperties": limits.PARAMETERS_MAX},
            ),
            "priority": number(0, PRIORITY_MAX, whole=True, default=0),
        },
        "key",
        more=more,
    )


def log_parameters(more: bool) -> Schema:
    return members(
        {
            "message": code("The message; a template."),
            "level": choice(LEVELS, "INFO"),
            "fields": {"type": ["object", "null"], "maxProperties": limits.PARAMETERS_MAX},
        },
        "message",
        more=more,
    )


def authentication_schema() -> Schema:
    """Return the schema of an HTTP call's authentication: a type, and the members of that type."""
    kinds = [
        members(
            {
                "type": {"const": kind},
                "config": members({name: text() for name in (*needed, *may)}, *needed),
            },
            "type",
            "config",
        )
        for kind, (needed, may) in SCHEMES.items()
    ]
    return described("Authentication of the request.", {"anyOf": [*kinds, {"type": "null"}]})


def cache_schema(ttl: Schema) -> Schema:
    """Return the schema of a node's cache in a format with this schema of durations."""
    cache = members(
        {
            "ttl": described("Validity of a result.", ttl),
            "scope": choice(CACHE_SCOPES, CACHE_SCOPES[0]),
            "key": described("Key of equal results; by default the input.", ANYTHING),
        },
        "ttl",
        text="Reuse of an earlier result of the task.",
    )
    return or_null(cache)


CACHE_MS = cache_schema(number(limits.CACHE_TTL_MS_MIN, limits.CACHE_TTL_MS_MAX, whole=True))


def function_parameters(more: bool) -> Schema:
    """Code to run, or a handler of a worker."""
    inline = {
        "code": code("JavaScript that returns the output."),
        "language": choice(SCRIPTS, SCRIPTS[0]),
    }
    handler = {"handlerId": described("A task type of your workers.", ID)}
    schema = members({**inline, **handler}, more=more)
    schema["oneOf"] = [{"required": ["code"]}, {"required": ["handlerId"]}]
    return schema


def unary_parameters(more: bool) -> Schema:
    schema = members(
        {
            "target": code("host:port of the service."),
            "service": code("Name of a registered service, in place of a target."),
            "method": {"type": "string", "pattern": r"^[A-Za-z_][\w.]{0,255}/[A-Za-z_]\w{0,127}$"},
            "request": described("The request message; templates.", ANYTHING),
            "metadata": HEADERS,
            "tls": flag(True),
            "ca": text(limits.CODE_CHARACTERS_MAX, "Certificates to trust, PEM."),
            "serverName": text(about="Name in the server's certificate, if not the host."),
            "descriptors": text(
                limits.DESCRIPTORS_CHARACTERS_MAX,
                "FileDescriptorSet in base64; without it, server reflection is used.",
            ),
        },
        "method",
        more=more,
    )
    schema["oneOf"] = [{"required": ["target"]}, {"required": ["service"]}]
    return schema


def python_parameters(more: bool) -> Schema:
    asked = members(
        {
            "memoryMiB": number(1, limits.PYTHON_MEMORY_MIB_MAX, whole=True, default=128),
            "cpuSeconds": number(1, limits.PYTHON_CPU_S_MAX, whole=True, default=10),
            "outputBytes": number(1, limits.PYTHON_OUTPUT_BYTES_MAX, whole=True),
        },
        text="Above what the worker allows, the task fails.",
    )
    returns = code("Python that returns the output, without access to files or the network.")
    return members({"code": returns, "limits": or_null(asked)}, "code", more=more)


def database_parameters(more: bool) -> Schema:
    statement = code("One SQL statement; values are written as :name.")
    listed = {"type": "array", "minItems": 1, "items": ID}
    identifier = members({"value": code("The value that selects it."), "of": listed}, "value", "of")
    named = {"type": ["object", "null"], "maxProperties": limits.PARAMETERS_MAX}
    return members(
        {
            "connection": described("Name of a database configured at the worker.", ID),
            "statement": {**statement, "maxLength": STATEMENT_CHARACTERS_MAX},
            "parameters": described("Values by name; templates.", {**named, **ANYTHING}),
            "identifiers": described(
                "Selected column names, each from a list.",
                {**named, "additionalProperties": identifier},
            ),
            "maxRows": described(
                "More rows fail the task.", number(1, limits.ROWS_MAX, whole=True, default=1_000)
            ),
        },
        "connection",
        "statement",
        more=more,
    )
