"""Flows of modules: their calls of modules, and their starts by requests and messages."""

from collections.abc import Mapping

from flowmesh.apps.document.flows import CALL, is_step
from flowmesh.apps.document.model import AppDocument, FlowSpec, ModuleSpec
from flowmesh.apps.http.messages import Handle, Request, Response, json_response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.machines.definition import Definition, State
from flowmesh.apps.machines.engine import MachineEngine
from flowmesh.apps.messaging.event_bus import event_view
from flowmesh.apps.messaging.messages import Message, new_id
from flowmesh.apps.pipeline.run import Output, Run
from flowmesh.apps.pipeline.starting import Pipeline, result_of
from flowmesh.apps.pipeline.steps.modules import (
    FLOW_CALL,
    VIEWS,
    FlowCall,
    NewData,
    payload_of,
    request_for,
)
from flowmesh.apps.runtime.receivers import Receive
from flowmesh.apps.runtime.triggers import data_of
from flowmesh.apps.wiring.ports import (
    BROKER,
    COMPONENT,
    HANDLER,
    MACHINE,
    RECEIVER,
    TRANSFORMER,
    WORKFLOW,
)
from flowmesh.apps.wiring.registry import ServiceRegistry
from flowmesh.contract.json_value import Json


def put_flows(
    document: AppDocument, registry: ServiceRegistry, programs: Mapping[str, Pipeline]
) -> None:
    """Offer the flows under the names of their first modules, `programs` by these names."""
    modules = {each.name: each for each in document.modules}
    called = {s.name for flow in document.flows for s in flow.pipeline.steps if s.type == CALL}
    for module in document.modules:
        if module.name in called and (call := _call_of(module, document, registry)) is not None:
            registry.put(FLOW_CALL, module.name, call)
    for flow in document.flows:
        module = modules[flow.entry]
        running = Flow(flow, programs[flow.entry])
        if is_step(module):
            registry.put(HANDLER, module.name, running.handle)
            registry.put(RECEIVER, module.name, running.receive)
            if registry.get(WORKFLOW, module.name) is None:
                registry.put(WORKFLOW, module.name, running)
        elif (receive := registry.get(RECEIVER, module.name)) is not None:
            registry.put(RECEIVER, module.name, running.behind_receiver(receive))
        elif (handle := registry.get(HANDLER, module.name)) is not None:
            plain = module.type == "http.handler" and module.config.get("body") is None
            status = int(module.config["status"]) if plain else 0
            registry.put(HANDLER, module.name, running.behind_handler(handle, status))


class Flow:
    """A flow that runs. It is a workflow, a handler of requests and one of messages."""

    def __init__(self, spec: FlowSpec, program: Pipeline) -> None:
        self._roots = spec.roots
        self._program = program

    async def start(self, action: str, data: dict[str, Json]) -> Json:
        return await self._result(self._run(data, {"action": action}))

    async def handle(self, request: Request) -> Response:
        """Answer a request: with the answer of the flow, or with its data."""
        run = self._run(data_of(request), {"runId": request.id}, request=request)
        await self._program.execute(run)
        return run.response or json_response(payload_of(run))

    async def receive(self, message: Message) -> Json:
        return await self._received(message, message.value)

    def behind_receiver(self, receive: Receive) -> Receive:
        """Return a receiver that handles a message, and then runs the flow with the result."""

        async def call(message: Message) -> Json:
            return await self._received(message, await receive(message))

        return call

    def behind_handler(self, handle: Handle, status: int) -> Handle:
        """Return a handler whose requests run the flow; its own answer is that without another.

        With a status, the answer is the data of the flow in place of that of the handler.
        """

        async def call(request: Request) -> Response:
            run = self._run(data_of(request), {"runId": request.id}, request=request)
            await self._program.execute(run)
            if run.response is not None:
                return run.response
            if status:
                return json_response(payload_of(run), status)
            answer = handle(request)
            return answer if isinstance(answer, Response) else await answer

        return call

    async def _received(self, message: Message, value: Json) -> Json:
        meta = {"topic": message.topic, "messageId": message.id, "attempt": message.attempt}
        return await self._result(self._run(value, meta, event=_event(message, value)))

    async def _result(self, run: Run) -> Json:
        await self._program.execute(run)
        return result_of(run.response) if run.response is not None else payload_of(run)

    def _run(
        self,
        value: Json,
        meta: Mapping[str, Json],
        *,
        request: Request | None = None,
        event: Json = None,
    ) -> Run:
        data = dict(value) if isinstance(value, dict) else {"input": value}
        views = dict.fromkeys(self._roots, data) | ({} if event is None else {"event": event})
        views = {name: view for name, view in views.items() if name not in data}
        about = {"pipeline": self._program.name, VIEWS: views, **meta}
        return Run({**data, **views}, request=request, meta=about)


def _event(message: Message, value: Json) -> dict[str, Json]:
    """Return a message as expressions see it: `event.type`, `event.category`, `event.data`."""
    about = event_view(message)
    return {
        "category": about["type"].partition(".")[0],
        **about,
        "data": value,
        **(value if isinstance(value, dict) else {}),
    }


def _call_of(
    module: ModuleSpec, document: AppDocument, registry: ServiceRegistry
) -> FlowCall | None:
    name = module.name
    if registry.get(BROKER, name) is not None:
        return _publishing(module, document, registry)
    if (engine := registry.get(MACHINE, name)) is not None:
        return _opening(module, document, engine)
    if (transformer := registry.get(TRANSFORMER, name)) is not None:

        async def transform(value: dict[str, Json], _request: Request | None) -> NewData:
            return NewData(await transformer.transform("", value))

        return transform
    if (component := registry.get(COMPONENT, name)) is not None:
        sends = module.type != "dynamic.component"

        async def call(value: dict[str, Json], _request: Request | None) -> NewData | Output:
            result = await component.call("", value)
            return {} if sends else NewData(result)

        return call
    if (handle := registry.get(HANDLER, name)) is not None:

        async def answer(value: dict[str, Json], request: Request | None) -> Response:
            found = handle(request if request is not None else request_for(value))
            return found if isinstance(found, Response) else await found

        return answer
    return None


def _publishing(module: ModuleSpec, document: AppDocument, registry: ServiceRegistry) -> FlowCall:
    """Return the call of a broker: the data is published on its topics."""
    listed = module.config.get("topics") or []
    topics = [str(each) for each in listed if "*" not in str(each) and ">" not in str(each)]
    if not topics:
        message = f"{module.name} is the end of a flow, and has no topics to publish its data on"
        document.findings.error("APP_CONFIG_INVALID", message, module.at)
    broker = registry.need(BROKER, module.name)

    async def publish(value: dict[str, Json], _request: Request | None) -> Output:
        key = str(value.get("instanceId") or value.get("id") or "")
        for topic in topics:
            await broker.publish(topic, value, key=key)
        return {}

    return publish


def _opening(module: ModuleSpec, document: AppDocument, engine: MachineEngine) -> FlowCall:
    """Return the call of a state machine: an instance is opened, in its initial state.

    An engine without definitions has one of its own name, with the initial state alone.
    """
    initial = str(module.config.get("initial_state") or "")

    async def open_instance(value: dict[str, Json], _request: Request | None) -> Output:
        id = str(value.get("instanceId") or value.get("id") or new_id())
        workflow = str(value.get("workflowType") or next(iter(engine.definitions)))
        try:
            state = await engine.open(workflow=workflow, instance=id, data=value)
        except HttpProblem as problem:
            if problem.code != "INSTANCE_EXISTS":
                raise
            state = (await engine.get(id)).state
        return {"instanceId": id, "state": state}

    if not engine.definitions and initial:
        states = {initial: State(initial)}
        engine.add(Definition(engine.name, initial, states, {}))
    elif not engine.definitions:
        message = f"{module.name} ends a flow, and has neither definitions nor an initial_state"
        document.findings.error("APP_CONFIG_INVALID", message, module.at)
    return open_instance
