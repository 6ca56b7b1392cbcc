"""Types of arguments that several commands share, with their completion in a shell."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


@dataclass(frozen=True, slots=True)
class Completed:
    """The values of an argument in a shell: a function of `flowmesh.cli.completion.suggestions`."""

    source: str


ExecutionId = Annotated[str, Completed("executions")]
NodeId = Annotated[str, Completed("nodes")]
WorkflowId = Annotated[str, Completed("workflows")]
TaskName = Annotated[str, Completed("tasks")]
Target = Annotated[str, Completed("explain_targets")]
ProfileName = Annotated[str, Completed("profiles")]
FileName = Annotated[str, Completed("files")]
# A negative number and `-` begin with a hyphen.
JsonText = Annotated[str, Completed("values"), Parameter(allow_leading_hyphen=True)]
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
ProjectOption = Annotated[
    str, Parameter(help="Id, slug or namespace of the project; by default that of the namespace.")
]
CompanyOption = Annotated[
    str, Parameter(help="Id or slug of the company; by default the only one.")
]
ListLimit = Annotated[int, Parameter(help="Maximum length of the list; 0 lists all.")]
Flag = Annotated[bool, Parameter(negative="")]
Strict = Annotated[bool, Parameter(negative="", help="Treat warnings as errors.")]
Texts = Annotated[list[str] | None, Parameter(negative="")]
FILES = Parameter(
    name=["--file", "-f"],
    negative="",
    allow_leading_hyphen=True,
    help="File, folder, or - for standard input; may be repeated.",
)
Files = Annotated[list[Path], FILES]
