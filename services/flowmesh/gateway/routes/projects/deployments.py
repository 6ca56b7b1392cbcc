"""Deployment of workflow versions: a label, the triggers, and a stop that refuses starts.

A version is deployed when the label `deployed` points to it. Stopping a workflow pauses its
triggers, holds its tasks back and refuses its starts; the label stays.
"""

from typing import Literal

from msgspec import UNSET, UnsetType

from flowmesh.api.definition.v1 import definition_service_pb2, version_pb2
from flowmesh.api.definition.v1 import version_service_pb2 as version_pb
from flowmesh.api.event.v1 import trigger_service_pb2 as trigger_pb
from flowmesh.api.execution.v1 import limits_service_pb2 as limit_pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.envelopes import (
    LabelRequest,
    ReasonRequest,
    version_choice,
    version_text,
)
from flowmesh.gateway.bodies.views import instant_or_unset, timestamp
from flowmesh.gateway.http.operation_docs import MANAGE, Answer, Body, Operation, Route
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import (
    CHANGE_ACTOR,
    IDEMPOTENCY_KEY,
    actor_of,
    json_response,
    request_id_of,
)
from flowmesh.gateway.routes.projects.within import PROJECT, in_project

DeploymentWord = Literal["deployed", "stopped", "undeployed"]
LABEL = "deployed"
_TRIGGERS_MAX = 1_000


class DeploymentValue(answers.Answer, kw_only=True):
    """The deployment of a workflow; `triggers` and `pausedTriggers` are numbers."""

    workflow: str
    status: DeploymentWord
    version: int | UnsetType = UNSET
    deployed_at: answers.Instant | UnsetType = UNSET
    deployed_by: str | UnsetType = UNSET
    stopped_at: answers.Instant | UnsetType = UNSET
    stopped_by: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    triggers: int
    paused_triggers: int


async def get_deployment(backends: Backends, request: Request) -> Response:
    return json_response(await _deployment(backends, request))


async def deploy_workflow(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(LabelRequest)
    name = request.param("name")
    # A missing version is refused before anything changes.
    await backends.definitions.GetWorkflow(
        definition_service_pb2.GetWorkflowRequest(
            namespace=request.namespace, workflow_id=name, **version_choice(envelope.version)
        )
    )
    await _start_again(backends, request, envelope.reason)
    await backends.versions.SetLabel(
        version_pb.SetLabelRequest(
            namespace=request.namespace,
            workflow_id=name,
            label=LABEL,
            version=version_text(envelope.version),
            reason=envelope.reason,
            actor=actor_of(request),
            request_id=request_id_of(request, envelope.request_id),
        )
    )
    await _run_triggers(backends, request)
    return json_response(await _deployment(backends, request))


async def rollback_workflow(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(ReasonRequest)
    await backends.versions.RollbackLabel(
        version_pb.RollbackLabelRequest(
            namespace=request.namespace,
            workflow_id=request.param("name"),
            label=LABEL,
            reason=envelope.reason,
            actor=actor_of(request),
            request_id=request_id_of(request, envelope.request_id),
        )
    )
    await _start_again(backends, request, envelope.reason)
    await _run_triggers(backends, request)
    return json_response(await _deployment(backends, request))


async def stop_workflow(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(ReasonRequest)
    # A missing workflow has no label list.
    await _label(backends, request)
    if await _stop(backends, request) is None:
        await backends.limits.StopDispatch(
            limit_pb.StopDispatchRequest(
                namespace=request.namespace,
                workflow_id=request.param("name"),
                refuse_starts=True,
                reason=envelope.reason,
                actor=actor_of(request),
            )
        )
    for state in await _triggers(backends, request):
        if not state.paused:
            await backends.triggers.PauseTrigger(
                trigger_pb.PauseTriggerRequest(
                    namespace=request.namespace,
                    workflow_id=state.workflow_id,
                    trigger_id=state.trigger.id,
                )
            )
    return json_response(await _deployment(backends, request))


async def _start_again(backends: Backends, request: Request, reason: str) -> None:
    if await _stop(backends, request) is not None:
        await backends.limits.StartDispatch(
            limit_pb.StartDispatchRequest(
                namespace=request.namespace,
                workflow_id=request.param("name"),
                reason=reason,
                actor=actor_of(request),
            )
        )


async def _run_triggers(backends: Backends, request: Request) -> None:
    for state in await _triggers(backends, request):
        if state.paused:
            await backends.triggers.ResumeTrigger(
                trigger_pb.ResumeTriggerRequest(
                    namespace=request.namespace,
                    workflow_id=state.workflow_id,
                    trigger_id=state.trigger.id,
                )
            )


async def _deployment(backends: Backends, request: Request) -> DeploymentValue:
    label, stop = await _label(backends, request), await _stop(backends, request)
    triggers = await _triggers(backends, request)
    deployed: DeploymentWord = "deployed" if label is not None else "undeployed"
    value = DeploymentValue(
        workflow=request.param("name"),
        status="stopped" if stop is not None else deployed,
        triggers=len(triggers),
        paused_triggers=sum(state.paused for state in triggers),
    )
    if label is not None:
        value.version = label.version
        value.deployed_at = timestamp(label.moved_at)
        value.deployed_by = label.moved_by or UNSET
    if stop is not None:
        value.stopped_at = instant_or_unset(stop.stopped_at_us)
        value.stopped_by = stop.actor or UNSET
        value.reason = stop.reason or UNSET
    return value


async def _label(backends: Backends, request: Request) -> version_pb2.Label | None:
    found = await backends.versions.ListLabels(
        version_pb.ListLabelsRequest(namespace=request.namespace, workflow_id=request.param("name"))
    )
    return next((label for label in found.labels if label.name == LABEL), None)


async def _stop(backends: Backends, request: Request) -> limit_pb.Stop | None:
    found = await backends.limits.ListLimits(
        limit_pb.ListLimitsRequest(namespace=request.namespace)
    )
    name = request.param("name")
    return next((stop for stop in found.stops if stop.workflow_id == name), None)


async def _triggers(backends: Backends, request: Request) -> list[trigger_pb.TriggerState]:
    found = await backends.triggers.ListTriggers(
        trigger_pb.ListTriggersRequest(
            namespace=request.namespace,
            workflow_id=request.param("name"),
            page_size=_TRIGGERS_MAX,
        )
    )
    return list(found.triggers)


def _changing(summary: str, body: type[ReasonRequest], description: str) -> Operation:
    return Operation(
        tag=MANAGE,
        summary=summary,
        description=description,
        body=Body(body, required=body is LabelRequest),
        headers=(IDEMPOTENCY_KEY, CHANGE_ACTOR),
        answers=(Answer(200, "The new state.", DeploymentValue),),
        errors=(404, 409),
    )


_WORKFLOW = f"{PROJECT}/workflows/{{name}}"
ROUTES = (
    Route(
        "GET",
        f"{_WORKFLOW}/deployment",
        in_project(get_deployment),
        Operation(
            tag=MANAGE,
            summary="Get the deployed version of a workflow and its state",
            answers=(Answer(200, "Found.", DeploymentValue),),
        ),
    ),
    Route(
        "POST",
        f"{_WORKFLOW}:deploy",
        in_project(deploy_workflow),
        _changing(
            "Deploy a version of a workflow",
            LabelRequest,
            "Moves the label `deployed`, resumes the triggers and accepts starts again.",
        ),
    ),
    Route(
        "POST",
        f"{_WORKFLOW}:stop",
        in_project(stop_workflow),
        _changing(
            "Stop a workflow",
            ReasonRequest,
            "Pauses its triggers, dispatches no further task, and refuses starts with"
            " `WORKFLOW_STOPPED`.",
        ),
    ),
    Route(
        "POST",
        f"{_WORKFLOW}:rollback",
        in_project(rollback_workflow),
        _changing(
            "Deploy the previously deployed version",
            ReasonRequest,
            "Each further call goes back one more deployment.",
        ),
    ),
)
