"""Versions of workflows: labels, recorded changes, differences, compatibility."""

from http import HTTPStatus
from typing import Any, Literal, cast

import msgspec
from msgspec import UNSET, UnsetType

from flowmesh.api.definition.v1 import version_pb2
from flowmesh.api.definition.v1 import version_service_pb2 as pb
from flowmesh.errors import NotFound
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.envelopes import LabelRequest, ReasonRequest, version_text
from flowmesh.gateway.bodies.views import timestamp
from flowmesh.gateway.http.operation_docs import MANAGE, TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import CHANGE, OPTIONAL_ID, VERSION, Query
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import (
    CHANGE_ACTOR,
    DEFINITION_BODY,
    IDEMPOTENCY_KEY,
    PAGING,
    actor_of,
    json_response,
    request_id_of,
)
from flowmesh.views import raw_json

VerdictWord = Literal["compatible", "breaking", "unknown"]


class LabelValue(answers.Answer, kw_only=True):
    """A label of a version; `previousVersion` is its previous target."""

    label: str
    version: int
    previous_version: int | UnsetType = UNSET
    moved_at: answers.Instant
    moved_by: str | UnsetType = UNSET


class LabelList(answers.Answer, kw_only=True):
    """Labels, sorted by name."""

    labels: list[LabelValue]


class DifferenceValue(answers.Answer, kw_only=True):
    """A difference; `field` is the changed part of `subject`."""

    area: str
    action: str
    subject: str
    field: str | UnsetType = UNSET
    before: answers.Json | UnsetType = UNSET
    after: answers.Json | UnsetType = UNSET


class DiffAnswer(answers.Answer, kw_only=True):
    """The differences from version `from` to version `to`."""

    name: str
    from_: int = msgspec.field(name="from")
    to: int
    differences: list[DifferenceValue]


class ReasonValue(answers.Answer, kw_only=True):
    """A reason of the verdict on `input` or `output`; `path` is a path in the value."""

    side: str
    verdict: VerdictWord
    path: str
    message: str


class MoveValue(answers.Answer, kw_only=True):
    """A running execution, and the reasons that it cannot continue under the other version."""

    execution_id: str
    version: int
    movable: bool
    reasons: list[str]


class CompatibilityAnswer(answers.Answer, kw_only=True):
    """The compatibility of version `to` with `from`; `to` 0 is the definition in the request."""

    name: str
    from_: int = msgspec.field(name="from")
    to: int
    verdict: VerdictWord
    input: VerdictWord
    output: VerdictWord
    reasons: list[ReasonValue]
    executions: list[MoveValue]
    truncated: bool


class ChangeValue(answers.Answer, kw_only=True):
    """A change of a definition, with its actor and reason."""

    number: int
    action: str
    version: int | UnsetType = UNSET
    previous_version: int | UnsetType = UNSET
    label: str | UnsetType = UNSET
    actor: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    changed_at: answers.Instant
    differences: list[DifferenceValue]
    truncated: bool


class ChangeList(answers.Answer, kw_only=True):
    """Changes, newest first."""

    changes: list[ChangeValue]
    next_page_token: str


async def set_label(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(LabelRequest)
    moved = await backends.versions.SetLabel(
        pb.SetLabelRequest(
            namespace=request.namespace,
            workflow_id=request.param("name"),
            label=request.param("label"),
            version=version_text(envelope.version),
            reason=envelope.reason,
            actor=actor_of(request),
            request_id=request_id_of(request, envelope.request_id),
        )
    )
    return json_response(_label(moved.label, moved.previous_version))


async def rollback_label(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(ReasonRequest)
    moved = await backends.versions.RollbackLabel(
        pb.RollbackLabelRequest(
            namespace=request.namespace,
            workflow_id=request.param("name"),
            label=request.param("label"),
            reason=envelope.reason,
            actor=actor_of(request),
            request_id=request_id_of(request, envelope.request_id),
        )
    )
    return json_response(_label(moved.label, moved.previous_version))


async def delete_label(backends: Backends, request: Request) -> Response:
    await backends.versions.DeleteLabel(
        pb.DeleteLabelRequest(
            namespace=request.namespace,
            workflow_id=request.param("name"),
            label=request.param("label"),
            reason=request.text("reason"),
            actor=actor_of(request),
            request_id=request_id_of(request),
        )
    )
    return Response(HTTPStatus.NO_CONTENT)


async def list_labels(backends: Backends, request: Request) -> Response:
    return json_response(
        LabelList(labels=[_label(each) for each in await _labels(backends, request)])
    )


async def get_label(backends: Backends, request: Request) -> Response:
    name = request.param("label")
    for each in await _labels(backends, request):
        if each.name == name:
            return json_response(_label(each))
    message = f"workflow {request.param('name')!r} has no label {name!r}"
    raise NotFound("LABEL_NOT_FOUND", message)


async def _labels(backends: Backends, request: Request) -> Any:
    response = await backends.versions.ListLabels(
        pb.ListLabelsRequest(namespace=request.namespace, workflow_id=request.param("name"))
    )
    return response.labels


async def list_workflow_changes(backends: Backends, request: Request) -> Response:
    return await _changes(backends, request, "Workflow")


async def list_task_changes(backends: Backends, request: Request) -> Response:
    return await _changes(backends, request, "WorkflowTask")


async def _changes(backends: Backends, request: Request, kind: str) -> Response:
    response = await backends.versions.ListChanges(
        pb.ListChangesRequest(
            namespace=request.namespace,
            kind=kind,
            name=request.param("name"),
            label=request.text("label"),
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
        )
    )
    changes = [_change(each) for each in response.changes]
    return json_response(ChangeList(changes=changes, next_page_token=response.next_page_token))


async def diff_workflow(backends: Backends, request: Request) -> Response:
    response = await backends.versions.DiffWorkflow(
        pb.DiffWorkflowRequest(
            namespace=request.namespace,
            workflow_id=request.param("name"),
            from_version=request.text("from"),
            to_version=request.text("to"),
        )
    )
    return json_response(
        DiffAnswer(
            name=request.param("name"),
            from_=response.from_version,
            to=response.to_version,
            differences=[_difference(each) for each in response.differences],
        )
    )


async def check_compatibility(backends: Backends, request: Request) -> Response:
    return await _compatibility(backends, request, {"to_version": request.text("to")})


async def check_definition(backends: Backends, request: Request) -> Response:
    source, content_type = await request.definition()
    return await _compatibility(backends, request, {"source": source, "content_type": content_type})


async def _compatibility(backends: Backends, request: Request, to: dict[str, Any]) -> Response:
    response = await backends.versions.CheckCompatibility(
        pb.CheckCompatibilityRequest(
            namespace=request.namespace,
            workflow_id=request.param("name"),
            from_version=request.text("from"),
            **to,
        )
    )
    callers = response.callers
    return json_response(
        CompatibilityAnswer(
            name=request.param("name"),
            from_=response.from_version,
            to=response.to_version,
            verdict=_verdict(callers.verdict),
            input=_verdict(callers.input),
            output=_verdict(callers.output),
            reasons=[
                ReasonValue(
                    side=each.side,
                    verdict=_verdict(each.verdict),
                    path=each.path,
                    message=each.message,
                )
                for each in callers.reasons
            ],
            executions=[
                MoveValue(
                    execution_id=each.execution_id,
                    version=each.version,
                    movable=each.movable,
                    reasons=list(each.reasons),
                )
                for each in response.executions
            ],
            truncated=response.truncated,
        )
    )


def _verdict(verdict: version_pb2.Verdict.ValueType) -> VerdictWord:
    name = version_pb2.Verdict.Name(verdict)
    return cast("VerdictWord", name.removeprefix("VERDICT_").lower())


def _label(label: version_pb2.Label, previous: int = 0) -> LabelValue:
    return LabelValue(
        label=label.name,
        version=label.version,
        previous_version=previous or UNSET,
        moved_at=timestamp(label.moved_at),
        moved_by=label.moved_by or UNSET,
    )


def _change(change: version_pb2.Change) -> ChangeValue:
    action = version_pb2.ChangeAction.Name(change.action)
    return ChangeValue(
        number=change.number,
        action=action.removeprefix("CHANGE_ACTION_").lower(),
        version=change.version or UNSET,
        previous_version=change.previous_version or UNSET,
        label=change.label or UNSET,
        actor=change.actor or UNSET,
        reason=change.reason or UNSET,
        changed_at=timestamp(change.changed_at),
        differences=[_difference(each) for each in change.differences],
        truncated=change.truncated,
    )


def _difference(difference: version_pb2.Difference) -> DifferenceValue:
    return DifferenceValue(
        area=difference.area,
        action=difference.action,
        subject=difference.subject,
        field=difference.field or UNSET,
        before=raw_json(difference.before) if difference.before else UNSET,
        after=raw_json(difference.after) if difference.after else UNSET,
    )


def _moving(summary: str, shape: Any) -> Operation:
    return Operation(
        tag=MANAGE,
        summary=summary,
        body=Body(shape, required=shape is LabelRequest),
        headers=(IDEMPOTENCY_KEY, CHANGE_ACTOR),
        answers=(Answer(200, "The label with its new target.", LabelValue),),
        errors=(404, 409),
    )


def _read(summary: str, shape: Any, *query: Query, tag: str = MANAGE) -> Operation:
    return Operation(
        tag=tag,
        summary=summary,
        query=query,
        answers=(Answer(200, "Found.", shape),),
        errors=(404,),
    )


_REMOVE = Operation(
    tag=MANAGE,
    summary="Delete a label but not its version",
    query=(Query("reason", "The reason, stored with the change.", CHANGE),),
    headers=(IDEMPOTENCY_KEY, CHANGE_ACTOR),
    answers=(Answer(204, "The label is deleted."),),
    errors=(404,),
)
_FROM = Query("from", "The version by number or label (default: the newest).", VERSION)
_IN_USE = Query("from", "The version by number or label (default: that before `to`).", VERSION)
_TO = Query("to", "The version by number or label (default: the newest).", VERSION)
_ONE_LABEL = Query("label", "Only changes of this label.", OPTIONAL_ID)
_WORKFLOW = "/api/v1/workflows/{name}"
_LABEL = f"{_WORKFLOW}/labels/{{label}}"
ROUTES = (
    Route(
        "GET", f"{_WORKFLOW}/labels", list_labels, _read("List the labels of a workflow", LabelList)
    ),
    Route("GET", _LABEL, get_label, _read("Get a label", LabelValue)),
    Route("PUT", _LABEL, set_label, _moving("Point a label to a version", LabelRequest)),
    Route("DELETE", _LABEL, delete_label, _REMOVE),
    Route(
        "POST",
        f"{_LABEL}:rollback",
        rollback_label,
        _moving("Roll back a label to its previous target", ReasonRequest),
    ),
    Route(
        "GET",
        f"{_WORKFLOW}/changes",
        list_workflow_changes,
        _read("List the changes of a workflow, newest first", ChangeList, _ONE_LABEL, *PAGING),
    ),
    Route(
        "GET",
        "/api/v1/tasks/{name}/changes",
        list_task_changes,
        _read("List the changes of a task, newest first", ChangeList, *PAGING),
    ),
    Route(
        "GET",
        f"{_WORKFLOW}/compatibility",
        check_compatibility,
        _read(
            "Check whether a version can replace another one",
            CompatibilityAnswer,
            _IN_USE,
            _TO,
            tag=TEST,
        ),
    ),
    Route(
        "POST",
        f"{_WORKFLOW}/compatibility",
        check_definition,
        Operation(
            tag=TEST,
            summary="Check whether a definition can replace a version, without storing it",
            query=(_FROM,),
            body=DEFINITION_BODY,
            answers=(Answer(200, "The verdict.", CompatibilityAnswer),),
            errors=(404, 413, 415),
        ),
    ),
    Route(
        "GET",
        f"{_WORKFLOW}/diff",
        diff_workflow,
        _read("Compare two versions", DiffAnswer, _FROM, _TO, tag=TEST),
    ),
)
