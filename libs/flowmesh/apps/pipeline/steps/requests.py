"""Steps around a request: parse it, answer it."""

from typing import Any
from urllib.parse import parse_qsl

from flowmesh.apps.http.messages import Request, Response, dump
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.pipeline.context import StepContext
from flowmesh.apps.pipeline.run import Output, Run, StepCall
from flowmesh.apps.pipeline.templates import as_text
from flowmesh.jsontext.integers import is_whole

Json = Any

FORM_FIELDS_MAX = 1_000
_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"


def request_parse(context: StepContext) -> StepCall:
    """Compile step.request_parse. Without a request, the data of the trigger is parsed."""
    config = context.spec.config
    params, queries = config.get("path_params"), config.get("query_params")
    fields, headers = config.get("fields"), config.get("parse_headers")
    names = [(name, name.lower().encode()) for name in headers or ()]
    reads_body = bool(config.get("parse_body")) or bool(fields)

    def call(run: Run) -> Output:
        request = run.request
        if request is None:
            return {"path_params": {}, "query": {}, "body": run.trigger, "headers": {}}
        output: Output = {
            "path_params": {name: request.params.get(name) for name in params}
            if params
            else dict(request.params),
        }
        if request.raw_query:
            found = request.query
            output["query"] = {n: found[n] for n in queries if n in found} if queries else found
        else:
            output["query"] = {}
        output["headers"] = {name: request.header(key) for name, key in names}
        if reads_body:
            body = body_of(request)
            output["body"] = body
            for name in fields or ():
                output[name] = body.get(name) if isinstance(body, dict) else None
        return output

    return call


def body_of(request: Request) -> Json:
    """Return the body as data: JSON, a form, or multipart fields. Raises HttpProblem."""
    media = request.header(b"content-type").partition(";")[0].strip().lower()
    # `curl -d` sends JSON under the type of forms, and no form begins with a brace.
    if media == _FORM and request.body[:1] not in (b"{", b"["):
        try:
            text = request.body.decode("utf-8")
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX))
        except (UnicodeDecodeError, ValueError):
            raise HttpProblem(400, "FORM_INVALID", "the form cannot be read") from None
    if media == _MULTIPART:
        return _multipart(request)
    value = request.json()
    return {} if value is None else value


def _multipart(request: Request) -> Json:
    from email.parser import BytesParser
    from email.policy import HTTP

    head = b"content-type: " + request.header(b"content-type").encode("latin-1") + b"\r\n\r\n"
    message = BytesParser(policy=HTTP).parsebytes(head + request.body)
    if not message.is_multipart():
        raise HttpProblem(400, "FORM_INVALID", "the multipart body has no parts")
    found: dict[str, Json] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        content = payload if isinstance(payload, bytes) else b""
        if name and part.get_filename():
            found[str(name)] = {
                "filename": part.get_filename(),
                "content_type": part.get_content_type(),
                "size": len(content),
                "text": content.decode("utf-8", "replace"),
            }
        elif name:
            found[str(name)] = content.decode("utf-8", "replace")
    return found


def json_response(context: StepContext) -> StepCall:
    """Compile step.json_response; it ends the run."""
    status = _status(context)
    headers = context.value("headers")
    body, source = context.value("body"), context.path("body_from")

    def call(run: Run) -> Output:
        if source is not None:
            value = source(run)
        elif body is not None:
            value = body(run)
        else:
            value = run.current
        response = Response(status(run), dump(value))
        if headers is not None:
            _add_headers(response, headers(run))
        run.response = response
        return {}

    return call


def raw_response(context: StepContext) -> StepCall:
    """Compile step.raw_response; it ends the run."""
    status = _status(context)
    headers, body = context.value("headers"), context.value("body")
    content_type = str(context.spec.config["content_type"]).encode("latin-1")

    def call(run: Run) -> Output:
        text = as_text(body(run)) if body is not None else ""
        response = Response(status(run), text.encode(), content_type)
        if headers is not None:
            _add_headers(response, headers(run))
        run.response = response
        return {}

    return call


def _status(context: StepContext) -> Any:
    raw = context.spec.config.get("status", 200)
    if isinstance(raw, str) and "{{" in raw:
        render = context.value("status")
        return lambda run: _checked_status(render(run) if render is not None else 200)
    try:
        number = _checked_status(raw)
    except HttpProblem as problem:
        context.error("APP_CONFIG_INVALID", problem.detail, "status")
        number = 200
    return lambda _run: number


def _checked_status(value: Json) -> int:
    if is_whole(str(value)) and 200 <= int(value) <= 599:
        return int(value)
    raise HttpProblem(500, "STATUS_INVALID", f"a status is a number from 200 to 599, not {value!r}")


def _add_headers(response: Response, values: Json) -> None:
    for name, value in values.items() if isinstance(values, dict) else ():
        text = as_text(value)
        if any(ord(character) < 32 for character in f"{name}{text}"):
            raise HttpProblem(
                500, "HEADER_INVALID", f"the header {name!r} holds control characters"
            )
        response.set(name.lower().encode("latin-1"), text.encode("utf-8"))
