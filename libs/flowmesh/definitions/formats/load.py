"""One document of any format, read into the model."""

from collections.abc import Callable
from typing import Any, cast

from flowmesh.definitions.formats.table import FORMATS, load_function
from flowmesh.definitions.model import Task, Workflow, WorkflowTemplate
from flowmesh.definitions.problems import Problems
from flowmesh.definitions.reading.reader import Reader, kind_of

Resource = Workflow | Task | WorkflowTemplate
Importer = Callable[[Reader], Resource | None]

_BY_MARK = {each.marks[0]: each for each in FORMATS.values() if each.marks}
# Formats by a member that identifies them only if the document has no mark.
_BY_OTHER_MEMBER = {key: each for each in FORMATS.values() for key in each.marks[1:]}


def _list_formats() -> str:
    names = [f"{each.title} with {' and '.join(each.marks)}" for each in _BY_MARK.values()]
    return f"{', '.join(names[:-1])}, or {names[-1]}"


def load(document: Any, problems: Problems) -> Resource | None:
    """Read a document. Return None and note a problem if its format is unknown."""
    if not isinstance(document, dict):
        message = f"a definition is an object, not {kind_of(document)}: {_list_formats()}"
        problems.add("DEFINITION_INVALID", message)
        return None
    found = [each for mark, each in _BY_MARK.items() if mark in document]
    if not found:
        found = [each for key, each in _BY_OTHER_MEMBER.items() if key in document][:1]
    if len(found) == 1:
        importer = cast(Importer, load_function(found[0].importer))
        return importer(Reader(document, (), problems))
    wrong = "this is none of the known formats"
    if found:
        first, second = (each.marks[0] for each in found[:2])
        wrong = f"{first!r} and {second!r} are marks of two formats, and a document has one"
    problems.add("DEFINITION_INVALID", f"{wrong}: {_list_formats()}")
    return None
