"""Starts of durable runs: by requests, by triggers, by messages and by other pipelines."""

from collections.abc import Mapping
from typing import Any

from flowmesh.apps.data.effects import EFFECT_KEY
from flowmesh.apps.document.model import TriggerSpec
from flowmesh.apps.durable.messages import input_of, problem_of_failure
from flowmesh.apps.durable.names import REQUEST_DIGEST_CHARACTERS, caller_of, digest_of, slug
from flowmesh.apps.durable.suite import Suite
from flowmesh.apps.durable.worker import DurableWork, RunWorker
from flowmesh.apps.http.messages import Request, Response, json_response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.pipeline.journal import answer_of
from flowmesh.apps.pipeline.run import Run
from flowmesh.contract.json_value import Json
from flowmesh.errors import Conflict, Invalid, NotFound, Timeout
from flowmesh.sdk.client.handle import Handle
from flowmesh.sdk.values.executions import Status
from flowmesh.sdk.values.failures import ExecutionFailed

EXECUTION = b"flowmesh-execution"
KEY_CHARACTERS_MAX = 255
WAIT_S_MAX = 30.0
_LOOK_S = 0.001
_RESULT = "(result)"


class DurablePipeline:
    """A pipeline whose runs are executions of the suite; used as an inline one is.

    Inside of another durable run it is a part of that run, and inside of one step of it a part of
    this step: a run of its own could start twice, and wait for a slot that its caller holds.
    """

    def __init__(self, *, work: DurableWork, worker: RunWorker, wait_s: float) -> None:
        self._work = work
        self._worker = worker
        self._wait_s = wait_s

    @property
    def name(self) -> str:
        return self._work.name

    @property
    def place(self) -> str:
        """The path template at which a run is read."""
        return f"/executions/{slug(self.name)}/{{execution}}"

    def location(self, execution_id: str) -> bytes:
        return self.place.replace("{execution}", execution_id).encode()

    async def handle(self, request: Request, data: dict[str, Json] | None = None) -> Response:
        """Start a run under the Idempotency-Key, and answer with its answer or 202."""
        trigger = {**request.params} if data is None else data
        given = input_of(Run(trigger, request=request))
        handle = await self.begin_for(request, given, wait_s=self._wait_s)
        return await self._answer(handle, _LOOK_S)

    async def begin_for(self, request: Request, given: Json, *, wait_s: float = 0.0) -> Handle:
        """Start a run for a request; a repeated key is the same run. Raises HttpProblem."""
        key = request.header(b"idempotency-key")
        if len(key) > KEY_CHARACTERS_MAX:
            text = f"an Idempotency-Key has at most {KEY_CHARACTERS_MAX} characters"
            raise HttpProblem(422, "IDEMPOTENCY_KEY_INVALID", text)
        caller = caller_of(request.auth)
        labels = {"caller": caller} if caller else {}
        if not key:
            return await self._start(given, "", labels, wait_s)
        parts = (request.method, request.path, request.raw_query, request.body)
        labels["content"] = digest_of([str(each) for each in parts], REQUEST_DIGEST_CHARACTERS)
        request_id = self._request_id("request", request.method, request.path, caller, key)
        return await self._start(given, request_id, labels, wait_s)

    async def read(self, request: Request) -> Response:
        """Answer with the state of a run: 202 while it runs, then its answer."""
        missing = HttpProblem(404, "EXECUTION_NOT_FOUND", f"{self.name} has no such run")
        handle = self._worker.suite.client.handle(request.params["execution"])
        try:
            found = await handle.describe()
        except (NotFound, Invalid):
            raise missing from None
        if found.workflow_id != self._work.workflow:
            raise missing
        if found.search.get("label.caller", "") != caller_of(request.auth):
            raise missing
        try:
            wait_s = min(max(float(request.query.get("wait", 0)), 0.0), WAIT_S_MAX)
        except ValueError:
            text = f"wait is a number of seconds, at most {WAIT_S_MAX:g}"
            raise HttpProblem(400, "REQUEST_INVALID", text) from None
        return await self._answer(handle, max(wait_s, _LOOK_S))

    async def execute(self, run: Run) -> None:
        """Run to the end: a part of a durable run, or an execution. Raises HttpProblem."""
        if self._is_part(run):
            await self._work.work.execute(run)
            return
        handle = await self._start(input_of(run), self._cause(run), {}, 0.0)
        output = await _output(handle)
        if "response" in output:
            run.response = answer_of(output["response"])
            return
        result = output.get("result")
        run.steps[_RESULT] = result
        run.current = dict(result) if isinstance(result, dict) else {"result": result}

    def result(self, run: Run) -> Json:
        """Return the result of a run that has not answered."""
        return self._work.work.result(run) if self._is_part(run) else run.steps.get(_RESULT)

    def _is_part(self, run: Run) -> bool:
        return run.journal is not None or bool(EFFECT_KEY.get())

    async def begin(
        self, trigger: TriggerSpec, data: dict[str, Json], cause: str, caller: str = ""
    ) -> Handle:
        """Start a run for a trigger; a repeated cause is the same run."""
        place = "/".join(map(str, trigger.at.keys))
        request_id = self._request_id("trigger", place, cause, caller) if cause else ""
        run = Run(data, meta={"action": trigger.action})
        labels = {"caller": caller} if caller else {}
        if trigger.kind == "http" and cause:
            labels["content"] = digest_of(data, REQUEST_DIGEST_CHARACTERS)
        return await self._start(input_of(run), request_id, labels, 0.0)

    async def start(self, action: str, data: dict[str, Json]) -> Json:
        """Run as the workflow of a trigger, and return the result. Raises HttpProblem."""
        run = Run(data, meta={"action": action})
        await self.execute(run)
        return self.result(run)

    def _cause(self, run: Run) -> str:
        """Return the request id of a run with a cause: a message, or an instant of a job."""
        meta = run.meta
        if meta.get("messageId"):
            return self._request_id("message", meta.get("topic"), meta["messageId"])
        if meta.get("job") and run.trigger.get("scheduledAt"):
            return self._request_id("job", meta["job"], run.trigger["scheduledAt"])
        return ""

    def _request_id(self, *cause: Json) -> str:
        return f"{self._work.workflow}:{digest_of(list(cause), REQUEST_DIGEST_CHARACTERS)}"

    async def _start(
        self, given: Json, request_id: str, labels: Mapping[str, str], wait_s: float
    ) -> Handle:
        client = self._worker.suite.client
        try:
            return await client.start(
                self._work.workflow,
                {"digest": self._work.digest, **given},
                request_id=request_id,
                version=self._worker.version(self._work),
                wait=wait_s,
                labels=labels,
            )
        except Conflict as error:
            if error.reason != "REQUEST_ID_REUSED":
                raise
        return await self._earlier(request_id, labels.get("content", ""), wait_s)

    async def _earlier(self, request_id: str, content: str, wait_s: float) -> Handle:
        """Return the run that a request id started: of another form, or by other headers."""
        client = self._worker.suite.client
        where = f'requestId = "{request_id}"'
        async for each in client.list_executions(filter=where, page_size=1):
            handle = client.handle(each.id)
            if (await handle.describe()).search.get("label.content", "") == content:
                await _waited(handle, wait_s)
                return handle
        text = "the Idempotency-Key was used with another request"
        raise HttpProblem(422, "IDEMPOTENCY_KEY_REUSED", text)

    async def _answer(self, handle: Handle, wait_s: float) -> Response:
        if not await _waited(handle, wait_s):
            return self.accepted(handle.id)
        tag = (EXECUTION, handle.id.encode())
        try:
            output = await _output(handle)
        except HttpProblem as problem:
            problem.headers = (*problem.headers, tag)
            raise
        if "response" not in output:
            return json_response(output.get("result"), headers=[tag])
        response = answer_of(output["response"])
        response.headers.append(tag)
        return response

    def accepted(self, execution_id: str, status: str = "running") -> Response:
        """Return the answer of a run that has not ended."""
        headers = [
            (b"location", self.location(execution_id)),
            (b"retry-after", b"1"),
            (EXECUTION, execution_id.encode()),
        ]
        return json_response({"status": status, "executionId": execution_id}, 202, headers)


class SuiteWorkflow:
    """A workflow that is registered with the suite, as the workflow of triggers."""

    def __init__(self, name: str, *, app: str, suite: Suite) -> None:
        self._name = name
        self._app = app
        self._suite = suite

    @property
    def place(self) -> str:
        """Empty: the executions of other workflows are not read here."""
        return ""

    def location(self, _execution_id: str) -> bytes:
        return b""

    async def read(self, _request: Request) -> Response:
        raise HttpProblem(404, "ROUTE_NOT_FOUND", "no route serves this path")

    async def begin(
        self, trigger: TriggerSpec, data: dict[str, Json], cause: str, caller: str = ""
    ) -> Handle:
        """Start an execution; its request id is made of app, trigger and cause."""
        place = "/".join(map(str, trigger.at.keys))
        parts = [self._app, place, trigger.kind, cause, caller]
        digest = digest_of(parts, REQUEST_DIGEST_CHARACTERS)
        return await self._started(data, f"app.{slug(self._app)}:{digest}" if cause else "")

    async def start(self, action: str, data: dict[str, Json]) -> Json:
        """Run an execution to its end and return the output. Raises HttpProblem."""
        return await _output(await self._started(data, EFFECT_KEY.get()))

    async def _started(self, data: dict[str, Json], request_id: str) -> Handle:
        try:
            return await self._suite.client.start(self._name, data, request_id=request_id)
        except NotFound as error:
            text = f"neither the application nor its suite has a workflow {self._name!r}"
            raise HttpProblem(501, "NOT_IMPLEMENTED", text) from error


async def _waited(handle: Handle, wait_s: float) -> bool:
    """Wait for the end of an execution; return whether it has ended."""
    try:
        await handle.wait(wait_s)
    except Timeout:
        return False
    return True


async def _output(handle: Handle) -> Any:
    """Wait for the end and return the output. Raises HttpProblem."""
    try:
        return await handle.result()
    except ExecutionFailed as failed:
        if failed.status == Status.FAILED:
            raise problem_of_failure(failed.failure) from None
        text = f"the run {handle.id} was {failed.status} by an operator"
        raise HttpProblem(500, "EXECUTION_FAILED", text) from None
