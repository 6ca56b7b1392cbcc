"""Schemas of the parameters of built-in tasks; `more` allows unknown members."""

from flowmesh.definitions import limits
from flowmesh.definitions.editor.parts import (
    ANYTHING,
    HEADERS,
    ID,
    OTHER_PROJECT,
    TEMPLATE,
    Schema,
    anything,
    choice,
    code,
    described,
    flag,
    members,
    number,
    optional,
    or_null,
    text,
    url,
    whole,
)
from flowmesh.definitions.formats.authentication import SCHEMES
from flowmesh.definitions.formats.common import METHODS, SCRIPTS
from flowmesh.definitions.formats.native.calls import CACHE_SCOPES, LEVELS, PRIORITY_MAX
from flowmesh.definitions.formats.native.models import (
    BUDGET_MAX,
    BUDGETS,
    ON_BLOCKED,
    PATTERNS_MAX,
    REDACTED,
    REPAIRS_MAX,
    TOKENS_MAX,
    TOOLS_MAX,
)
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
    return optional({}, more=more)


def publish_parameters(more: bool) -> Schema:
    return members(
        {
            "subject": described(
                "Words separated by dots; a template.",
                {"type": "string", "maxLength": limits.CODE_CHARACTERS_MAX, "pattern": _SUBJECT},
            ),
            "type": text(about="Type of the event; by default the subject."),
            "data": anything("The payload; templates."),
        },
        "subject",
        more=more,
    )


def message_parameters(more: bool) -> Schema:
    return members(
        {
            "exchange": text(about="Name of an exchange; empty sends to the queue of the key."),
            "key": text(about="Routing key, or the name of a queue; a template."),
            "body": anything("The body; templates."),
            "headers": described(
                "Headers; templates.",
                {"type": ["object", "null"], "maxProperties": limits.PARAMETERS_MAX},
            ),
            "priority": whole(0, PRIORITY_MAX, default=0),
            **OTHER_PROJECT,
        },
        "key",
        more=more,
    )


def mcp_parameters(more: bool) -> Schema:
    return members(
        {
            "tool": text(about="Name of the tool."),
            "server": text(limits.CODE_CHARACTERS_MAX, "URL of the MCP server; a template."),
            "capability": text(about="A capability of a registered MCP server; a template."),
            "arguments": anything("Arguments of the tool; templates; by default the input."),
            "headers": HEADERS,
            "digest": text(about="SHA-256 of the tool's schemas; others fail the attempt."),
        },
        "tool",
        more=more,
    )


def analyzer_parameters(more: bool) -> Schema:
    return members({"text": code("The text to analyze; a template.")}, "text", more=more)


def complete_parameters(more: bool) -> Schema:
    tool = members(
        {
            "name": text(about="Name of the tool."),
            "description": code("Purpose of the tool."),
            "inputSchema": anything("JSON Schema of the arguments."),
            "changes": flag(False, "True for a tool that changes something."),
        },
        "name",
    )
    tools = {"type": ["array", "null"], "maxItems": TOOLS_MAX, "items": tool}
    return members(
        {
            "prompt": anything("The prompt; a template."),
            "system": code("Instructions of the model; a template."),
            "messages": anything("Messages of an earlier step, which this one continues."),
            "results": anything("Results of calls: a list of {id, output} or {id, error}."),
            "provider": text(about="Name of a provider; by default the first that answers."),
            "maxTokens": whole(1, TOKENS_MAX, "Tokens of an answer.", default=1_024),
            "outputSchema": anything("JSON Schema of the output `value`."),
            "repairs": whole(0, REPAIRS_MAX, "Turns after one that does not fit.", default=2),
            "tools": described("Tools whose calls are the output `calls`.", tools),
            "approve": flag(
                False, "True where an approval comes before the calls that change something."
            ),
            "guard": described("Checks of prompts and answers.", _guard_schema()),
            "budget": optional(
                {name: number(0, BUDGET_MAX, about) for name, about in BUDGETS.items()},
                text="Limits that a turn must leave room for; 0 is none.",
            ),
            "onBlocked": choice(ON_BLOCKED, ON_BLOCKED[0], "Consequence of a guard or a budget."),
            "fallback": anything("The output `value` of a step that was blocked."),
        },
        more=more,
    )


def _guard_schema() -> Schema:
    listed = {"type": ["array", "null"], "maxItems": PATTERNS_MAX, "items": code("RE2.")}
    direction = {
        "deny": described("Patterns of which none may match.", listed),
        "allow": described("Patterns of which one must match.", listed),
    }
    kinds = {"type": ["array", "null"], "items": choice(REDACTED, REDACTED[0])}
    return optional(
        {
            "redact": described(
                "Kinds of values that are replaced in prompts; by default all.", kinds
            ),
            "input": optional(direction, text="Patterns of prompts."),
            "output": optional(direction, text="Patterns of answers."),
        }
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
            "key": anything("Key of equal results; by default the input."),
        },
        "ttl",
        text="Reuse of an earlier result of the task.",
    )
    return or_null(cache)


CACHE_MS = cache_schema(whole(limits.CACHE_TTL_MS_MIN, limits.CACHE_TTL_MS_MAX))


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
            "request": anything("The request message; templates."),
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
            "memoryMiB": whole(1, limits.PYTHON_MEMORY_MIB_MAX, default=128),
            "cpuSeconds": whole(1, limits.PYTHON_CPU_S_MAX, default=10),
            "outputBytes": whole(1, limits.PYTHON_OUTPUT_BYTES_MAX),
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
            "maxRows": whole(1, limits.ROWS_MAX, "More rows fail the task.", default=1_000),
        },
        "connection",
        "statement",
        more=more,
    )
