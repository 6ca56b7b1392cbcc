"""Parts that several formats read alike: retry policies, callbacks, HTTP requests."""

import re

from flowmesh.contract import plugin_functions
from flowmesh.contract.json_value import Json
from flowmesh.definitions import limits
from flowmesh.definitions.constant_parts import check_url
from flowmesh.definitions.model import Callbacks, Retry
from flowmesh.definitions.reading.reader import Reader
from flowmesh.expressions.secrets import (
    REFERENCE_FORM,
    is_malformed_reference,
    is_secret_reference,
)
from flowmesh.sandbox.typescript import TypeScriptInvalid, javascript_of

SCRIPTS = ("JAVASCRIPT", "TYPESCRIPT")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_RETRY = "RETRY_INVALID"


def node_list(reader: Reader, key: str, what: str = "workflow") -> list[Json]:
    """Return the nodes of a graph: at least one, at most NODES_MAX."""
    if not reader.has(key):
        reader.missing(key, "the list of nodes to run")
    nodes, path = reader.items(key), (*reader.path, key)
    if len(nodes) > limits.NODES_MAX:
        message = f"a {what} has at most {limits.NODES_MAX:,} nodes, this one {len(nodes):,}"
        reader.problems.add("GRAPH_TOO_LARGE", message, path)
        return []
    if not nodes and isinstance(reader.raw(key), list):
        reader.problems.add("GRAPH_EMPTY", f"a {what} needs at least one node", path)
    return nodes


def transform_config(reader: Reader) -> dict[str, Json]:
    """Return the code, the pipeline or the function of a transform; empty without one."""
    config: dict[str, Json] = {}
    if reader.has("code"):
        config["code"] = reader.required_text("code", "JavaScript that returns the output")
    if reader.has("pipeline"):
        config["pipeline"] = reader.items("pipeline")
    if reader.has("function"):
        config["function"] = _plugin_function(reader)
    if len(config) > 1:
        message = f"a transform has one of {', '.join(config)}, not {len(config)} of them"
        path = (*reader.path, next(iter(config)))
        reader.problems.add("DEFINITION_INVALID", message, path, at_key=True)
    return config


def _plugin_function(reader: Reader) -> str:
    found = reader.text("function")
    if isinstance(reader.raw("function"), str) and not re.match(plugin_functions.PATTERN, found):
        reader.wrong("function", "the function of a plugin, such as plugin:title-case")
    return found


def retry_of(
    reader: Reader,
    defaults: Retry,
    *,
    multiplier: str,
    initial_delay_ms: int,
    max_delay_ms: int,
    max_elapsed_ms: int = 0,
) -> Retry:
    """Return a retry policy; the format has read its delays."""
    most = limits.RETRY_ATTEMPTS_MAX
    return Retry(
        max_attempts=reader.integer("maxAttempts", defaults.max_attempts, 1, most, _RETRY),
        initial_delay_ms=initial_delay_ms,
        multiplier=reader.number(
            multiplier, defaults.multiplier, 1, limits.RETRY_MULTIPLIER_MAX, _RETRY
        ),
        max_delay_ms=max_delay_ms,
        jitter=reader.number("jitter", 0.0, 0, 1, _RETRY),
        retry_on=_classes(reader, "retryOn"),
        never_on=_classes(reader, "neverOn"),
        max_elapsed_ms=max_elapsed_ms,
    )


def _classes(reader: Reader, key: str) -> tuple[str, ...]:
    classes: list[str] = []
    named = reader.items(key)
    if len(named) > limits.RETRY_CLASSES_MAX:
        message = f"{key} names at most {limits.RETRY_CLASSES_MAX} failure classes"
        reader.problems.add(_RETRY, message, (*reader.path, key))
        named = []
    for index, value in enumerate(named):
        if isinstance(value, str) and 0 < len(value) <= limits.ID_CHARACTERS_MAX:
            classes.append(value)
        else:
            path = (*reader.path, key, index)
            reader.problems.add(_RETRY, f"{key} holds names of failure classes", path)
    return tuple(classes)


def callbacks_of(reader: Reader) -> Callbacks:
    secret = reader.text("secret")
    if is_malformed_reference(secret):
        reader.problems.add("DEFINITION_INVALID", REFERENCE_FORM, (*reader.path, "secret"))
    return Callbacks(
        on_complete=url_of(reader, "onComplete"),
        on_failure=url_of(reader, "onFailure"),
        on_step=url_of(reader, "onStep"),
        secret=secret,
    )


def url_of(reader: Reader, key: str, *, required: bool = False) -> str:
    """Return a URL, which may begin with a template; a constant one must be http or https."""
    value = reader.text(key, most=limits.URL_CHARACTERS_MAX)
    if not value:
        if required and not isinstance(reader.raw(key), str):
            if not reader.has(key):
                reader.missing(key, "an http or https URL")
        elif required:
            reader.problems.add("DEFINITION_INVALID", f"{key} is empty", (*reader.path, key))
        return ""
    if is_secret_reference(value):
        return value
    if not value.lower().startswith(("http://", "https://", "{{")):
        message = f"{key} must begin with http:// or https://"
        reader.problems.add("DEFINITION_INVALID", message, (*reader.path, key))
    else:
        check_url(value, (*reader.path, key), reader.problems)
    return value


def other_project(body: Reader) -> dict[str, Json]:
    """Return the other project that a task calls, if any, and the secret with the key for it."""
    config: dict[str, Json] = {}
    if body.has("project"):
        config["project"] = body.identifier("project", "the namespace of another project")
    if not body.has("credential"):
        return config
    path = (*body.path, "credential")
    if "project" not in config:
        message = "a credential needs project, the project that it is for"
        body.problems.add("DEFINITION_INVALID", message, path, at_key=True)
    credential = body.required_text("credential", REFERENCE_FORM)
    if credential and not is_secret_reference(credential):
        message = f"the API key must be a secret of this project: {REFERENCE_FORM}"
        body.problems.add("DEFINITION_INVALID", message, path)
    return config | {"credential": credential}


def method_of(reader: Reader) -> str:
    return reader.choice("method", METHODS, "GET")


def javascript(reader: Reader, key: str) -> str:
    """Return code as JavaScript; `language` may be TypeScript."""
    code = reader.required_text(key, "JavaScript that returns the output")
    if reader.choice("language", SCRIPTS, SCRIPTS[0]) != "TYPESCRIPT":
        return code
    try:
        return javascript_of(code)
    except TypeScriptInvalid as error:
        message = f"not TypeScript: {error}"
        reader.problems.add("EXPRESSION_INVALID", message, (*reader.path, key))
        return ""


def headers_of(reader: Reader, key: str = "headers") -> dict[str, Json]:
    """Return header names and values; numbers and booleans become text."""
    headers = reader.object(key)
    found: dict[str, Json] = {}
    for name, value in headers.value.items():
        if isinstance(value, bool):
            found[name] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            found[name] = str(value)
        else:
            headers.wrong(name, "a string")
    return found
