"""The documents a definition may be written in, each read into the one model."""

from collections.abc import Callable
from typing import Any

from flowmesh.definitions.formats import steps
from flowmesh.definitions.formats.graph import document as graph
from flowmesh.definitions.formats.native import resources as native
from flowmesh.definitions.formats.serverless import document as serverless
from flowmesh.definitions.formats.states import document as states
from flowmesh.definitions.model import Task, Workflow, WorkflowTemplate
from flowmesh.definitions.problems import Problems
from flowmesh.definitions.reading.reader import Reader, kind_of

Resource = Workflow | Task | WorkflowTemplate
# The member that only a document of one format has, and who reads it.
_MARKS: dict[str, Callable[[Reader], Resource | None]] = {
    "apiVersion": native.load,
    "nodes": graph.load,
    "steps": steps.load,
    "document": serverless.load,
    "StartAt": states.load,
}
# What a document may have instead, if it lacks that member.
_INSTEAD = {"kind": "apiVersion", "do": "document", "States": "StartAt"}
_FORMATS = (
    "a resource with apiVersion and kind, graph JSON with nodes, step JSON with steps, "
    "Serverless Workflow with document and do, or Amazon States Language with StartAt and States"
)


def load(document: Any, problems: Problems) -> Resource | None:
    """The document as a model; None where it is of no known format, which is noted."""
    if not isinstance(document, dict):
        message = f"a definition is an object, not {kind_of(document)}: {_FORMATS}"
        problems.add("DEFINITION_INVALID", message)
        return None
    marks = [mark for mark in _MARKS if mark in document]
    if not marks:
        marks = [mark for member, mark in _INSTEAD.items() if member in document][:1]
    if len(marks) == 1:
        return _MARKS[marks[0]](Reader(document, (), problems))
    wrong = "this is none of the known formats"
    if marks:
        wrong = f"{marks[0]!r} and {marks[1]!r} are marks of two formats, and a document has one"
    problems.add("DEFINITION_INVALID", f"{wrong}: {_FORMATS}")
    return None
