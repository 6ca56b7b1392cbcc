"""Responses in the step-JSON shape: `/executions/{id}` and its list."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flowmesh.gateway.bodies.answers import (
    Answer,
    CompensationWord,
    ErasureValue,
    ExecutionWord,
    Hold,
    Json,
    Origin,
    StepWord,
)


class StepFailure(Answer, kw_only=True):
    """The failure of a step or a run."""

    class_: str = msgspec.field(name="class")
    message: str
    step_id: str | UnsetType = UNSET
    details: Json | UnsetType = UNSET


class StepResult(Answer, kw_only=True):
    """The state of a step; a running one has neither duration nor result."""

    step_id: str
    status: StepWord
    attempts: int
    duration: Annotated[int, Meta(description="Milliseconds.")] | UnsetType = UNSET
    result: Json | UnsetType = UNSET
    error: StepFailure | UnsetType = UNSET
    start_time: Annotated[int, Meta(description="Seconds since the epoch.")] | UnsetType = UNSET
    end_time: int | UnsetType = UNSET
    child_execution_id: str | UnsetType = UNSET
    not_retried: (
        Annotated[str, Meta(description="The reason for which no attempt followed its failure.")]
        | UnsetType
    ) = UNSET
    held: Annotated[bool, Meta(description="It is held for a manual action.")] | UnsetType = UNSET
    undoes: Annotated[str, Meta(description="The step that it compensates.")] | UnsetType = UNSET


class ParentStep(Answer, kw_only=True):
    """The step that started this execution; it does not wait for a detached one."""

    execution_id: str
    step_id: str
    detached: bool | UnsetType = UNSET


class StepExecution(Answer, kw_only=True):
    """An execution in the step-JSON shape; in lists its steps are empty."""

    execution_id: str
    workflow_id: str
    status: ExecutionWord
    start_time: Annotated[int, Meta(description="Seconds since the epoch.")]
    end_time: int | UnsetType = UNSET
    current_steps: list[str]
    completed_steps: list[str]
    failed_steps: list[str]
    skipped_steps: list[str]
    step_results: dict[str, StepResult]
    parent: ParentStep | UnsetType = UNSET
    continued_from: str | UnsetType = UNSET
    continued_as: str | UnsetType = UNSET
    first_run: str | UnsetType = UNSET
    version: Annotated[int, Meta(description="The version of the workflow.")] | UnsetType = UNSET
    request_id: str | UnsetType = UNSET
    last_sequence: int | UnsetType = UNSET
    output: Json | UnsetType = UNSET
    origin: Origin | UnsetType = UNSET
    compensation: CompensationWord | UnsetType = UNSET
    hold: Hold | UnsetType = UNSET
    archived: bool | UnsetType = UNSET
    erased: ErasureValue | UnsetType = UNSET
    context: dict[str, Any]
    error: StepFailure | UnsetType = UNSET


class StepExecutionList(Answer, kw_only=True):
    """Executions, newest first."""

    executions: list[StepExecution]
    next_page_token: str


class PicturedStep(Answer, kw_only=True):
    """A step of the visualization."""

    id: str
    name: str
    status: StepWord
    attempts: int
    duration: int | UnsetType = UNSET
    dependencies: list[str]


class Picture(Answer, kw_only=True):
    """Started steps in the order of the definition."""

    execution_id: str
    workflow_name: str
    status: ExecutionWord
    duration: Annotated[int, Meta(description="Milliseconds until now or until the end.")]
    steps: list[PicturedStep]
