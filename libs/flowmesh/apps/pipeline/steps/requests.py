"""Steps around a request: parse it, answer it."""

from typing import Any

from flowmesh.apps.http.bodies import body_of
from flowmesh.apps.http.messages import Response, dump
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.pipeline.context import StepContext
from flowmesh.apps.pipeline.run import Output, Run, StepCall
from flowmesh.apps.pipeline.templates import as_text
from flowmesh.contract.json_value import Json
from flowmesh.jsontext.integers import is_whole


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
