"""Answers in the step-JSON shape: what `/executions/{id}` and its list tell."""

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
    """Why a step or a run failed."""

    class_: str = msgspec.field(name="class")
    message: str
    step_id: str | UnsetType = UNSET
    details: Json | UnsetType = UNSET


class StepResult(Answer, kw_only=True):
    """How a step is; a running one has no duration and no result."""

    step_id: str
    status: StepWord
    attempts: int
    duration: Annotated[int, Meta(description="Milliseconds.")] | UnsetType = UNSET
    result: Json | UnsetType = UNSET
    error: StepFailure | UnsetType = UNSET
    start_time: Annotated[int, Meta(description="Epoch seconds.")] | UnsetType = UNSET
    end_time: int | UnsetType = UNSET
    child_execution_id: str | UnsetType = UNSET
    held: Annotated[bool, Meta(description="It waits for somebody.")] | UnsetType = UNSET
    undoes: Annotated[str, Meta(description="The step it undoes.")] | UnsetType = UNSET


class ParentStep(Answer, kw_only=True):
    """The step of another execution that started this one; a detached one is not waited for."""

    execution_id: str
    step_id: str
    detached: bool | UnsetType = UNSET


class StepExecution(Answer, kw_only=True):
    """An execution in the step-JSON shape; in lists its steps are left empty."""

    execution_id: str
    workflow_id: str
    status: ExecutionWord
    start_time: Annotated[int, Meta(description="Epoch seconds.")]
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
    version: Annotated[int, Meta(description="Of the workflow.")] | UnsetType = UNSET
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
    """Newest first."""

    executions: list[StepExecution]
    next_page_token: str


class PicturedStep(Answer, kw_only=True):
    """A step of the picture."""

    id: str
    name: str
    status: StepWord
    attempts: int
    duration: int | UnsetType = UNSET
    dependencies: list[str]


class Picture(Answer, kw_only=True):
    """Steps that have begun, in definition order."""

    execution_id: str
    workflow_name: str
    status: ExecutionWord
    duration: Annotated[int, Meta(description="Milliseconds so far.")]
    steps: list[PicturedStep]
