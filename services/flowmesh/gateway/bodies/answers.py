"""Bodies of answers. The OpenAPI document describes them from these structs.

Members without a value are left out unless the contract says that they are always there.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

CompensationWord = Literal["compensating", "compensated", "failed"]
ExecutionWord = Literal["pending", "running", "paused", "completed", "failed", "canceled"]
HoldWord = Literal["delay", "debounce", "turn"]
StepWord = Literal["pending", "running", "success", "failed", "skipped", "canceled"]
Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Json = Annotated[Any, Meta(description="Any JSON value.")]


class Answer(msgspec.Struct, rename="camel", kw_only=True):
    """Base of all answers."""


class ErrorDetail(Answer, kw_only=True):
    """One thing that can be mended; `field` is a path into what was sent."""

    field: str
    description: str
    code: str | UnsetType = UNSET
    line: int | UnsetType = UNSET
    column: int | UnsetType = UNSET


class ErrorValue(Answer, kw_only=True):
    """What went wrong. A reason never changes; docs/errors.md lists all of them."""

    code: int
    reason: str
    message: str
    details: list[ErrorDetail]


class ErrorAnswer(Answer, kw_only=True):
    """The body of every refusal."""

    error: ErrorValue


class StateErrorAnswer(ErrorAnswer, kw_only=True):
    """A refusal because of the state the execution is in."""

    execution_id: str | UnsetType = UNSET
    status: ExecutionWord | UnsetType = UNSET


class StillRunningAnswer(ErrorAnswer, kw_only=True):
    """The time to wait was over; the execution goes on under this id."""

    execution_id: str


class FailureValue(Answer, kw_only=True):
    """Why a run or a task failed; `state` is that of a state machine the task belongs to."""

    class_: str = msgspec.field(name="class")
    message: str
    task_id: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    details: Json | UnsetType = UNSET


# --- step JSON -------------------------------------------------------------------------------


class RegisteredWorkflow(Answer, kw_only=True):
    """The version a definition has; `created` is false for content that was there already."""

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
    """The execution that was started, or the one that an equal request id started before."""

    execution_id: str


# --- resources -------------------------------------------------------------------------------


class ProblemValue(Answer, kw_only=True):
    """Something wrong with a definition, and where."""

    code: str
    severity: Literal["error", "warning"]
    message: str
    path: str
    line: int | UnsetType = UNSET
    column: int | UnsetType = UNSET


class AppliedResource(Answer, kw_only=True):
    """A resource as it is after it was applied."""

    kind: str
    name: str
    version: int
    digest: str
    created: bool


class Applied(Answer, kw_only=True):
    """What was applied, in the order of the source; one resource is also at the top."""

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
    """Every problem of a source, found in one pass, and which workflows it affects."""

    valid: bool
    problems: list[ProblemValue]
    affected: "list[WorkflowReference] | UnsetType" = UNSET
    affected_count: int | UnsetType = UNSET


class WorkflowAnswer(Answer, kw_only=True):
    """One version of a workflow; `digest` is the SHA-256 of its canonical form."""

    name: str
    version: int
    digest: str
    title: str | UnsetType = UNSET
    format: str
    created_at: Instant
    labels: dict[str, str]
    definition: Json | UnsetType = UNSET


class WorkflowList(Answer, kw_only=True):
    """Newest versions, by name."""

    workflows: list[WorkflowAnswer]
    next_page_token: str


class VersionList(Answer, kw_only=True):
    """Versions, newest first."""

    versions: list[WorkflowAnswer]
    next_page_token: str


class WorkflowReference(Answer, kw_only=True):
    """A version of a workflow that is in use: the newest, or one that `labels` point to.

    `namespace` is there where it is another one than yours; `taskVersion` is the version of the
    task that it is pinned to.
    """

    name: str
    version: int
    namespace: str | UnsetType = UNSET
    task_version: int | UnsetType = UNSET
    labels: list[str] | UnsetType = UNSET


# --- executions ------------------------------------------------------------------------------


class RunTask(Answer, kw_only=True):
    """How a task of a run ended."""

    status: StepWord
    attempts: int
    duration_ms: int | UnsetType = UNSET
    error: FailureValue | UnsetType = UNSET


class RunAnswer(Answer, kw_only=True):
    """A run that has ended: the outputs of its tasks, and its output where one is defined."""

    execution_id: str
    status: ExecutionWord
    outputs: dict[str, Json]
    output: Json | UnsetType = UNSET
    tasks: dict[str, RunTask]
    duration_ms: int
    error: FailureValue | UnsetType = UNSET


class TaskState(RunTask, kw_only=True):
    """How a task is."""

    id: str
    name: str
    type: str | UnsetType = UNSET
    dependencies: list[str]
    scheduled_at: Instant | UnsetType = UNSET
    started_at: Instant | UnsetType = UNSET
    ended_at: Instant | UnsetType = UNSET
    due_at: Instant | UnsetType = UNSET
    worker_id: str | UnsetType = UNSET
    output: Json | UnsetType = UNSET
    metadata: Json | UnsetType = UNSET
    # Of a task that waits for a call: where.
    url: str | UnsetType = UNSET
    held: Annotated[bool, Meta(description="It waits for somebody.")] | UnsetType = UNSET
    undoes: Annotated[str, Meta(description="The task it undoes.")] | UnsetType = UNSET
    child_execution_id: (
        Annotated[str, Meta(description="The execution it started last.")] | UnsetType
    ) = UNSET
    child_workflow: str | UnsetType = UNSET
    child_version: int | UnsetType = UNSET
    approval: "ApprovalValue | UnsetType" = UNSET


class DecisionValue(Answer, kw_only=True):
    """What one of them said."""

    by: str
    approved: bool
    comment: str | UnsetType = UNSET
    form: Json | UnsetType = UNSET
    at: Instant


class ApprovalValue(Answer, kw_only=True):
    """Whom a task waits for; nobody is anybody."""

    assignees: list[str]
    needed: int
    due_at: Instant | UnsetType = UNSET
    escalated: bool
    details: Json
    form: Annotated[Json, Meta(description="JSON Schema of what is filled in.")] | UnsetType = UNSET
    decisions: list[DecisionValue]


class Hold(Answer, kw_only=True):
    """What an execution waits for to begin, by the start policy of its workflow."""

    reason: HoldWord
    until: Instant | UnsetType = UNSET
    key: str | UnsetType = UNSET


class Origin(Answer, kw_only=True):
    """The execution that this one repeats, from some nodes on or all of it."""

    execution_id: str
    from_nodes: list[str]


class Breakpoints(Answer, kw_only=True):
    """Where it stops."""

    all: bool
    nodes: list[str]


class ParentTask(Answer, kw_only=True):
    """The task of another execution that started this one; a detached one is not waited for."""

    execution_id: str
    task_id: str
    detached: bool | UnsetType = UNSET


class SignalValue(Answer, kw_only=True):
    """A signal as it was received."""

    name: str
    payload: Json
    received_at: Instant


class ExecutionSummary(Answer, kw_only=True):
    """An execution in lists."""

    execution_id: str
    workflow: str
    workflow_name: str
    version: int
    format: str | UnsetType = UNSET
    status: ExecutionWord
    started_at: Instant | UnsetType = UNSET
    ended_at: Instant | UnsetType = UNSET
    duration_ms: int | UnsetType = UNSET
    last_sequence: int | UnsetType = UNSET
    request_id: str | UnsetType = UNSET
    error: FailureValue | UnsetType = UNSET
    archived: Annotated[bool, Meta(description="This is its copy in the archive.")] | UnsetType = (
        UNSET
    )


class ErasureValue(Answer, kw_only=True):
    """Who had the values of an execution erased, when and why."""

    at: Instant
    actor: str
    reason: str


class ExecutionAnswer(ExecutionSummary, kw_only=True):
    """State of one execution as last committed."""

    input: Json
    output: Json | UnsetType = UNSET
    tasks: dict[str, TaskState]
    signals: list[SignalValue]
    parent: ParentTask | UnsetType = UNSET
    continued_from: Annotated[str, Meta(description="The run before this.")] | UnsetType = UNSET
    continued_as: Annotated[str, Meta(description="The run after this.")] | UnsetType = UNSET
    first_run: str | UnsetType = UNSET
    compensation: CompensationWord | UnsetType = UNSET
    origin: Origin | UnsetType = UNSET
    breakpoints: Breakpoints | UnsetType = UNSET
    hold: Hold | UnsetType = UNSET
    search: Annotated[
        dict[str, Json], Meta(description="Labels, attributes and input values it is found by.")
    ]
    erased: ErasureValue | UnsetType = UNSET
    variables: (
        Annotated[dict[str, Json], Meta(description="Where the workflow declares some.")]
        | UnsetType
    ) = UNSET


class ExecutionList(Answer, kw_only=True):
    """Newest first."""

    executions: list[ExecutionSummary]
    next_page_token: str


class Stopped(Answer, kw_only=True):
    """What has become of the execution."""

    execution_id: str
    status: ExecutionWord


class Signaled(Answer, kw_only=True):
    """The signal is event `sequence` of the execution."""

    execution_id: str
    sequence: int


class KeyedSignaled(Answer, kw_only=True):
    """Those who were waiting for the signal; `sequence` is 0 where one had ended meanwhile."""

    executions: list[Signaled]


class Event(Answer, kw_only=True):
    """A lifecycle event. Clients ignore types they do not know."""

    type: str
    sequence: Annotated[int, Meta(description="1, 2, 3 ... per execution, no gap.")]
    execution_id: str
    workflow: str
    task_id: str | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    timestamp: Instant
    data: dict[str, Any]


class History(Answer, kw_only=True):
    """Events by sequence. `nextAfter` is 0 at the end of the history as it is now."""

    events: list[Event]
    next_after: int
    ended: Annotated[bool, Meta(description="The last event of the execution is in this page.")]


# --- others ----------------------------------------------------------------------------------


class PayloadReferenceValue(Answer, kw_only=True):
    """Names a stored value by its content."""

    digest: str
    size_bytes: int
    encoding: str


class StoredPayload(Answer, kw_only=True):
    """Put it where an input is expected."""

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


class ServiceList(Answer, kw_only=True):
    """Instances that pass the filters, by name and id."""

    services: list[ServiceValue]
    next_page_token: str
