"""Operations of OpenAPI documents as HTTP requests: OpenAPI 3 and Swagger 2, written in JSON.

A document is fetched at first use, and again after five minutes.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urljoin

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.executors.base import Attempt, Sender
from flowmesh.executors.failures import invalid
from flowmesh.executors.http.answers import NowUs, failure_of
from flowmesh.executors.http.request import call

DOCUMENT_BYTES_MAX = 4 * 1024 * 1024
DOCUMENTS_MAX = 100
DOCUMENT_LIFE_US = 300 * 1_000_000
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# The name given to the body of OpenAPI 3, which has none.
BODY = "body"
_FORM = "application/x-www-form-urlencoded"
_FAILED = 300


@dataclass(frozen=True, slots=True)
class Operation:
    """A method, a URL with `{name}` for path parameters, and the locations of parameters."""

    id: str
    method: str
    url: str
    parameters: dict[str, dict[str, Any]]

    def request(self, given: dict[str, Json]) -> dict[str, Json]:
        """Return `uri`, `headers` and `body`. Raises TaskFailure for a wrong parameter."""
        known = ", ".join(self.parameters) or "none"
        for name in given.keys() - self.parameters.keys():
            raise invalid(f"the operation {self.id} has no parameter {name!r}; it has {known}")
        for name, parameter in self.parameters.items():
            if parameter.get("required") and given.get(name) is None:
                raise invalid(f"the operation {self.id} needs the parameter {name!r}")
        url, query = self.url, []
        request: dict[str, Json] = {"headers": {}}
        form: dict[str, Json] = {}
        for name, value in given.items():
            match self.parameters[name]["in"]:
                case _ if value is None:
                    continue
                case "path":
                    url = url.replace(f"{{{name}}}", quote(_text(value), safe=""))
                case "query":
                    query += [(name, _text(item)) for item in _items(value)]
                case "header":
                    request["headers"][name] = _text(value)
                case "formData":
                    form[name] = _text(value)
                case "body":
                    request["body"] = value
                case place:
                    raise invalid(f"the parameter {name!r} is in a {place}, which is not supported")
        if form:
            request["body"] = urlencode(form)
            request["headers"]["Content-Type"] = _FORM
        if query:
            url += ("&" if "?" in url else "?") + urlencode(query, quote_via=quote)
        return {**request, "uri": url}


class Operations(Protocol):
    """Finds operations: `Documents`, or a dry run, which fetches nothing."""

    async def find(self, url: str, operation_id: str, attempt: Attempt) -> Operation:
        """Return the operation. Raises TaskFailure."""


class Documents:
    """A cache of OpenAPI documents."""

    def __init__(self, egress: Sender, now_us: NowUs) -> None:
        self._egress = egress
        self._now_us = now_us
        self._kept: OrderedDict[str, tuple[int, dict[str, Json]]] = OrderedDict()

    async def find(self, url: str, operation_id: str, attempt: Attempt) -> Operation:
        """Return the operation. Raises TaskFailure for a missing document or operation."""
        return operation_of(await self._document(url, attempt), url, operation_id)

    async def _document(self, url: str, attempt: Attempt) -> dict[str, Json]:
        until_us, document = self._kept.get(url, (0, {}))
        if self._now_us() < until_us:
            return document
        response = await call(
            self._egress,
            attempt,
            "GET",
            url,
            headers={"Accept": "application/json"},
            body=None,
            content_type="",
            response_bytes_max=DOCUMENT_BYTES_MAX,
        )
        if response.status >= _FAILED:
            failure = failure_of(response, self._now_us)
            failure.message = f"no OpenAPI document at {url}: {failure.message}"
            raise failure
        try:
            document = orjson.loads(response.body)
        except orjson.JSONDecodeError as error:
            raise invalid(f"the OpenAPI document at {url} is not JSON") from error
        if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
            raise invalid(f"the document at {url} is not an OpenAPI document: it has no paths")
        self._kept[url] = (self._now_us() + DOCUMENT_LIFE_US, document)
        self._kept.move_to_end(url)
        while len(self._kept) > DOCUMENTS_MAX:
            self._kept.popitem(last=False)
        return document


def operation_of(document: dict[str, Json], url: str, operation_id: str) -> Operation:
    """Return an operation of the document at the URL."""
    for path, item in document["paths"].items():
        for method in METHODS:
            operation = item.get(method) if isinstance(item, dict) else None
            if isinstance(operation, dict) and operation.get("operationId") == operation_id:
                base = _server(document, item, operation, url)
                parameters = dict(_parameters(document, item, operation))
                return Operation(operation_id, method.upper(), base.rstrip("/") + path, parameters)
    raise invalid(f"the OpenAPI document at {url} has no operation {operation_id!r}")


def _parameters(
    document: dict[str, Json], item: dict[str, Json], operation: dict[str, Json]
) -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield the parameters of the path, then of the operation, including the body."""
    for given in (*item.get("parameters", ()), *operation.get("parameters", ())):
        parameter = _resolved(document, given)
        if isinstance(parameter.get("name"), str) and isinstance(parameter.get("in"), str):
            yield parameter["name"], parameter
    if "requestBody" in operation:
        body = _resolved(document, operation["requestBody"])
        yield BODY, {"in": "body", "required": body.get("required", False)}


def _resolved(document: dict[str, Json], given: Json) -> dict[str, Json]:
    """Return the target of a reference within the document."""
    if not isinstance(given, dict) or "$ref" not in given:
        return given if isinstance(given, dict) else {}
    found: Json = document
    for part in str(given["$ref"]).removeprefix("#/").split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~"), {})
    return found if isinstance(found, dict) else {}


def _server(
    document: dict[str, Json], item: dict[str, Json], operation: dict[str, Json], url: str
) -> str:
    """Return the base URL of paths; a relative one is resolved against the document."""
    if "swagger" in document:
        schemes = operation.get("schemes") or document.get("schemes") or []
        scheme = f"{schemes[0]}:" if schemes else ""
        host = f"{scheme}//{document['host']}" if "host" in document else ""
        return urljoin(url, f"{host}{document.get('basePath', '/')}")
    for holder in (operation, item, document):
        if servers := holder.get("servers"):
            return urljoin(url, _expanded(servers[0]))
    return urljoin(url, "/")


def _expanded(server: dict[str, Any]) -> str:
    """Return the URL of a server with the defaults of its variables."""
    address = str(server.get("url", "/"))
    for name, variable in (server.get("variables") or {}).items():
        address = address.replace(f"{{{name}}}", str(variable.get("default", "")))
    return address


def _items(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _text(value: Json) -> str:
    """Return a value as text; items of a list are separated by commas."""
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return value if isinstance(value, str) else orjson.dumps(value).decode()
