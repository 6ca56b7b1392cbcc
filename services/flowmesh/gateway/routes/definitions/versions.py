"""Versions of workflows: labels, recorded changes, differences, compatibility."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from flowmesh.api.definition.v1 import version_pb2
from flowmesh.api.definition.v1 import version_service_pb2 as pb
from flowmesh.errors import NotFound
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.envelopes import LabelRequest, ReasonRequest
from flowmesh.gateway.http.operation_docs import MANAGE, TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import CHANGE, OPTIONAL_ID, VERSION, Query
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import (
    CHANGE_ACTOR,
    DEFINITION_BODY,
    IDEMPOTENCY_KEY,
    PAGING,
    json_response,
)
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.records import APART, Source, reader

VerdictWord = Literal["compatible", "breaking", "unknown"]


class LabelValue(answers.Answer, kw_only=True):
    """A label of a version; `previousVersion` is its previous target."""

    label: Annotated[str, Source("name")]
    version: int
    previous_version: Annotated[int, APART] | UnsetType = UNSET
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
    from_: Annotated[int, Source("from_version")] = msgspec.field(name="from")
    to: Annotated[int, Source("to_version")]
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
    from_: Annotated[int, Source("from_version")] = msgspec.field(name="from")
    to: Annotated[int, Source("to_version")]
    verdict: Annotated[VerdictWord, Source("callers.verdict")]
    input: Annotated[VerdictWord, Source("callers.input")]
    output: Annotated[VerdictWord, Source("callers.output")]
    reasons: Annotated[list[ReasonValue], Source("callers.reasons")]
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


async def get_label(backends: Backends, request: Request) -> Response:
    name = request.param("label")
    response = await backends.versions.ListLabels(
        pb.ListLabelsRequest(namespace=request.namespace, workflow_id=request.param("name"))
    )
    for each in response.labels:
        if each.name == name:
            return json_response(_label(each))
    message = f"workflow {request.param('name')!r} has no label {name!r}"
    raise NotFound("LABEL_NOT_FOUND", message)


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
    return json_response(_compatible(response, name=request.param("name")))


_label = reader(LabelValue, version_pb2.Label)
_compatible = reader(CompatibilityAnswer, pb.CheckCompatibilityResponse, given=("name",))


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
    rpc_route(
        "GET",
        f"{_WORKFLOW}/labels",
        pb.ListLabelsRequest,
        _read("List the labels of a workflow", LabelList),
        names={"name": "workflow_id"},
    ),
    Route("GET", _LABEL, get_label, _read("Get a label", LabelValue)),
    rpc_route(
        "PUT",
        _LABEL,
        pb.SetLabelRequest,
        _moving("Point a label to a version", LabelRequest),
        names={"name": "workflow_id"},
        part="label",
    ),
    rpc_route(
        "DELETE",
        _LABEL,
        pb.DeleteLabelRequest,
        _REMOVE,
        names={"name": "workflow_id"},
    ),
    rpc_route(
        "POST",
        f"{_LABEL}:rollback",
        pb.RollbackLabelRequest,
        _moving("Roll back a label to its previous target", ReasonRequest),
        names={"name": "workflow_id"},
        part="label",
    ),
    rpc_route(
        "GET",
        f"{_WORKFLOW}/changes",
        pb.ListChangesRequest,
        _read("List the changes of a workflow, newest first", ChangeList, _ONE_LABEL, *PAGING),
        name="list_workflow_changes",
        fixed={"kind": "Workflow"},
    ),
    rpc_route(
        "GET",
        "/api/v1/tasks/{name}/changes",
        pb.ListChangesRequest,
        _read("List the changes of a task, newest first", ChangeList, *PAGING),
        name="list_task_changes",
        fixed={"kind": "WorkflowTask"},
    ),
    rpc_route(
        "GET",
        f"{_WORKFLOW}/compatibility",
        pb.CheckCompatibilityRequest,
        _read(
            "Check whether a version can replace another one",
            CompatibilityAnswer,
            _IN_USE,
            _TO,
            tag=TEST,
        ),
        names={"name": "workflow_id", "from": "from_version", "to": "to_version"},
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
    rpc_route(
        "GET",
        f"{_WORKFLOW}/diff",
        pb.DiffWorkflowRequest,
        _read("Compare two versions", DiffAnswer, _FROM, _TO, tag=TEST),
        names={"name": "workflow_id", "from": "from_version", "to": "to_version"},
    ),
)
