"""Triggers of HTTP: a request starts the action of a workflow."""

import asyncio
import secrets

import orjson

from flowmesh.apps.document.model import TriggerSpec
from flowmesh.apps.durable.names import caller_of
from flowmesh.apps.http.messages import Handle, Request, Response, json_response
from flowmesh.apps.http.problems import HttpProblem, problem_of
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.pipeline.run import Run
from flowmesh.apps.pipeline.starting import Pipeline
from flowmesh.apps.runtime.machines import MachineWorkflow
from flowmesh.apps.runtime.receivers import Producer, as_message
from flowmesh.apps.wiring.ports import DURABLE_WORKFLOW, WORKFLOW, DurableStartable, Port, Startable
from flowmesh.apps.wiring.registry import ServiceRegistry
from flowmesh.contract.json_value import Json


class PipelineWorkflow:
    """A pipeline as a workflow."""

    def __init__(self, program: Pipeline) -> None:
        self._program = program

    async def start(self, action: str, data: dict[str, Json]) -> Json:
        run = Run(data, meta={"pipeline": self._program.name, "action": action})
        await self._program.execute(run)
        return self._program.result(run)


class Background:
    """Runs that nothing waits for; they end before the application stops."""

    def __init__(self, log: LogHub) -> None:
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, workflow: Startable, name: str, action: str, data: dict[str, Json]) -> str:
        """Start a run and return its id."""
        id = f"run-{secrets.token_hex(8)}"
        task = asyncio.create_task(self._run(workflow, name, action, data, id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return id

    async def drain(self, timeout_s: float) -> None:
        """Wait for running work; cancel what is not done in time."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout_s)
            for each in late:
                each.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(
        self, workflow: Startable, name: str, action: str, data: dict[str, Json], id: str
    ) -> None:
        try:
            await workflow.start(action, data)
        except Exception as error:  # noqa: BLE001 - the log is its only reader
            problem = problem_of(error)
            self._log.write(
                "error", "triggers", f"{name} failed: {problem.detail}", runId=id, code=problem.code
            )


def start_handler(trigger: TriggerSpec, registry: ServiceRegistry) -> Handle:
    """Return the handler of an HTTP trigger: 202 with the id, or the result with `wait`."""
    params = trigger.config.get("params")
    waits = trigger.config.get("wait") is True

    async def handle(request: Request) -> Response:
        workflow = registry.get(WORKFLOW, trigger.workflow)
        if workflow is None:
            raise HttpProblem(501, "NOT_IMPLEMENTED", f"there is no workflow {trigger.workflow!r}")
        data = data_of(request) | (params if isinstance(params, dict) else {})
        if waits:
            return json_response(await workflow.start(trigger.action, data))
        if isinstance(workflow, MachineWorkflow):
            # A transition is committed or refused before its effects run.
            changed = await workflow.start(trigger.action, data)
            id = changed["instanceId"]
            return json_response({"status": "accepted", "executionId": id, **changed}, 202)
        durable: DurableStartable | None = registry.get(DURABLE_WORKFLOW, trigger.workflow)
        if durable is not None:
            return await _begin(durable, trigger, data, request)
        background = registry.need(BACKGROUND)
        id = background.start(workflow, trigger.workflow, trigger.action, data)
        return json_response({"status": "accepted", "executionId": id}, 202)

    return handle


async def _begin(
    durable: DurableStartable, trigger: TriggerSpec, data: dict[str, Json], request: Request
) -> Response:
    """Start an execution under the Idempotency-Key of a request."""
    key, caller = request.header(b"idempotency-key"), caller_of(request.auth)
    id = (await durable.begin(trigger, data, key, caller)).id
    place = durable.location(id)
    headers = [(b"location", place)] if place else []
    return json_response({"status": "accepted", "executionId": id}, 202, headers)


def data_of(request: Request) -> dict[str, Json]:
    """Return the data of a run that a request starts: its query, path and body."""
    body = request.json() if request.body else None
    data: dict[str, Json] = {**request.query, **request.params}
    return data | (body if isinstance(body, dict) else {"body": body} if body is not None else {})


def then_start(handle: Handle, trigger: TriggerSpec, registry: ServiceRegistry) -> Handle:
    """Return a handler that starts the action of a trigger on its own route, after its answer.

    The data of the run is the request with the answer over it. With `wait`, and for a state
    machine, a failure of the action is that of the request.
    """
    params = trigger.config.get("params")

    async def handle_both(request: Request) -> Response:
        answer = handle(request)
        response = answer if isinstance(answer, Response) else await answer
        workflow = registry.get(WORKFLOW, trigger.workflow)
        if response.status >= 400 or workflow is None:
            return response
        data = data_of(request)
        try:
            answered = orjson.loads(response.body) if response.body else None
        except orjson.JSONDecodeError:
            answered = None
        data |= answered if isinstance(answered, dict) else {}
        data |= params if isinstance(params, dict) else {}
        durable: DurableStartable | None = registry.get(DURABLE_WORKFLOW, trigger.workflow)
        if trigger.config.get("wait") is True or isinstance(workflow, MachineWorkflow):
            await workflow.start(trigger.action, data)
        elif durable is not None:
            await _begin(durable, trigger, data, request)
        else:
            background = registry.need(BACKGROUND)
            background.start(workflow, trigger.workflow, trigger.action, data)
        return response

    return handle_both


def emitting_handler(handle: Handle, producer: Producer) -> Handle:
    """Return a handler whose requests are published, once it has answered them."""

    async def handle_both(request: Request) -> Response:
        answer = handle(request)
        response = answer if isinstance(answer, Response) else await answer
        if response.status < 400:
            value = request.json() if request.body else data_of(request)
            await producer.emit(value, as_message(request.route, value, request.id))
        return response

    return handle_both


BACKGROUND: Port[Background] = Port("Background")
