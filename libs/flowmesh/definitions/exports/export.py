"""One definition, or all of a source, written in a requested format."""

from collections.abc import Callable
from typing import Any, cast

from flowmesh.definitions.checks.everything import check
from flowmesh.definitions.exports.parts import Document
from flowmesh.definitions.exports.unsupported import UnsupportedFeatures
from flowmesh.definitions.formats.table import FORMATS, load_function
from flowmesh.definitions.model import Workflow
from flowmesh.definitions.problems import refuse
from flowmesh.definitions.sources import Read, Resolve, read_source
from flowmesh.errors import Invalid

Exporter = Callable[[Workflow, Document, UnsupportedFeatures, Resolve], list[Document]]


def export(read: Read, target: str, resolve: Resolve = lambda _name: None) -> list[dict[str, Any]]:
    """Return the documents of a definition in the format `target`, a name in FORMATS.

    Tasks of the library have one format only, and a document is returned as it is in its own
    format. `resolve` finds available tasks of the library. Raises Invalid FEATURE_UNSUPPORTED
    with every feature that the format cannot express.
    """
    format_ = FORMATS[target]
    workflow, document = read.resource, read.document
    if not isinstance(workflow, Workflow) or workflow.dialect.value == format_.dialect:
        return [document]
    unsupported = UnsupportedFeatures(format_.title)
    exporter = cast(Exporter, load_function(format_.exporter))
    found = exporter(workflow, document, unsupported, resolve)
    unsupported.raise_if_any()
    return found


def export_source(source: bytes, content_type: str, target: str) -> list[dict[str, Any]]:
    """Return all documents of a source in the format `target`, unchanged if it is empty.

    Raises Invalid with every problem of the source, except unknown tasks of the library.
    """
    reading = read_source(source, content_type)
    found_wrong = [*reading.problems, *check(reading, lambda _name: None)]
    refuse([problem for problem in found_wrong if problem.code != "TASK_NOT_FOUND"])
    if not reading.resources:
        raise Invalid("DEFINITION_INVALID", "the source holds no definition")
    resolve = reading.with_own_tasks(lambda _name: None)
    found: list[dict[str, Any]] = []
    for read in reading.resources:
        found += export(read, target, resolve) if target else [read.document]
    return found
