"""A request of step JSON as `call: http` of Serverless Workflow."""

from flowmesh.contract.json_value import Json
from flowmesh.definitions.exports.parts import Document
from flowmesh.definitions.exports.serverless.jq import (
    ProgramOf,
    literal,
    parts_of,
    program_of,
    text_program,
    value_of,
    wrapped,
)
from flowmesh.definitions.exports.unsupported import UnsupportedExpression

_ROOTS = frozenset({"context", "input"})
_DOTS = (
    'def segment: tostring | @uri | if . == "." or . == ".." '
    'then error("it would change the path of the url") else . end; '
)

_LINES = (
    'def line: tostring | if test("[\\r\\n\\u0000]") '
    'then error("a header has one line") else . end; '
)


def http_request(config: Document, of_reference: ProgramOf) -> Document:
    """Return the task of a request. Raises UnsupportedExpression."""
    if config.get("send_context"):
        raise UnsupportedExpression("a request that sends the context")
    if "authentication" in config:
        raise UnsupportedExpression("authentication of a request")
    # A redirect that is not followed is an output in both formats.
    request: Document = {
        "method": config["method"].lower(),
        "endpoint": _endpoint(config["url"], of_reference),
        "redirect": True,
    }
    headers = config.get("headers") or {}
    if any(not isinstance(value, str) for value in headers.values()):
        raise UnsupportedExpression("a header that is no text")
    if any("x-www-form-urlencoded" in str(value).lower() for value in headers.values()):
        raise UnsupportedExpression("a form as the body of a request")
    if headers:
        request["headers"] = {name: _header(text, of_reference) for name, text in headers.items()}
    if "body" in config and config["body"] is not None:
        request["body"] = _body(config["body"], of_reference)
    return {"call": "http", "with": request}


def _header(text: str, of_reference: ProgramOf) -> str:
    parts = parts_of(text, _ROOTS)
    if all(isinstance(part, str) for part in parts):
        return wrapped(literal(text)) if "${" in text else text
    return wrapped(_LINES + text_program(parts, of_reference, "line"))


def _body(body: Json, of_reference: ProgramOf) -> Json:
    if isinstance(body, dict | list):
        return value_of(body, _ROOTS, of_reference)
    raise UnsupportedExpression("a body of a request that is neither an object nor a list")


def _endpoint(url: str, of_reference: ProgramOf) -> str:
    """Return the URL program; values cannot leave their path segment or query parameter."""
    parts = parts_of(url, _ROOTS)
    if all(isinstance(part, str) for part in parts):
        return wrapped(literal(url)) if "{" in url or "${" in url else url
    if not isinstance(parts[0], str):
        raise UnsupportedExpression("a url that begins with a template")
    in_path = True
    written = []
    for part in parts:
        if isinstance(part, str):
            in_path = in_path and "?" not in part and "#" not in part
            written.append(literal(part))
        else:
            program = program_of(part.expression, of_reference)
            written.append(f"({program} | {'segment' if in_path else 'tostring | @uri'})")
    program = " + ".join(written)
    return wrapped((_DOTS if "| segment)" in program else "") + program)
