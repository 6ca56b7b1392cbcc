"""Bodies of responses. The OpenAPI document is generated from these structs.

Members without a value are omitted unless the contract requires them.
"""

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flowmesh.api.common.v1 import link_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.gateway.bodies import computed
from flowmesh.records import APART, Source

CompensationWord = Literal["compensating", "compensated", "failed"]
ExecutionWord = Literal["pending", "running", "paused", "completed", "failed", "canceled"]
HoldWord = Literal["delay", "debounce", "turn"]
StepWord = Literal["pending", "running", "success", "failed", "skipped", "canceled"]
Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Json = Annotated[Any, Meta(description="Any JSON value.")]


class Answer(msgspec.Struct, rename="camel", kw_only=True):
    """Base of all response bodies."""


class ErrorDetail(Answer, kw_only=True):
    """A problem to fix; `field` is a path into the request."""

    field: str
    description: str
    code: str | UnsetType = UNSET
    line: int | UnsetType = UNSET
    column: int | UnsetType = UNSET


class ErrorValue(Answer, kw_only=True):
    """An error. Reasons are stable identifiers; docs/errors.md lists all of them."""

    code: int
    reason: str
    message: str
    details: list[ErrorDetail]


class ErrorAnswer(Answer, kw_only=True):
    """The body of every error response."""

    error: ErrorValue


class StateErrorAnswer(ErrorAnswer, kw_only=True):
    """An error because of the state of the execution."""

    execution_id: str | UnsetType = UNSET
    status: ExecutionWord | UnsetType = UNSET


class StillRunningAnswer(ErrorAnswer, kw_only=True):
    """The waiting time is over; the execution continues under this id."""

    execution_id: str


class FailureValue(Answer, kw_only=True):
    """The failure of a run or a task; `state` is the state of its state machine."""

    class_: str = msgspec.field(name="class")
    message: str
    task_id: Annotated[str, Source("node")] | UnsetType = UNSET
    state: str | UnsetType = UNSET
    details: Json | UnsetType = UNSET


# --- step JSON -------------------------------------------------------------------------------


class RegisteredWorkflow(Answer, kw_only=True):
    """The registered version; `created` is false if the same content was already stored."""

    id: str
    version: int
    digest: str
    created: bool
    warnings: list["ProblemValue"] | UnsetType = UNSET


class DefinitionList(Answer, kw_only=True):
    """Definitions as they were posted."""

    workflows: list[dict[str, Any]]
    next_page_token: str


class Started(Answer, kw_only=True):
    """The started execution, or the one that an earlier request with this id started."""

    execution_id: str


# --- resources -------------------------------------------------------------------------------


class BrokenWorkflow(Answer, kw_only=True):
    """A version of a workflow in use, and a problem that it gets from the change of a task."""

    namespace: str
    workflow: Annotated[str, Source("workflow_id")]
    version: int
    problem: str


class ProblemValue(Answer, kw_only=True):
    """A problem of a definition, and its place.

    `broken` is the workflow that the change of a task would break.
    """

    code: str
    severity: Annotated[Literal["error", "warning"], Source(empty="error")]
    message: str
    path: str
    line: int | UnsetType = UNSET
    column: int | UnsetType = UNSET
    broken: BrokenWorkflow | UnsetType = UNSET


class AppliedResource(Answer, kw_only=True):
    """An applied resource."""

    kind: str
    name: str
    version: int
    digest: str
    created: bool


class Applied(Answer, kw_only=True):
    """Applied resources in the order of the source; a single one is also at the top level."""

    resources: list[AppliedResource]
    kind: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    version: int | UnsetType = UNSET
    digest: str | UnsetType = UNSET
    created: bool
    warnings: list[ProblemValue] | UnsetType = UNSET
    affected: "list[WorkflowReference] | UnsetType" = UNSET
    affected_count: int | UnsetType = UNSET


class Validation(Answer, kw_only=True):
    """All problems of a source, and the workflows that it affects."""

    valid: bool
    problems: list[ProblemValue]
    affected: "list[WorkflowReference] | UnsetType" = UNSET
    affected_count: int | UnsetType = UNSET


class WorkflowAnswer(Answer, kw_only=True):
    """One version of a workflow; `digest` is the SHA-256 of its canonical form."""

    name: Annotated[str, Source("workflow_id")]
    version: int
    digest: str
    title: Annotated[str, Source("name")] | UnsetType = UNSET
    format: str
    created_at: Instant
    labels: dict[str, str]
    definition: Json | UnsetType = UNSET


class WorkflowList(Answer, kw_only=True):
    """Newest versions, sorted by name."""

    workflows: list[WorkflowAnswer]
    next_page_token: str


class VersionList(Answer, kw_only=True):
    """Versions, newest first."""

    versions: list[WorkflowAnswer]
    next_page_token: str


class WorkflowReference(Answer, kw_only=True):
    """A version of a workflow that is in use: the newest, or one that `labels` point to.

    `namespace` is present if it is not the namespace of the request; `taskVersion` is the pinned
    version of the task.
    """

    name: str
    version: int
    namespace: str | UnsetType = UNSET
    task_version: int | UnsetType = UNSET
    labels: list[str] | UnsetType = UNSET


# --- executions ------------------------------------------------------------------------------


class RunTask(Answer, kw_only=True):
    """The result of a task of a run."""

    status: Annotated[StepWord, computed.NODE_STATUS]
    attempts: int
    duration_ms: Annotated[int, computed.NODE_DURATION] | UnsetType = UNSET
    error: Annotated[FailureValue, Source("failure")] | UnsetType = UNSET


class RunAnswer(Answer, kw_only=True):
    """An ended run: the outputs of its tasks, and its own output if one is defined."""

    execution_id: str
    status: ExecutionWord
    outputs: dict[str, Json]
    output: Json | UnsetType = UNSET
    tasks: dict[str, RunTask]
    duration_ms: int
    error: FailureValue | UnsetType = UNSET


class TaskState(RunTask, kw_only=True):
    """The state of a task."""

    id: str
    name: Annotated[str, computed.NODE_NAME]
    type: Annotated[str, Source("task_type")] | UnsetType = UNSET
    dependencies: list[str]
    scheduled_at: Instant | UnsetType = UNSET
    started_at: Instant | UnsetType = UNSET
    ended_at: Instant | UnsetType = UNSET
    due_at: Instant | UnsetType = UNSET
    worker_id: str | UnsetType = UNSET
    output: Annotated[Json, computed.NODE_OUTPUT] | UnsetType = UNSET
    metadata: Json | UnsetType = UNSET
    # The webhook URL of a waiting task.
    url: Annotated[str, APART] | UnsetType = UNSET
    not_retried: (
        Annotated[
            str,
            Meta(description="The reason for which no attempt followed its failure."),
            Source("final"),
        ]
        | UnsetType
    ) = UNSET
    held: Annotated[bool, Meta(description="It is held for a manual action.")] | UnsetType = UNSET
    undoes: Annotated[str, Meta(description="The task that it compensates.")] | UnsetType = UNSET
    child_execution_id: (
        Annotated[str, Meta(description="The last execution that it started.")] | UnsetType
    ) = UNSET
    child_workflow: Annotated[str, Source("child_workflow_id")] | UnsetType = UNSET
    child_version: int | UnsetType = UNSET
    approval: "ApprovalValue | UnsetType" = UNSET


class DecisionValue(Answer, kw_only=True):
    """A decision of an assignee."""

    by: str
    approved: bool
    comment: str | UnsetType = UNSET
    form: Json | UnsetType = UNSET
    at: Instant


class ApprovalValue(Answer, kw_only=True):
    """A pending approval; without `assignees` any person may decide."""

    assignees: list[str]
    needed: int
    due_at: Instant | UnsetType = UNSET
    escalated: bool
    details: Json
    form: Annotated[Json, Meta(description="JSON Schema of the values to submit.")] | UnsetType = (
        UNSET
    )
    decisions: list[DecisionValue]


class Hold(Answer, kw_only=True):
    """The cause that an execution is queued, by the start policy of its workflow."""

    reason: HoldWord
    until: Instant | UnsetType = UNSET
    key: str | UnsetType = UNSET


class Origin(Answer, kw_only=True):
    """The execution that this one reruns, as a whole or from some nodes."""

    execution_id: str
    from_nodes: list[str]


class Breakpoints(Answer, kw_only=True):
    """The breakpoints of an execution."""

    all: bool
    nodes: list[str]


class ParentTask(Answer, kw_only=True):
    """The task that started this execution; it does not wait for a detached one."""

    execution_id: str
    task_id: str
    detached: bool | UnsetType = UNSET


class SignalValue(Answer, kw_only=True):
    """A received signal."""

    name: str
    payload: Json
    received_at: Instant


SearchValues: TypeAlias = Annotated[
    dict[str, Json],
    Meta(description="Labels, search attributes and indexed input values."),
    computed.SEARCH,
]


class ExecutionSummary(Answer, kw_only=True):
    """An execution as listed."""

    execution_id: str
    workflow: Annotated[str, Source("workflow_id")]
    workflow_name: Annotated[str, computed.NAME]
    version: Annotated[int, Source("workflow_version")]
    format: str | UnsetType = UNSET
    status: Annotated[ExecutionWord, computed.EXECUTION_STATUS]
    started_at: Instant | UnsetType = UNSET
    ended_at: Instant | UnsetType = UNSET
    duration_ms: Annotated[int, computed.DURATION] | UnsetType = UNSET
    last_sequence: int | UnsetType = UNSET
    request_id: str | UnsetType = UNSET
    error: Annotated[FailureValue, Source("failure")] | UnsetType = UNSET
    archived: Annotated[bool, Meta(description="True for a copy from the archive.")] | UnsetType = (
        UNSET
    )
    search: SearchValues | UnsetType = UNSET


class ErasureValue(Answer, kw_only=True):
    """The actor, time and reason of an erasure."""

    at: Instant
    actor: str
    reason: str


def _parent(link: link_pb2.Link) -> ParentTask | UnsetType:
    if not link.parent_id:
        return UNSET
    return ParentTask(
        execution_id=link.parent_id, task_id=link.parent_node, detached=link.detached or UNSET
    )


def _breakpoints(execution: execution_pb2.Execution) -> Breakpoints | UnsetType:
    nodes = list(execution.breakpoints)
    everywhere = execution.stops_everywhere
    return Breakpoints(all=everywhere, nodes=nodes) if everywhere or nodes else UNSET


class ExecutionAnswer(ExecutionSummary, kw_only=True):
    """The committed state of an execution."""

    input: Json
    output: Json | UnsetType = UNSET
    tasks: dict[str, TaskState]
    signals: list[SignalValue]
    parent: Annotated[ParentTask, Source("link", _parent)] | UnsetType = UNSET
    continued_from: (
        Annotated[str, Meta(description="The previous run."), Source("link.continued_from")]
        | UnsetType
    ) = UNSET
    continued_as: Annotated[str, Meta(description="The next run.")] | UnsetType = UNSET
    first_run: Annotated[str, Source("link.first_run")] | UnsetType = UNSET
    compensation: Annotated[CompensationWord, computed.COMPENSATION] | UnsetType = UNSET
    origin: Origin | UnsetType = UNSET
    breakpoints: Annotated[Breakpoints, Source(".", _breakpoints)] | UnsetType = UNSET
    hold: Hold | UnsetType = UNSET
    search: SearchValues
    erased: Annotated[ErasureValue, Source("erasure")] | UnsetType = UNSET
    variables: (
        Annotated[dict[str, Json], Meta(description="The variables that the workflow declares.")]
        | UnsetType
    ) = UNSET


class ExecutionList(Answer, kw_only=True):
    """Executions, newest first; `warnings` has names of the filter that no execution has."""

    executions: list[ExecutionSummary]
    next_page_token: str
    warnings: list[str] | UnsetType = UNSET


class Stopped(Answer, kw_only=True):
    """The new status of the execution."""

    execution_id: str
    status: ExecutionWord


class Signaled(Answer, kw_only=True):
    """`sequence` is the event of the signal in the history."""

    execution_id: str
    sequence: int


class KeyedSignaled(Answer, kw_only=True):
    """The executions that waited for the signal; `sequence` is 0 for one that has ended.

    A kept signal has none yet; it is dropped at `expiresAt`.
    """

    executions: list[Signaled]
    expires_at: Instant | UnsetType = UNSET


class Event(Answer, kw_only=True):
    """A lifecycle event. Clients must ignore unknown types."""

    type: str
    sequence: Annotated[
        int, Meta(description="Number of the event in the execution, from 1 without gaps.")
    ]
    execution_id: str
    workflow: str
    task_id: str | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    timestamp: Instant
    data: dict[str, Any]


class History(Answer, kw_only=True):
    """Events by sequence. `nextAfter` is 0 at the current end of the history."""

    events: list[Event]
    next_after: int
    ended: Annotated[
        bool, Meta(description="True if the page holds the last event of the execution.")
    ]


# --- others ----------------------------------------------------------------------------------


class PayloadReferenceValue(Answer, kw_only=True):
    """A reference to a stored value by its content."""

    digest: str
    size_bytes: int
    encoding: str


class StoredPayload(Answer, kw_only=True):
    """The reference of a stored value, usable in place of an input."""

    payload: PayloadReferenceValue = msgspec.field(name="$payload")


class ServiceValue(Answer, kw_only=True):
    """An instance of a service."""

    id: str
    name: str
    type: str
    status: Literal["HEALTHY", "DEGRADED", "UNHEALTHY", "OFFLINE"]
    endpoint: str
    capabilities: list[str]
    metadata: dict[str, str]
    version: str
    registered_at: Instant
    heartbeat_at: Instant
    draining: bool
    # The failure of the last check of the registry; empty if it passed.
    check_problem: str


class ServiceList(Answer, kw_only=True):
    """Matching instances, sorted by name and id."""

    services: Annotated[list[ServiceValue], Source("instances")]
    next_page_token: str
