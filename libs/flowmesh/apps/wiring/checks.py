"""Checks of the references of routes, triggers and steps."""

from flowmesh.apps.catalog import STEPS
from flowmesh.apps.catalog.table import nearest_names
from flowmesh.apps.document.findings import SourcePath
from flowmesh.apps.document.model import AppDocument, PipelineSpec, RouteSpec, StepSpec
from flowmesh.apps.wiring.plan import Wiring
from flowmesh.contract.json_value import Json


def check_references(document: AppDocument, wiring: Wiring, *, suite: bool = False) -> None:
    """Report names that nothing has: errors, and warnings for handlers and workflows.

    With a suite, the workflows of triggers may be its own.
    """
    for route in document.routes:
        _check_route(route, document, wiring)
    for module in document.modules:
        if module.type == "messaging.handler" and (name := module.config.get("pipeline")):
            _check_pipeline_name(name, document, module.at / "config" / "pipeline")
    for pipeline in document.all_pipelines():
        _check_pipeline(pipeline, document, wiring)
    workflows = _workflow_names(document)
    for trigger in document.triggers:
        if trigger.workflow not in workflows and not suite:
            message = f"there is no workflow {trigger.workflow!r}, and no suite is attached"
            if trigger.kind == "http":
                message += "; its route answers 501"
            document.findings.warn("WORKFLOW_UNRESOLVED", message, trigger.at)


def _workflow_names(document: AppDocument) -> set[str]:
    names = {each.name for each in document.pipelines}
    names |= {flow.entry for flow in document.flows}
    for workflow in document.workflows:
        names.add(workflow.kind)
        names.add(str(workflow.config.get("name") or workflow.kind))
        definitions = workflow.config.get("definitions")
        for each in definitions if isinstance(definitions, list) else ():
            if isinstance(each, dict):
                names.add(str(each.get("name")))
    return names


def _check_route(route: RouteSpec, document: AppDocument, wiring: Wiring) -> None:
    if route.router:
        wiring.resolve("Router", route.router, route.at)
    if route.server:
        wiring.resolve("Server", route.server, route.at)
    for index, name in enumerate(route.middlewares):
        wiring.resolve("Middleware", name, route.at / "middlewares" / index)
    if not route.handler:
        return
    module = document.module(route.handler)
    if module is None and route.pipeline is None:
        message = f"there is no handler {route.handler!r}; its route answers 501"
        document.findings.warn("HANDLER_UNRESOLVED", message, route.at / "handler")
    elif module is not None and "Handler" not in module.descriptor.offers:
        wiring.resolve("Handler", route.handler, route.at / "handler")


def _check_pipeline(pipeline: PipelineSpec, document: AppDocument, wiring: Wiring) -> None:
    for step in (*pipeline.steps, *pipeline.compensation):
        _check_step(step, document, wiring)


def _check_step(step: StepSpec, document: AppDocument, wiring: Wiring) -> None:
    descriptor = STEPS.get(step.type)
    for field in descriptor.fields if descriptor is not None else ():
        name = step.config.get(field.key)
        at = step.at / "config" / field.key
        if field.refers and isinstance(name, str) and name and "{{" not in name:
            wiring.resolve(field.refers, name, at)
    at = step.at
    if step.type == "step.publish" and not step.config.get("broker"):
        wiring.only("Broker", None, at, optional=False)
    if step.type == "step.cache" and not step.config.get("cache"):
        wiring.only("Cache", None, at, optional=False)
    if step.type == "step.delegate":
        _check_delegate(step, document, at)
    if step.type == "step.pipeline":
        _check_pipeline_name(step.config.get("name"), document, at / "config" / "name")


def _check_pipeline_name(name: Json, document: AppDocument, at: SourcePath) -> None:
    known = [each.name for each in document.pipelines]
    if name not in known:
        message = f"there is no pipeline {name!r}{nearest_names(str(name), known)}"
        document.findings.error("SERVICE_UNKNOWN", message, at)


def _check_delegate(step: StepSpec, document: AppDocument, at: SourcePath) -> None:
    name = step.config.get("service")
    known = {each.name for each in document.modules} | {each.name for each in document.pipelines}
    if isinstance(name, str) and name.rpartition(".")[0] not in known and name not in known:
        message = f"there is no service {name!r}; the step answers 501"
        document.findings.warn("HANDLER_UNRESOLVED", message, at / "config" / "service")
