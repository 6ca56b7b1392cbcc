"""The input and the output of a durable run as JSON: its trigger and request, its answer."""

import base64
from collections.abc import Mapping

from flowmesh.apps.http.messages import Request
from flowmesh.apps.http.problems import INTERNAL_TEXT, HttpProblem, problem_of
from flowmesh.apps.pipeline.journal import (
    Journal,
    answer_document,
    problem_document,
    problem_from,
)
from flowmesh.apps.pipeline.run import Run
from flowmesh.contract.json_value import Json
from flowmesh.sdk.durable.failures import OperationFailed
from flowmesh.sdk.values.failures import Failure, TaskFailure

# Credentials are not stored in histories; the others differ between repetitions of a request.
_LEFT_OUT = frozenset(
    {
        *(b"authorization", b"cookie", b"proxy-authorization", b"x-api-key", b"x-auth-token"),
        *(b"connection", b"content-length", b"host", b"traceparent", b"tracestate"),
        *(b"x-request-id", b"date", b"forwarded", b"x-forwarded-for", b"x-real-ip"),
    }
)

# They are those of the execution.
_OF_EACH_RUN = frozenset({"pipeline", "runId", "started_at"})


def request_document(request: Request) -> dict[str, Json]:
    """Return a request as JSON, without credentials."""
    found: dict[str, Json] = {
        "method": request.method,
        "path": request.path,
        "route": request.route,
        "query": str(request.raw_query, "latin-1"),
        "params": dict(request.params),
        "headers": [
            [str(k, "latin-1"), str(v, "latin-1")] for k, v in request.headers if k not in _LEFT_OUT
        ],
        "auth": request.auth,
    }
    if request.body:
        try:
            found["text"] = request.body.decode()
        except UnicodeDecodeError:
            found["base64"] = base64.b64encode(request.body).decode()
    return found


def request_of(document: Mapping[str, Json], id: str) -> Request:
    """Return the request of a document of `request_document`."""
    request = Request(
        method=document["method"],
        path=document["path"],
        headers=[(k.encode("latin-1"), v.encode("latin-1")) for k, v in document["headers"]],
        raw_query=document["query"].encode("latin-1"),
    )
    request.params, request.route, request.auth = (
        document["params"],
        document["route"],
        document["auth"],
    )
    request.id = id
    if "base64" in document:
        request.body = base64.b64decode(document["base64"])
    else:
        request.body = str(document.get("text", "")).encode()
    return request


def input_of(run: Run) -> dict[str, Json]:
    """Return the input of the execution of a run."""
    found: dict[str, Json] = {"trigger": run.trigger}
    if run.meta:
        found["meta"] = {k: v for k, v in run.meta.items() if k not in _OF_EACH_RUN}
    if run.request is not None:
        found["request"] = request_document(run.request)
    return found


def run_of(document: Mapping[str, Json], pipeline: str, id: str, journal: Journal) -> Run:
    """Return the run of an input; its id is that of the execution."""
    raw = document.get("request")
    meta = {"pipeline": pipeline, "runId": id, **document.get("meta", {})}
    request = None if raw is None else request_of(raw, id)
    return Run(document["trigger"], request=request, meta=meta, journal=journal)


async def output_of(run: Run, result: Json) -> dict[str, Json]:
    """Return the output of an execution: the answer of its run, or the result."""
    if run.response is None:
        return {"result": result}
    return {"response": await answer_document(run.response)}


def failure_of(error: Exception) -> TaskFailure:
    """Return an error as a failure of a task, with all that its answer needs."""
    problem = problem_of(error)
    details = {"problem": problem_document(problem)}
    return TaskFailure(problem.code, problem.detail, details=details)


def ended_by(pipeline: str, problem: HttpProblem) -> OperationFailed:
    """Return the failure of a whole run; the SDK reports it without a log line of its own."""
    details = {"problem": problem_document(problem)}
    return OperationFailed(pipeline, Failure(problem.code, problem.detail, details=details))


def problem_of_failure(failure: Failure | None) -> HttpProblem:
    """Return the problem of a failure."""
    details = failure.details if failure is not None else None
    if isinstance(details, dict) and isinstance(details.get("problem"), dict):
        return problem_from(details["problem"])
    if failure is not None and failure.error_class in ("Timeout", "TimeoutError"):
        return problem_of(TimeoutError())
    if failure is not None and failure.error_class == "NON_DETERMINISTIC":
        text = "the pipeline was changed while this run was under way, and cannot continue it"
        return HttpProblem(500, "NON_DETERMINISTIC", text)
    return HttpProblem(500, "INTERNAL", INTERNAL_TEXT)
