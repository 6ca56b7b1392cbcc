"""Task blocks for databases, gRPC services, publishing, logs and Python.

All native formats read them alike; the results are passed to the executors.
"""

import re
from base64 import b64decode
from collections.abc import Callable

from flowmesh.contract.json_value import Json
from flowmesh.definitions import limits
from flowmesh.definitions.formats.common import headers_of, other_project, url_of
from flowmesh.definitions.model import Cache
from flowmesh.definitions.problems import Path
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.sql import STATEMENT_CHARACTERS_MAX
from flowmesh.standards.events import SUBJECT, SUBJECT_FORM

PRIORITY_MAX = 9
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_METHOD = re.compile(r"[A-Za-z_][\w.]{0,255}/[A-Za-z_]\w{0,127}\Z", re.ASCII)


_DIGEST = re.compile(r"[0-9a-f]{64}\Z")

CACHE_SCOPES = ("WORKFLOW", "NAMESPACE")
TtlOf = Callable[[Reader, str, int, int, int, str], int]


def read_cache(node: Reader, ttl_of: TtlOf) -> Cache | None:
    """Return the `cache` of a node, if any; `ttl_of` reads a duration in the format's notation."""
    if node.raw("cache") is None:
        return None
    body = node.object("cache")
    if not body.has("ttl"):
        body.missing("ttl", "the validity of a result")
    least, most = limits.CACHE_TTL_MS_MIN, limits.CACHE_TTL_MS_MAX
    cache = Cache(
        ttl_ms=ttl_of(body, "ttl", least, least, most, "TIMEOUT_INVALID"),
        everywhere=body.choice("scope", CACHE_SCOPES, CACHE_SCOPES[0]) == "NAMESPACE",
        key=body.raw("key"),
        path=body.path,
    )
    body.refuse_unknown()
    return cache


def database(body: Reader) -> dict[str, Json]:
    """Return the configuration of `db.query` and `db.exec`."""
    config: dict[str, Json] = {
        "connection": body.identifier("connection", "the name of a database of the worker"),
        "statement": _statement(body),
    }
    if parameters := body.object("parameters").value:
        config["parameters"] = parameters
        _check_count(body, "parameters", len(parameters), limits.PARAMETERS_MAX)
    if identifiers := _identifiers(body.object("identifiers")):
        config["identifiers"] = identifiers
    if body.has("maxRows"):
        config["maxRows"] = body.integer("maxRows", 1, 1, limits.ROWS_MAX)
    return config


def unary(body: Reader) -> dict[str, Json]:
    """Return the configuration of `grpc.call`."""
    by_name = body.has("service")
    config: dict[str, Json] = {
        "method": body.required_text("method", "package.Service/Method"),
        # The address of a registered instance says whether it speaks TLS.
        "tls": body.flag("tls", not by_name),
    }
    if by_name:
        config["service"] = body.required_text("service", "the name of a registered service")
        if body.has("target"):
            message = "give either target or service, not both"
            body.problems.add("DEFINITION_INVALID", message, (*body.path, "target"))
    else:
        config["target"] = body.required_text(
            "target", "host:port of the service; or give `service`, a registered one"
        )
    if config["method"] and not _METHOD.match(config["method"]):
        message = "method is package.Service/Method"
        body.problems.add("DEFINITION_INVALID", message, (*body.path, "method"))
    if body.has("request"):
        config["request"] = body.raw("request")
    if metadata := headers_of(body, "metadata"):
        config["metadata"] = metadata
    if authorities := body.text("ca", most=limits.CODE_CHARACTERS_MAX):
        config["ca"] = authorities
    if server_name := body.text("serverName"):
        config["serverName"] = server_name
    if descriptors := body.text("descriptors", most=limits.DESCRIPTORS_CHARACTERS_MAX):
        config["descriptors"] = descriptors
        _check_descriptors(body, descriptors)
    return config


def _check_descriptors(body: Reader, text: str) -> None:
    try:
        b64decode(text, validate=True)
    except ValueError:
        message = "descriptors is a FileDescriptorSet in base64"
        body.problems.add("DEFINITION_INVALID", message, (*body.path, "descriptors"))


def mcp(body: Reader) -> dict[str, Json]:
    """Return the configuration of `mcp.call`."""
    config: dict[str, Json] = {"tool": body.required_text("tool", "the name of the tool")}
    places = [name for name in ("server", "capability") if body.has(name)]
    if len(places) == 1:
        config[places[0]] = body.required_text(places[0], "the place of the MCP server")
    else:
        message = "give the URL of the MCP server in server, or the capability of a registered one"
        body.problems.add("DEFINITION_INVALID", message, body.path)
    if body.has("arguments"):
        config["arguments"] = body.raw("arguments")
    if headers := headers_of(body, "headers"):
        config["headers"] = headers
    if digest := body.text("digest"):
        config["digest"] = digest
        if not _DIGEST.match(digest):
            message = "digest is the SHA-256 of the schemas, as `flowmesh task import` writes it"
            body.problems.add("DEFINITION_INVALID", message, (*body.path, "digest"))
    return config


def analyzed(body: Reader) -> dict[str, Json]:
    """Return the configuration of an analyzer of text."""
    return {"text": body.required_text("text", "the text to analyze; a template")}


def python(body: Reader) -> dict[str, Json]:
    """Return the configuration of `python`."""
    config: dict[str, Json] = {
        "code": body.required_text("code", "Python that returns the output"),
    }
    if body.has("limits"):
        asked = body.object("limits")
        found = {
            "memoryMiB": asked.integer("memoryMiB", 0, 1, limits.PYTHON_MEMORY_MIB_MAX),
            "cpuSeconds": asked.integer("cpuSeconds", 0, 1, limits.PYTHON_CPU_S_MAX),
            "outputBytes": asked.integer("outputBytes", 0, 1, limits.PYTHON_OUTPUT_BYTES_MAX),
        }
        asked.refuse_unknown()
        config["limits"] = {name: value for name, value in found.items() if value}
    return config


def publish(body: Reader) -> dict[str, Json]:
    """Return the configuration of `publish`."""
    subject = body.required_text("subject", "words separated by dots, as in orders.paid")
    if subject and "{{" not in subject and not SUBJECT.match(subject):
        message = f"subject is {SUBJECT_FORM}"
        body.problems.add("DEFINITION_INVALID", message, (*body.path, "subject"))
    config: dict[str, Json] = {"subject": subject}
    if kind := body.text("type"):
        config["type"] = kind
    if body.has("data"):
        config["data"] = body.raw("data")
    return config


def message(body: Reader) -> dict[str, Json]:
    """Return the configuration of `message.publish`."""
    config: dict[str, Json] = {"key": body.required_text("key", "a routing key or a queue")}
    if exchange := body.text("exchange"):
        config["exchange"] = exchange
    if body.has("body"):
        config["body"] = body.raw("body")
    if body.has("headers"):
        config["headers"] = body.object("headers").value
    if priority := body.integer("priority", 0, 0, PRIORITY_MAX, "DEFINITION_INVALID"):
        config["priority"] = priority
    return config | other_project(body)


def webhook(body: Reader) -> dict[str, Json]:
    """Return the configuration of `webhook`."""
    config: dict[str, Json] = {"url": url_of(body, "url", required=True)}
    if headers := headers_of(body):
        config["headers"] = headers
    if body.has("payload"):
        config["payload"] = body.raw("payload")
    return config


def nothing(_body: Reader) -> dict[str, Json]:
    """Return the empty configuration of `noop`."""
    return {}


def log(body: Reader) -> dict[str, Json]:
    """Return the configuration of `log`."""
    config: dict[str, Json] = {
        "message": body.required_text("message", "the message; a template"),
        "level": body.choice("level", LEVELS, "INFO").lower(),
    }
    if fields := body.object("fields").value:
        config["fields"] = fields
        _check_count(body, "fields", len(fields), limits.PARAMETERS_MAX)
    return config


def _statement(body: Reader) -> str:
    text = body.required_text("statement", "one SQL statement, with values as :name")
    if len(text) > STATEMENT_CHARACTERS_MAX:
        message = f"a statement has at most {STATEMENT_CHARACTERS_MAX} characters"
        body.problems.add("SQL_FORBIDDEN", message, (*body.path, "statement"))
    return text


def _identifiers(given: Reader) -> dict[str, Json]:
    found: dict[str, Json] = {}
    _check_count(given, "", len(given.value), limits.PARAMETERS_MAX)
    for name, value in given.value.items():
        path: Path = (*given.path, name)
        if not isinstance(value, dict):
            message = f"an identifier is an object with value and of, not {kind_of(value)}"
            given.problems.add("DEFINITION_INVALID", message, path)
            continue
        each = Reader(value, path, given.problems)
        found[name] = {
            "value": each.required_text("value", "the selecting value, as in {{input.sort}}"),
            "of": list(each.identifiers("of")),
        }
        if not each.has("of") or each.value["of"] == []:
            each.missing("of", "the list of allowed names")
        each.refuse_unknown()
    return found


def _check_count(reader: Reader, key: str, count: int, most: int) -> None:
    if count > most:
        path = (*reader.path, key) if key else reader.path
        message = f"at most {most} are allowed here, not {count}"
        reader.problems.add("DEFINITION_INVALID", message, path)
