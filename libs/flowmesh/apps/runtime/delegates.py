"""Named services as `step.delegate` calls them."""

from flowmesh.apps.data.effects import EFFECT_KEY
from flowmesh.apps.document.model import AppDocument
from flowmesh.apps.http.messages import Request, Response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.wiring.ports import (
    COMPONENT,
    DELEGATE,
    HANDLER,
    MACHINE,
    TRANSFORMER,
    WORKFLOW,
    Delegate,
)
from flowmesh.apps.wiring.registry import ServiceRegistry
from flowmesh.contract.json_value import Json


def put_delegates(document: AppDocument, registry: ServiceRegistry) -> None:
    """Offer every callable service under its name; unresolved names answer 501."""
    for module in document.modules:
        found = _of(module.name, registry)
        if found is not None:
            registry.put(DELEGATE, module.name, found)
    for name in registry.names(WORKFLOW):
        if registry.get(DELEGATE, name) is None:
            registry.put(DELEGATE, name, _workflow(name, registry))
    for each in document.all_pipelines():
        for step in each.steps:
            name = str(step.config.get("service", ""))
            if step.type == "step.delegate" and registry.get(DELEGATE, name) is None:
                registry.put(DELEGATE, name, _missing(name))


def _of(name: str, registry: ServiceRegistry) -> Delegate | None:
    if registry.get(COMPONENT, name) is not None:
        return _component(name, registry)
    if registry.get(MACHINE, name) is not None:
        return _machine(name, registry)
    if registry.get(TRANSFORMER, name) is not None:
        return _transformer(name, registry)
    if registry.get(HANDLER, name) is not None:
        return _handler(name, registry)
    return None


def _handler(name: str, registry: ServiceRegistry) -> Delegate:
    async def call(_operation: str, _value: Json, request: Request | None) -> Json:
        if request is None:
            text = f"{name} answers requests, and this run has none"
            raise HttpProblem(501, "NOT_IMPLEMENTED", text)
        if effect := EFFECT_KEY.get():
            request = request.with_header(b"idempotency-key", effect.encode("latin-1"))
        answer = registry.need(HANDLER, name)(request)
        return answer if isinstance(answer, Response) else await answer

    return call


def _transformer(name: str, registry: ServiceRegistry) -> Delegate:
    async def call(operation: str, value: Json, _request: Request | None) -> Json:
        return await registry.need(TRANSFORMER, name).transform(operation, value)

    return call


def _component(name: str, registry: ServiceRegistry) -> Delegate:
    async def call(operation: str, value: Json, _request: Request | None) -> Json:
        return await registry.need(COMPONENT, name).call(operation, value)

    return call


def _machine(name: str, registry: ServiceRegistry) -> Delegate:
    """Return the delegate of an engine: the operation is a transition, without one it reads."""

    async def call(operation: str, value: Json, _request: Request | None) -> Json:
        given = value if isinstance(value, dict) else {}
        id = str(given.get("instance") or given.get("instanceId") or given.get("id") or "")
        if not id:
            raise HttpProblem(422, "INSTANCE_UNNAMED", "the input names no instance")
        engine = registry.need(MACHINE, name)
        if operation in ("", "get"):
            return (await engine.get(id)).document()
        data = given.get("data")
        values = data if isinstance(data, dict) else {}
        cause = EFFECT_KEY.get()
        return (await engine.fire_once(id, operation, values, cause=cause)).document()

    return call


def _workflow(name: str, registry: ServiceRegistry) -> Delegate:
    async def call(operation: str, value: Json, _request: Request | None) -> Json:
        data = value if isinstance(value, dict) else {"input": value}
        return await registry.need(WORKFLOW, name).start(operation, dict(data))

    return call


def _missing(name: str) -> Delegate:
    async def call(_operation: str, _value: Json, _request: Request | None) -> Json:
        raise HttpProblem(501, "NOT_IMPLEMENTED", f"there is no service {name!r}")

    return call
