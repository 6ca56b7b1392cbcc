"""The documents a definition may be written in, each read into the one model."""

from collections.abc import Callable
from typing import Any

from flowmesh.definitions.formats import native, steps
from flowmesh.definitions.model import Task, Workflow, WorkflowTemplate
from flowmesh.definitions.problems import Problems
from flowmesh.definitions.reader import Reader, kind_of

Resource = Workflow | Task | WorkflowTemplate
_FORMATS = "a resource with apiVersion and kind, or step JSON with id and steps"


def load(document: Any, problems: Problems) -> Resource | None:
    """The document as a model; None where it is of no known format, which is noted."""
    if not isinstance(document, dict):
        message = f"a definition is an object, not {kind_of(document)}: {_FORMATS}"
        problems.add("DEFINITION_INVALID", message)
        return None
    reading = _format_of(document)
    if reading is None:
        problems.add("DEFINITION_INVALID", f"this is none of the known formats: {_FORMATS}")
        return None
    return reading(Reader(document, (), problems))


def _format_of(document: dict[str, Any]) -> Callable[[Reader], Resource | None] | None:
    if "apiVersion" in document or "kind" in document:
        return native.load
    return steps.load if "steps" in document else None
