"""Types of arguments that several commands have, with what a shell suggests for each."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext


def _suggested(name: str) -> "Callable[[CompletionContext], Any]":
    """The suggestions of that name, whose module is loaded when a shell asks for them."""

    def suggest(context: "CompletionContext") -> Any:
        return getattr(import_module("flowmesh.cli.operations.suggestions"), name)(context)

    return suggest


ExecutionId = Annotated[str, Parameter(completer=_suggested("executions"))]
NodeId = Annotated[str, Parameter(completer=_suggested("nodes"))]
WorkflowId = Annotated[str, Parameter(completer=_suggested("workflows"))]
TaskName = Annotated[str, Parameter(completer=_suggested("tasks"))]
Target = Annotated[str, Parameter(completer=_suggested("explained"))]
ProfileName = Annotated[str, Parameter(completer=_suggested("profiles"))]
FileName = Annotated[str, Parameter(completer=_suggested("files"))]
# A negative number and `-` begin with a hyphen.
JsonText = Annotated[str, Parameter(allow_leading_hyphen=True, completer=_suggested("values"))]
Flag = Annotated[bool, Parameter(negative="")]
FILES = Parameter(
    name=["--file", "-f"],
    negative="",
    allow_leading_hyphen=True,
    help="File, folder, or - for standard input; may be repeated.",
)
Files = Annotated[list[Path], FILES]
