"""`http.request` and `webhook`: one request; its parsed response is the output of the step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

import orjson

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.contract.json_value import Json
from flowmesh.egress import (
    EgressBlocked,
    EgressFailure,
    Response,
    TimedOut,
    TooManyRedirects,
)
from flowmesh.egress.bodies import RESPONSE_BYTES_MAX
from flowmesh.errors import FlowmeshError
from flowmesh.executors import failures
from flowmesh.executors.base import Attempt, Executor, Output, Sender, Step
from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.executors.http.answers import NowUs, output_of
from flowmesh.executors.http.authentication import Authenticating, with_authentication
from flowmesh.executors.scopes import (
    compiled,
    rendered,
    results_read,
    roots_of,
    scope_of,
)
from flowmesh.expressions import Reference, compile_template, compile_text
from flowmesh.telemetry import current_traceparent

_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_FORM = "application/x-www-form-urlencoded"

Scope = dict[str, Json]
Body = Callable[[Scope, Attempt], bytes | None]


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the request: constant, or rendered for each attempt."""

    render: Callable[[Scope], str]
    references: tuple[Reference, ...] = ()
    constant: bool = True


@dataclass(frozen=True, slots=True)
class _Body:
    """The builder of the body, its default content type, and its references."""

    render: Body
    content_type: str = ""
    references: tuple[Reference, ...] = ()
    constant: bool = True


@dataclass(frozen=True, slots=True)
class Request:
    """A compiled HTTP request."""

    method: str
    url: _Part
    headers: dict[str, _Part]
    body: Body
    # The default of the step; empty without a body.
    content_type: str
    dialect: int
    references: tuple[Reference, ...]
    constant: bool
    response_bytes_max: int


class HttpStep(Step):
    def __init__(self, request: Request, egress: Sender, now_us: NowUs) -> None:
        self._request = request
        self._egress = egress
        self._now_us = now_us
        self._results = results_read(request.references)

    async def run(self, attempt: Attempt) -> Output:
        request = self._request
        scope: Scope = {}
        if not request.constant:
            scope = scope_of(request.dialect, attempt, self._now_us(), self._results)
        url = rendered(request.url.render, scope)
        headers = {n: rendered(part.render, scope) for n, part in request.headers.items()}
        body = rendered(lambda filled: request.body(filled, attempt), scope)
        response = await call(
            self._egress,
            attempt,
            request.method,
            url,
            headers=headers,
            body=body,
            content_type=request.content_type,
            response_bytes_max=request.response_bytes_max,
        )
        return output_of(response, self._now_us)


async def call(
    egress: Sender,
    attempt: Attempt,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None,
    content_type: str,
    response_bytes_max: int = RESPONSE_BYTES_MAX,
) -> Response:
    """Send one request of an attempt and return its response. Raises TaskFailure.

    `content_type` is the default of the body; a header overrides it.
    """
    try:
        return await egress.send(
            method,
            url,
            headers=_with_defaults(headers, attempt, content_type if body is not None else ""),
            body=body,
            timeout_ms=attempt.timeout_ms,
            response_bytes_max=response_bytes_max,
        )
    except TimedOut as error:
        raise TaskFailure(failures.TIMEOUT, str(error)) from error
    except TooManyRedirects as error:
        raise TaskFailure(failures.CLIENT, str(error)) from error
    except EgressFailure as error:
        raise TaskFailure(failures.NETWORK, str(error)) from error
    except EgressBlocked as error:
        details = {"reason": error.reason}
        raise TaskFailure(failures.EGRESS_BLOCKED, error.message, details=details) from error
    except FlowmeshError as error:
        raise invalid(error.message, reason=error.reason) from error


def _with_defaults(
    headers: Mapping[str, str], attempt: Attempt, content_type: str
) -> dict[str, str]:
    given = {name.lower() for name in headers}
    defaults = {
        "Idempotency-Key": attempt.task.idempotency_key,
        "traceparent": current_traceparent() or attempt.task.traceparent,
        "Content-Type": content_type,
    }
    added = {n: value for n, value in defaults.items() if value and n.lower() not in given}
    return {**headers, **added}


def http_executor(egress: Sender, now_us: NowUs) -> Executor:
    """Return the executor of `http.request`."""

    authenticating = Authenticating(egress, now_us)

    def prepare(spec: TaskSpec, config: dict[str, Json]) -> HttpStep:
        if config.get("authentication"):
            return HttpStep(_request(spec, with_authentication(config)), authenticating, now_us)
        return HttpStep(_request(spec, config), egress, now_us)

    return prepare


def webhook_executor(egress: Sender, now_us: NowUs) -> Executor:
    """Return the executor of `webhook`: a POST of `payload`, or of the task's input."""

    def prepare(spec: TaskSpec, config: dict[str, Json]) -> HttpStep:
        as_request = {"method": "POST", "url": config.get("url"), "headers": config.get("headers")}
        if config.get("payload") is not None:
            as_request["body"] = config["payload"]
        else:
            as_request["send_context"] = True
        return HttpStep(_request(spec, as_request), egress, now_us)

    return prepare


def _request(spec: TaskSpec, config: dict[str, Json]) -> Request:
    roots = roots_of(spec.dialect)
    given_headers = config.get("headers") or {}
    if not isinstance(given_headers, dict):
        raise invalid("the step's headers are not an object")
    # The place of each part makes its `uuid()` unique; the body has its own places.
    url = _text(config.get("url"), roots, "url", "the url")
    headers = {
        name: _text(value, roots, "header", f"the header {name}")
        for name, value in given_headers.items()
    }
    given_type = next(
        (str(v).lower() for n, v in given_headers.items() if n.lower() == "content-type"), ""
    )
    body = _body(config, roots, given_type)
    parts: list[_Part | _Body] = [url, body, *headers.values()]
    return Request(
        method=str(config.get("method") or "GET"),
        url=url,
        headers=headers,
        body=body.render,
        content_type=body.content_type,
        dialect=spec.dialect,
        references=tuple(found for part in parts for found in part.references),
        constant=all(part.constant for part in parts),
        response_bytes_max=min(
            int(config.get("max_response_bytes") or RESPONSE_BYTES_MAX), RESPONSE_BYTES_MAX
        ),
    )


def _text(value: Json, roots: tuple[str, ...], mode: Literal["url", "header"], at: str) -> _Part:
    if value is None:
        raise invalid("the step has no url")
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    template = compiled(lambda: compile_text(text, roots, mode, at))
    return _Part(template.render, template.references, template.constant)


def _body(config: dict[str, Json], roots: tuple[str, ...], given_type: str) -> _Body:
    body = config.get("body")
    if body is None:
        if config.get("send_context"):
            return _Body(_input_as_body, _JSON)
        return _Body(_no_body)
    if isinstance(body, str):
        is_json = "json" in given_type if given_type else body.lstrip()[:1] in ("{", "[")
        mode: Literal["json", "text"] = "json" if is_json else "text"
        text = compiled(lambda: compile_text(body, roots, mode))
        return _Body(
            lambda scope, _: text.render(scope).encode(),
            _JSON if is_json else _TEXT,
            text.references,
            text.constant,
        )
    template = compiled(lambda: compile_template(body, roots))
    made = (template.references, template.constant)
    if given_type.startswith(_FORM):
        return _Body(lambda scope, _: form_of(template.render(scope)), _FORM, *made)
    if template.constant:
        fixed = orjson.dumps(body)
        return _Body(lambda _, __: fixed, _JSON)
    return _Body(lambda scope, _: orjson.dumps(template.render(scope)), _JSON, *made)


def _input_as_body(_scope: Scope, attempt: Attempt) -> bytes:
    return attempt.input_bytes or b"null"


def _no_body(_scope: Scope, _attempt: Attempt) -> None:
    return None


def form_of(value: Json) -> bytes:
    """Encode an object as a form. Raises TaskFailure for other values."""
    if not isinstance(value, dict):
        raise invalid("a form body must be an object")
    pairs = [
        (name, each)
        for name, given in value.items()
        for each in (given if isinstance(given, list) else [given])
    ]
    return urlencode([(name, _form_value(each)) for name, each in pairs]).encode()


def _form_value(value: Json) -> str:
    """Return text unchanged, an empty text for null, and other values as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
