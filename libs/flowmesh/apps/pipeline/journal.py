"""Durable runs: steps with effects are journaled, the others are computed again in every pass.

One interpreter runs both kinds of runs. A run with a journal takes the journaled form of its
steps; a step of this form does its work once, and later passes get the recorded result.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import orjson

from flowmesh.apps.document.model import StepSpec
from flowmesh.apps.http.messages import Response, dump
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.pipeline.run import Output, Run, StepCall
from flowmesh.contract.json_value import Json

# Steps without effects. The steps inside of foreach and pipeline have their own records.
_RECOMPUTED = frozenset(
    {
        *("step.set", "step.conditional", "step.validate", "step.request_parse", "step.log"),
        *("step.json_response", "step.raw_response", "step.foreach", "step.pipeline"),
    }
)


class Journal(Protocol):
    """The journal of a durable run."""

    @property
    def replaying(self) -> bool:
        """True while recorded results are delivered."""

    def uuid(self) -> str:
        """Return a random UUID that is equal in every pass."""

    def now(self) -> str:
        """Return the time of the last record, equal in every pass."""

    async def effect(self, name: str, work: Callable[[], Awaitable[Json]]) -> Json:
        """Do the work once and return its recorded result. Raises HttpProblem."""


def has_effect(spec: StepSpec) -> bool:
    """Return whether the result of a step is recorded."""
    if spec.type == "step.transform":
        return spec.config.get("operations") is None
    return spec.type not in _RECOMPUTED


def journaled(name: str, call: StepCall, timeout_s: float) -> StepCall:
    """Return the journaled form of a step with an effect; its timeout counts where it works."""

    async def recorded_call(run: Run) -> Output:
        journal = run.journal
        assert journal is not None

        async def work() -> Json:
            async with asyncio.timeout(timeout_s or None):
                result = call(run)
                output = result if isinstance(result, dict) else await result
            return {"output": output, **await _ending(run)}

        recorded = await journal.effect(name, work)
        _apply_ending(run, recorded)
        output: Output = recorded["output"]
        return output

    return recorded_call


def logged_once(call: StepCall) -> StepCall:
    """Return a step that does nothing while its run is replayed."""

    def first_time(run: Run) -> Any:
        journal = run.journal
        return {} if journal is not None and journal.replaying else call(run)

    return first_time


async def whole(run: Run) -> Json:
    """Return the record of a run that is one effect."""
    return {"steps": run.steps, "current": run.current, **await _ending(run)}


def apply_whole(run: Run, recorded: Mapping[str, Json]) -> None:
    """Set the state of a run to that of a record."""
    run.steps, run.current = dict(recorded["steps"]), dict(recorded["current"])
    _apply_ending(run, recorded)


async def _ending(run: Run) -> dict[str, Json]:
    return {} if run.response is None else {"response": await answer_document(run.response)}


def _apply_ending(run: Run, recorded: Mapping[str, Json]) -> None:
    answer = recorded.get("response")
    if answer is not None:
        run.response = answer_of(answer)


async def answer_document(response: Response) -> dict[str, Json]:
    """Return an answer as JSON: the body as data, as text, or else as base64."""
    if response.stream is not None:
        response.body = b"".join([chunk async for chunk in response.stream])
        response.stream = None
    headers = [[str(k, "latin-1"), str(v, "latin-1")] for k, v in response.headers]
    found: dict[str, Json] = {"status": response.status, "headers": headers}
    body = response.body
    if any(key == b"content-type" and b"json" in value for key, value in response.headers):
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            value = None
        if value is not None and dump(value) == body:
            return {**found, "body": value}
    try:
        return {**found, "text": body.decode()} if body else found
    except UnicodeDecodeError:
        return {**found, "base64": base64.b64encode(body).decode()}


def answer_of(document: Mapping[str, Json]) -> Response:
    """Return the answer of a document of `answer_document`."""
    if "body" in document:
        body = dump(document["body"])
    elif "base64" in document:
        body = base64.b64decode(document["base64"])
    else:
        body = str(document.get("text", "")).encode()
    headers = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in document["headers"]]
    return Response(document["status"], body, b"", headers)


def problem_document(problem: HttpProblem) -> dict[str, Json]:
    """Return a problem as JSON, with all that its answer needs."""
    found: dict[str, Json] = {
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "pipeline": problem.pipeline,
        "step": problem.step,
    }
    if problem.violations:
        found["violations"] = list(problem.violations)
    if problem.headers:
        found["headers"] = [[str(k, "latin-1"), str(v, "latin-1")] for k, v in problem.headers]
    return found


def problem_from(document: Mapping[str, Json]) -> HttpProblem:
    """Return the problem of a document of `problem_document`."""
    headers = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in document.get("headers", ())]
    problem = HttpProblem(
        document["status"],
        document["code"],
        document["detail"],
        violations=document.get("violations", ()),
        headers=headers,
    )
    return problem.at(document["pipeline"], document["step"])
