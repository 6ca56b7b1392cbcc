"""Limits, emergency stops, queues, workers, dead letters and circuit breakers."""

from typing import Annotated

from msgspec import Meta

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.gateway.bodies import limit_answers as answers
from flowmesh.gateway.bodies.envelopes import CheckedId, CheckedOptionalId, CheckedText, Envelope
from flowmesh.gateway.http.operation_docs import MANAGE, TEST, Answer, Body
from flowmesh.gateway.http.parameters import Query, one_of, whole
from flowmesh.gateway.routes.common import ACTOR, FILTER, PAGING
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.records import Check, Source

KINDS = ("namespace", "workflow", "task_type", "node", "upstream", "queue")
CHANGES_MAX = 1_000
DEAD_LETTERS_MAX = 200
_Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class LimitRequest(Envelope, frozen=True, kw_only=True):
    """A limit. It replaces an earlier one and the numbers of a definition."""

    kind: Annotated[
        str,
        Meta(description="The kind of the limit.", extra_json_schema={"enum": list(KINDS)}),
        Check(one_of(*KINDS).check),
    ]
    subject: Annotated[
        str,
        Meta(description="The subject: a workflow, a task type, workflow/node, a host or a queue."),
    ] = ""
    concurrency: Annotated[_Count, Meta(description="Concurrent tasks; 0 means no limit.")] = 0
    rate: Annotated[
        float,
        Meta(ge=0, le=1_000_000, description="Tasks started per second; 0 means no limit."),
        Source("rate_per_second"),
    ] = 0.0
    burst: Annotated[_Count, Meta(description="Tasks started at once after an idle period.")] = 0
    weight: Annotated[int, Meta(ge=0, le=1_000, description="The share of a namespace.")] = 0
    max_size: Annotated[
        int, Meta(ge=0, le=50_000, description="Maximum number of waiting tasks of a queue.")
    ] = 0
    retries: Annotated[
        float,
        Meta(ge=0, le=100, description="Retries per started task, for a workflow or an upstream."),
    ] = 0.0
    reason: str = ""


class DispatchRequest(Envelope, frozen=True, kw_only=True):
    """A stop or start of dispatch for a workflow, or for the namespace without one."""

    workflow: Annotated[CheckedOptionalId, Source("workflow_id")] = ""
    reason: str = ""


class LettersRequest(Envelope, frozen=True, kw_only=True):
    """Failed executions with all their dead letters."""

    execution_ids: Annotated[
        tuple[CheckedId, ...],
        Meta(min_length=1, max_length=DEAD_LETTERS_MAX, description="Ids of failed executions."),
    ]
    reason: CheckedText = ""


ROUTES = (
    rpc_route(
        "GET",
        "/api/v1/limits",
        pb.ListLimitsRequest,
        tag=TEST,
        summary="List limits, their usage, and stops",
        answers=(Answer(200, "Combined from all orchestrators.", answers.LimitList),),
    ),
    rpc_route(
        "PUT",
        "/api/v1/limits",
        pb.SetLimitRequest,
        into="limit",
        tag=MANAGE,
        summary="Set a limit",
        headers=(ACTOR,),
        body=Body(
            LimitRequest, example={"kind": "workflow", "subject": "hello", "concurrency": 10}
        ),
        answers=(Answer(200, "The limit applies.", answers.LimitAnswer),),
    ),
    rpc_route(
        "DELETE",
        "/api/v1/limits",
        pb.DeleteLimitRequest,
        tag=MANAGE,
        summary="Delete a limit; the one of the definition applies again",
        headers=(ACTOR,),
        query=(
            Query("kind", "The kind of the limit.", one_of(*KINDS), required=True),
            Query("subject", "The subject of the limit."),
            Query("reason", "The reason, stored with the change."),
        ),
        answers=(Answer(200, "The limit is deleted.", answers.LimitDeleted),),
    ),
    rpc_route(
        "GET",
        "/api/v1/limits/changes",
        pb.ListLimitChangesRequest,
        names={"before": "before_id"},
        tag=TEST,
        summary="List changes of limits and of dispatch",
        query=(
            Query("pageSize", "Maximum number of entries.", whole(CHANGES_MAX)),
            Query("before", "Only changes with a lower number.", whole(2**62)),
        ),
        answers=(Answer(200, "Newest first.", answers.LimitChangeList),),
    ),
    rpc_route(
        "POST",
        "/api/v1/dispatch/stop",
        pb.StopDispatchRequest,
        tag=MANAGE,
        summary="Stop dispatching tasks of a workflow or of the namespace",
        headers=(ACTOR,),
        body=Body(DispatchRequest, required=False),
        answers=(Answer(200, "Dispatch is stopped.", answers.LimitAnswer),),
        errors=(409,),
    ),
    rpc_route(
        "POST",
        "/api/v1/dispatch/start",
        pb.StartDispatchRequest,
        tag=MANAGE,
        summary="Resume dispatching tasks",
        headers=(ACTOR,),
        body=Body(DispatchRequest, required=False),
        answers=(Answer(200, "Dispatch continues.", answers.LimitAnswer),),
        errors=(409,),
    ),
    rpc_route(
        "GET",
        "/api/v1/queues",
        pb.ListQueuesRequest,
        tag=TEST,
        summary="List queues with their load, and why tasks wait",
        answers=(Answer(200, "Combined from all orchestrators.", answers.QueueList),),
    ),
    rpc_route(
        "GET",
        "/api/v1/workers",
        pb.ListWorkersRequest,
        tag=TEST,
        summary="List attached workers with their slots and tasks",
        answers=(Answer(200, "Combined from all orchestrators.", answers.WorkerList),),
    ),
    rpc_route(
        "GET",
        "/api/v1/dead-letters",
        pb.ListDeadLettersRequest,
        tag=TEST,
        summary="List dead letters: failed tasks that failed their executions",
        query=(FILTER, *PAGING),
        answers=(Answer(200, "Tasks of a page of failed executions.", answers.DeadLetterList),),
    ),
    rpc_route(
        "POST",
        "/api/v1/dead-letters:discard",
        pb.DiscardDeadLettersRequest,
        tag=MANAGE,
        summary="Take dead letters off the list; their executions stay as they are",
        headers=(ACTOR,),
        body=Body(LettersRequest),
        answers=(Answer(200, "The number of changed executions.", answers.LettersChanged),),
    ),
    rpc_route(
        "POST",
        "/api/v1/dead-letters:restore",
        pb.DiscardDeadLettersRequest,
        name="restore_dead_letters",
        fixed={"restore": True},
        tag=MANAGE,
        summary="Put discarded dead letters back on the list",
        headers=(ACTOR,),
        body=Body(LettersRequest),
        answers=(Answer(200, "The number of changed executions.", answers.LettersChanged),),
    ),
    rpc_route(
        "GET",
        "/api/v1/breakers",
        pb.ListBreakersRequest,
        tag=TEST,
        summary="List circuit breakers that are not closed",
        answers=(Answer(200, "Combined from all worker services.", answers.BreakerList),),
    ),
)
