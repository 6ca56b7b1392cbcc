"""Runs of pipelines without a request: from messages, schedules, hooks and triggers."""

from collections.abc import Mapping
from typing import Protocol

from flowmesh.apps.http.bodies import body_of
from flowmesh.apps.http.messages import Request, Response, json_or_text
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.pipeline.run import Run
from flowmesh.apps.wiring.ports import Port
from flowmesh.contract.json_value import Json


class Pipeline(Protocol):
    """A pipeline that can be run: inline, or as an execution of a suite."""

    @property
    def name(self) -> str: ...

    async def handle(self, request: Request, data: dict[str, Json] | None = None) -> Response:
        """Answer a request with a run on this data, by default on the parameters of its path."""

    async def execute(self, run: Run) -> None:
        """Run all steps. Raises HttpProblem."""

    def result(self, run: Run) -> Json:
        """Return the result of a run that has not answered."""


# A step that passes the data on passes no credentials on.
_CREDENTIALS = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"x-api-key"})


def request_data(request: Request) -> dict[str, Json]:
    """Return the data of a pipeline that a request triggers: the fields of its query, its body and
    its path, and the request itself.

    A field of the body wins over the query, one of the path over both.
    """
    body = _content(request)
    return {
        **request.query,
        **(body if isinstance(body, dict) else {}),
        **request.params,
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": {
            str(k, "latin-1"): str(v, "latin-1")
            for k, v in request.headers
            if k not in _CREDENTIALS
        },
        "body": body,
    }


def _content(request: Request) -> Json:
    """Return the body as data; as text if it is of another form than JSON and forms."""
    if not request.body:
        return None
    media = request.header(b"content-type").partition(";")[0].strip().lower()
    if media.startswith("text/") or media.endswith(("xml", "octet-stream")):
        return request.body.decode("utf-8", "replace")
    return body_of(request)


async def run_with(program: Pipeline, value: Json, meta: Mapping[str, Json] | None = None) -> Json:
    """Run a pipeline on a value and return its result. Raises HttpProblem.

    The body of a JSON answer is the result; an answer of 400 or more is a failure.
    """
    data = dict(value) if isinstance(value, dict) else {"input": value}
    run = Run(data, meta={"pipeline": program.name, **(meta or {})})
    await program.execute(run)
    return result_of(run.response) if run.response is not None else program.result(run)


def result_of(response: Response) -> Json:
    """Return the value of an answer. Raises HttpProblem for a status of 400 or more."""
    if response.status >= 400:
        text = f"the pipeline answered {response.status}"
        raise HttpProblem(response.status, "PIPELINE_ANSWERED", text)
    if not response.body:
        return None
    return json_or_text(response.body)


PIPELINE: Port[Pipeline] = Port("Pipeline")
