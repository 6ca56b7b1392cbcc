"""Calls of Serverless Workflow tasks: HTTP, OpenAPI, and JavaScript in the sandbox."""

import base64
from urllib.parse import quote, urlencode

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.egress import Response
from flowmesh.executors.base import Attempt, Sender
from flowmesh.executors.code.javascript import sandbox_failures, sandbox_timeout_ms
from flowmesh.executors.failures import invalid
from flowmesh.executors.http.answers import NowUs, failure_of, value_of
from flowmesh.executors.http.authentication import Authenticating, internal_headers
from flowmesh.executors.http.request import call
from flowmesh.executors.serverless.openapi import Operations
from flowmesh.sandbox import Sandbox

_REDIRECTED, _FAILED = 300, 400


class Calls:
    """HTTP calls and scripts within the common limits of tasks."""

    def __init__(
        self, egress: Sender, sandbox: Sandbox, now_us: NowUs, operations: Operations
    ) -> None:
        self._egress = egress
        self._operations = operations
        self._authenticating = Authenticating(egress, now_us)
        self._sandbox = sandbox
        self._now_us = now_us

    async def http(
        self, request: dict[str, Json], config: dict[str, Json], attempt: Attempt
    ) -> Json:
        """Return the response in the form `config["answer"]`: content, response or raw."""
        method = config["method"]
        url = with_query(_endpoint(request.get("uri")), request.get("query"))
        auth = request.get("auth") or {}
        headers = {**headers_of(request.get("headers")), **authorization_of(auth)}
        sender, sent = self._egress, headers
        if "oauth2" in auth:
            sender, sent = (
                self._authenticating,
                {**headers, **internal_headers(_client(auth["oauth2"]))},
            )
        body, content_type = body_of(request)
        response = await call(
            sender,
            attempt,
            method,
            url,
            headers=sent,
            body=body,
            content_type=content_type,
        )
        if response.status >= (_FAILED if config.get("redirect") else _REDIRECTED):
            raise failure_of(response, self._now_us)
        if config["answer"] == "raw":
            return base64.b64encode(response.body).decode()
        content = value_of(response, self._now_us)
        if config["answer"] == "content":
            return content
        return _described(method, url, headers, response, content)

    async def openapi(
        self, request: dict[str, Json], config: dict[str, Json], attempt: Attempt
    ) -> Json:
        """Call an operation; the result has the forms of `http`."""
        given = request.get("parameters") or {}
        if not isinstance(given, dict):
            raise invalid("the parameters of an operation are an object")
        url = _endpoint(request.get("document"))
        operation = await self._operations.find(url, config["operation"], attempt)
        asked = {**operation.request(given), "auth": request.get("auth")}
        return await self.http(asked, {**config, "method": operation.method}, attempt)

    async def script(
        self, config: dict[str, Json], arguments: Json, environment: Json, attempt: Attempt
    ) -> Json:
        """Run code and return its result; arguments are a list, or variables as an object."""
        argv = ["javascript", config["name"]]
        variables: dict[str, Json] = {}
        if isinstance(arguments, list):
            argv += arguments
        elif isinstance(arguments, dict):
            variables = arguments
        else:
            raise invalid("the arguments of a script are a list or an object")
        variables = {"process": {"argv": argv, "env": environment}, **variables}
        with sandbox_failures():
            return await self._sandbox.run(config["code"], variables, sandbox_timeout_ms(attempt))


def _described(
    method: str, url: str, headers: dict[str, str], response: Response, content: Json
) -> Json:
    shown = {n: v for n, v in headers.items() if n.lower() != "authorization"}
    return {
        "request": {"method": method, "uri": url, "headers": shown},
        "statusCode": response.status,
        "headers": response.headers,
        "content": content,
    }


def _endpoint(uri: Json) -> str:
    if not isinstance(uri, str):
        raise invalid("the endpoint is not a text")
    return uri


def with_query(url: str, query: Json) -> str:
    """Return the URL with added query parameters; null ones are omitted."""
    if query is None:
        return url
    if not isinstance(query, dict):
        raise invalid("the query is an object")
    pairs = [(name, _text(value)) for name, value in query.items() if value is not None]
    if not pairs:
        return url
    return url + ("&" if "?" in url else "?") + urlencode(pairs, quote_via=quote)


def headers_of(headers: Json) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, dict):
        raise invalid("the headers are an object")
    return {name: _text(value) for name, value in headers.items() if value is not None}


def body_of(request: dict[str, Json]) -> tuple[bytes | None, str]:
    """Return the body and its content type; text is sent as text, other values as JSON."""
    body = request.get("body")
    if body is None:
        return None, ""
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return orjson.dumps(body), "application/json"


def _client(oauth2: dict[str, Json]) -> dict[str, Json]:
    """Return the client credentials and the token endpoint."""
    for key, value in oauth2.items():
        if not isinstance(value, str) or not value:
            raise invalid(f"the {key} of oauth2 must be a text")
    return {"type": "oauth2", **oauth2}


def authorization_of(auth: dict[str, Json]) -> dict[str, str]:
    """Return the header of credentials that need no token request."""
    if "token" in auth:
        return {"Authorization": f"Bearer {_text(auth['token'])}"}
    if "username" not in auth:
        return {}
    pair = f"{_text(auth.get('username'))}:{_text(auth.get('password'))}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _text(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
