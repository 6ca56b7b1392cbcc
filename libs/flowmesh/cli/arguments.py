"""Types of arguments that several commands share, with their completion in a shell."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext


def _completer(name: str) -> "Callable[[CompletionContext], Any]":
    """Return a completer that loads the module of suggestions when a shell calls it."""

    def suggest(context: "CompletionContext") -> Any:
        return getattr(import_module("flowmesh.cli.operations.suggestions"), name)(context)

    return suggest


ExecutionId = Annotated[str, Parameter(completer=_completer("executions"))]
NodeId = Annotated[str, Parameter(completer=_completer("nodes"))]
WorkflowId = Annotated[str, Parameter(completer=_completer("workflows"))]
TaskName = Annotated[str, Parameter(completer=_completer("tasks"))]
Target = Annotated[str, Parameter(completer=_completer("explain_targets"))]
ProfileName = Annotated[str, Parameter(completer=_completer("profiles"))]
FileName = Annotated[str, Parameter(completer=_completer("files"))]
# A negative number and `-` begin with a hyphen.
JsonText = Annotated[str, Parameter(allow_leading_hyphen=True, completer=_completer("values"))]
ExecutionArgument = Annotated[ExecutionId, Parameter(help="Id of the execution.")]
TaskArgument = Annotated[
    NodeId, Parameter(help="Id of the task, as `flowmesh get execution` shows it.")
]
WorkflowArgument = Annotated[WorkflowId, Parameter(help="Id of the workflow.")]
HistoryReason = Annotated[str, Parameter(help="Reason, stored in the execution's history.")]
ChangeReason = Annotated[str, Parameter(help="Reason, stored with the change.")]
RequestId = Annotated[
    str, Parameter(help="Idempotency key: a repeated request has no further effect.")
]
Flag = Annotated[bool, Parameter(negative="")]
Texts = Annotated[list[str] | None, Parameter(negative="")]
FILES = Parameter(
    name=["--file", "-f"],
    negative="",
    allow_leading_hyphen=True,
    help="File, folder, or - for standard input; may be repeated.",
)
Files = Annotated[list[Path], FILES]
