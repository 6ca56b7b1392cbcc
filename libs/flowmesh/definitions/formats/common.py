"""What both formats read alike: retry policies, callbacks, HTTP requests."""

from flowmesh.definitions import limits
from flowmesh.definitions.model import Callbacks, Json, Retry
from flowmesh.definitions.reader import Reader

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_RETRY = "RETRY_INVALID"


def node_list(reader: Reader, key: str, what: str = "workflow") -> list[Json]:
    """What a graph is made of: not nothing, and not too much to look at any closer."""
    if not reader.has(key):
        reader.missing(key, "the list of what to run")
    nodes, path = reader.items(key), (*reader.path, key)
    if len(nodes) > limits.NODES_MAX:
        message = f"a {what} has at most {limits.NODES_MAX:,} nodes, this one {len(nodes):,}"
        reader.problems.add("GRAPH_TOO_LARGE", message, path)
        return []
    if not nodes and isinstance(reader.raw(key), list):
        reader.problems.add("GRAPH_EMPTY", f"a {what} needs at least one node", path)
    return nodes


def retry_of(
    reader: Reader,
    defaults: Retry,
    *,
    multiplier: str,
    initial_delay_ms: int,
    max_delay_ms: int,
) -> Retry:
    """A retry policy whose delays the format has read already."""
    most = limits.RETRY_ATTEMPTS_MAX
    classes: list[str] = []
    named = reader.items("retryOn")
    if len(named) > limits.RETRY_CLASSES_MAX:
        message = f"retryOn names at most {limits.RETRY_CLASSES_MAX} failure classes"
        reader.problems.add(_RETRY, message, (*reader.path, "retryOn"))
        named = []
    for index, value in enumerate(named):
        if isinstance(value, str) and 0 < len(value) <= limits.ID_CHARACTERS_MAX:
            classes.append(value)
        else:
            path = (*reader.path, "retryOn", index)
            reader.problems.add(_RETRY, "retryOn holds names of failure classes", path)
    return Retry(
        max_attempts=reader.integer("maxAttempts", defaults.max_attempts, 1, most, _RETRY),
        initial_delay_ms=initial_delay_ms,
        multiplier=reader.number(
            multiplier, defaults.multiplier, 1, limits.RETRY_MULTIPLIER_MAX, _RETRY
        ),
        max_delay_ms=max_delay_ms,
        jitter=reader.number("jitter", 0.0, 0, 1, _RETRY),
        retry_on=tuple(classes),
    )


def callbacks_of(reader: Reader) -> Callbacks:
    return Callbacks(
        on_complete=url_of(reader, "onComplete"),
        on_failure=url_of(reader, "onFailure"),
        on_step=url_of(reader, "onStep"),
        secret=reader.text("secret"),
    )


def url_of(reader: Reader, key: str, *, required: bool = False) -> str:
    """A URL, which may begin with a template; what is constant must be http or https."""
    value = reader.text(key, most=limits.URL_CHARACTERS_MAX)
    if not value:
        if required and not isinstance(reader.raw(key), str):
            if not reader.has(key):
                reader.missing(key, "an http or https URL")
        elif required:
            reader.problems.add("DEFINITION_INVALID", f"{key} is empty", (*reader.path, key))
        return ""
    if not value.lower().startswith(("http://", "https://", "{{")):
        message = f"{key} must begin with http:// or https://"
        reader.problems.add("DEFINITION_INVALID", message, (*reader.path, key))
    return value


def method_of(reader: Reader) -> str:
    return reader.choice("method", METHODS, "GET")


def headers_of(reader: Reader) -> dict[str, Json]:
    """Header names and values; numbers and booleans are written as text."""
    headers = reader.object("headers")
    found: dict[str, Json] = {}
    for name, value in headers.value.items():
        if isinstance(value, bool):
            found[name] = "true" if value else "false"
        elif isinstance(value, str | int | float):
            found[name] = str(value)
        else:
            headers.wrong(name, "a string")
    return found
