"""openapi.consumer: the operations of an OpenAPI document as a service."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson
import yaml

from flowmesh.apps.http.messages import json_or_text
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.http_client import HttpClient
from flowmesh.apps.modules.module import Module, Setting
from flowmesh.apps.pipeline.steps.values import violations_of
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid, Unavailable
from flowmesh.schemas.compiling import RemoteReference, compiled

METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
DOCUMENT_BYTES_MAX = 8 * 1024 * 1024
TIMEOUT_S = 30.0
_PLACE = re.compile(r"\{([^{}]+)\}")
_AUTH = ("bearer", "basic", "apikey")


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation: where its inputs go, and the schemas of its body and answers."""

    id: str
    method: str
    path: str
    places: Mapping[str, str]
    required: frozenset[str]
    validators: Mapping[str, Any]
    body: Any
    body_required: bool
    answers: Mapping[str, Any]


class OpenApiService:
    """Calls operations by their id; requests and answers are checked by their schemas."""

    def __init__(
        self,
        *,
        name: str,
        client: HttpClient,
        base: str,
        headers: Mapping[str, str],
        fields: Mapping[str, str],
    ) -> None:
        self._name = name
        self._client = client
        self._base = base
        self._headers = headers
        self._fields = fields
        self._operations: dict[str, Operation] = {}

    def load(self, document: Json, source: str) -> None:
        """Read a document. Raises Invalid."""
        if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
            text = f"{self._name}: {source} is no OpenAPI document with paths"
            raise Invalid("OPENAPI_INVALID", text)
        base = self._base or _server(document, source)
        if not base.startswith(("http://", "https://")):
            text = f"{self._name}: the document names no server; give baseURL"
            raise Invalid("OPENAPI_INVALID", text)
        self._base = base.rstrip("/")
        for path, item in document["paths"].items():
            for method in METHODS:
                raw = item.get(method) if isinstance(item, dict) else None
                if isinstance(raw, dict):
                    found = _operation(self._name, document, path, method, item, raw)
                    self._operations[found.id] = found

    async def call(self, operation: str, value: Json) -> Json:
        """Call an operation with named inputs; `body` is its body, or all that is left.

        Raises HttpProblem: 404 for an unknown operation, 422 for inputs that do not fit, 502 for
        an answer that fails or does not fit.
        """
        found = self._operations.get(operation)
        if found is None:
            known = ", ".join(list(self._operations)[:20])
            text = f"unknown operation {operation[:80]!r}; known: {known}"
            raise HttpProblem(404, "OPERATION_NOT_FOUND", text)
        given = dict(value) if isinstance(value, dict) else {}
        given = {self._fields.get(key, key): each for key, each in given.items()}
        url, headers, body = self._request(found, given)
        answer = await self._client.send(
            found.method, url, {**headers, **self._headers}, body, TIMEOUT_S
        )
        content = json_or_text(answer.body) if answer.body else None
        if answer.status >= 400:
            text = f"{operation} answered {answer.status}"
            status = 404 if answer.status == 404 else 502
            raise HttpProblem(status, "UPSTREAM_FAILED", text)
        validator = found.answers.get(str(answer.status)) or found.answers.get("default")
        problems = violations_of(validator, content) if validator is not None else []
        if problems:
            text = f"the answer of {operation} does not fit its schema: {problems[0]['message']}"
            raise HttpProblem(502, "UPSTREAM_INVALID", text, violations=problems)
        return {"status": answer.status, "body": content}

    def _request(
        self, operation: Operation, given: dict[str, Json]
    ) -> tuple[str, dict[str, str], bytes | None]:
        """Return address, headers and body. Raises HttpProblem for inputs that do not fit."""
        problems: list[dict[str, Json]] = []
        values: dict[str, dict[str, Json]] = {"path": {}, "query": {}, "header": {}, "cookie": {}}
        for name, place in operation.places.items():
            value = given.pop(name, None)
            if value is None:
                if name in operation.required:
                    problems.append({"field": name, "message": f"{name} is missing"})
                continue
            values[place][name] = value
            validator = operation.validators.get(name)
            for each in violations_of(validator, value) if validator is not None else ():
                problems.append({**each, "field": name})
        body = given.get("body", given or None)
        if operation.body is not None and body is not None:
            problems += violations_of(operation.body, body)
        elif operation.body_required and body is None:
            problems.append({"field": "body", "message": "the body is missing"})
        if problems:
            text = f"the input of {operation.id} does not fit: {problems[0]['message']}"
            raise HttpProblem(422, "VALIDATION_FAILED", text, violations=problems)
        path = _PLACE.sub(
            lambda m: quote(str(values["path"].get(m[1], "")), safe=""), operation.path
        )
        query = urlencode({k: _text(v) for k, v in values["query"].items()})
        url = f"{self._base}{path}" + (f"?{query}" if query else "")
        headers = {name: _text(each) for name, each in values["header"].items()}
        if operation.body is None or body is None:
            return url, headers, None
        return url, {"Content-Type": "application/json", **headers}, orjson.dumps(body)


def consumer(setting: Setting) -> Module:
    """Build openapi.consumer. Raises Invalid for a wrong document or credentials."""
    config = setting.config
    file, address = str(config.get("specFile") or ""), str(config.get("specUrl") or "")
    if bool(file) == bool(address):
        raise setting.invalid("give specFile or specUrl")
    client = HttpClient(policy=setting.policy)
    made = OpenApiService(
        name=setting.name,
        client=client,
        base=str(config.get("baseURL") or ""),
        headers=_credentials(setting, config.get("auth") or {}),
        fields={str(k): str(v) for k, v in (config.get("fieldMapping") or {}).items()},
    )
    if file:
        made.load(_parsed(setting.name, setting.path(file).read_bytes()), file)

    async def start() -> None:
        if not address:
            return
        headers = {"Accept": "application/json"}
        try:
            answer = await client.send("GET", address, headers, None, TIMEOUT_S)
        except HttpProblem as problem:
            raise Unavailable("OPENAPI_UNAVAILABLE", f"{setting.name}: {problem.detail}") from None
        if answer.status != 200:
            text = f"{setting.name}: {address} answered {answer.status}"
            raise Unavailable("OPENAPI_UNAVAILABLE", text)
        made.load(_parsed(setting.name, answer.body), address)

    return Module(name=setting.name, services={"Component": made}, start=start, stop=client.stop)


def _parsed(name: str, raw: bytes) -> Json:
    if len(raw) > DOCUMENT_BYTES_MAX:
        raise Invalid("OPENAPI_INVALID", f"{name}: the document is larger than 8 MiB")
    try:
        return orjson.loads(raw) if raw.lstrip()[:1] == b"{" else yaml.safe_load(raw)
    except (orjson.JSONDecodeError, yaml.YAMLError):
        raise Invalid("OPENAPI_INVALID", f"{name}: the document is neither JSON nor YAML") from None


def _credentials(setting: Setting, raw: Mapping[str, Json]) -> dict[str, str]:
    kind = str(raw.get("type") or "").lower()
    if not raw:
        return {}
    if kind not in _AUTH:
        raise setting.invalid(f"auth.type is one of {', '.join(_AUTH)}, not {kind!r}")
    if kind == "bearer":
        return {"Authorization": f"Bearer {raw.get('token', '')}"}
    if kind == "basic":
        pair = f"{raw.get('username', '')}:{raw.get('password', '')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {str(raw.get("header") or "X-API-Key"): str(raw.get("key") or raw.get("token") or "")}


def _server(document: Mapping[str, Json], source: str) -> str:
    servers = document.get("servers")
    first = servers[0].get("url") if isinstance(servers, list) and servers else ""
    if isinstance(first, str) and first.startswith("/") and source.startswith("http"):
        parts = urlsplit(source)
        return f"{parts.scheme}://{parts.netloc}{first}"
    return str(first or "")


def _resolved(document: Json, raw: Json) -> Json:
    """Return an object in place of a reference to it within the document."""
    for _ in range(20):
        if not isinstance(raw, dict) or "$ref" not in raw:
            return raw
        found: Json = document
        for word in str(raw["$ref"]).removeprefix("#/").split("/"):
            word = word.replace("~1", "/").replace("~0", "~")
            found = found.get(word) if isinstance(found, dict) else None
        raw = found
    return None


def _validator(name: str, document: Mapping[str, Json], schema: Json) -> Any:
    """Compile a schema whose references lead into the document; None without one.

    Raises Invalid for a reference to another document.
    """
    if not isinstance(schema, dict):
        return None
    whole = {**schema, "components": document.get("components", {})}
    try:
        return compiled(whole, validate_formats=True)
    except RemoteReference as error:
        raise Invalid("SCHEMA_REMOTE_REF", f"{name}: {error}") from None
    except ValueError:
        return None


def _operation(
    name: str,
    document: Mapping[str, Json],
    path: str,
    method: str,
    item: Mapping[str, Json],
    raw: Mapping[str, Json],
) -> Operation:
    places: dict[str, str] = {}
    required: set[str] = set()
    validators: dict[str, Any] = {}
    for each in (*(item.get("parameters") or ()), *(raw.get("parameters") or ())):
        parameter = _resolved(document, each)
        if not isinstance(parameter, dict) or "name" not in parameter:
            text = f"{name}: {method.upper()} {path} has a parameter that cannot be read"
            raise Invalid("OPENAPI_INVALID", text)
        key = str(parameter["name"])
        places[key] = str(parameter.get("in") or "query")
        if parameter.get("required") is True or places[key] == "path":
            required.add(key)
        validators[key] = _validator(name, document, parameter.get("schema"))
    body = _resolved(document, raw.get("requestBody"))
    answers = {}
    for status, answer in (raw.get("responses") or {}).items():
        schema = _schema_of(_resolved(document, answer))
        answers[str(status)] = _validator(name, document, schema)
    content = _schema_of(body)
    return Operation(
        id=str(raw.get("operationId") or f"{method.upper()} {path}"),
        method=method.upper(),
        path=path,
        places=places,
        required=frozenset(required),
        validators=validators,
        body=_validator(name, document, content if content is not None else {}) if body else None,
        body_required=isinstance(body, dict) and body.get("required") is True,
        answers=answers,
    )


def _schema_of(raw: Json) -> Json:
    content = raw.get("content") if isinstance(raw, dict) else None
    for kind, each in content.items() if isinstance(content, dict) else ():
        if "json" in kind and isinstance(each, dict):
            return each.get("schema")
    return None


def _text(value: Json) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
