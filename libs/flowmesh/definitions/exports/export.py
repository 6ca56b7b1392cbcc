"""One definition, or all of a source, in the format asked for."""

from typing import Any

from flowmesh.definitions.checks.everything import check
from flowmesh.definitions.exports.graph import graph_document
from flowmesh.definitions.exports.native import native_documents
from flowmesh.definitions.exports.python.document import BUILDER
from flowmesh.definitions.exports.serverless.document import serverless_document
from flowmesh.definitions.exports.states.document import states_document
from flowmesh.definitions.exports.steps import steps_document
from flowmesh.definitions.exports.unsupported import UnsupportedFeatures
from flowmesh.definitions.model import Dialect, Json, Workflow
from flowmesh.definitions.problems import refuse
from flowmesh.definitions.reading.sources import Read, Resolve, read_source
from flowmesh.errors import Invalid

# Formats that are written, by the word that asks for them, and what they are called.
TARGETS = {
    "native": (Dialect.NATIVE, "a native resource"),
    # Native resources that `write_python` writes as code.
    "python": (Dialect.NATIVE, BUILDER),
    "steps": (Dialect.STEPS, "step JSON"),
    "graph": (Dialect.GRAPH, "graph JSON"),
    "states": (Dialect.STATES, "the Amazon States Language"),
    "serverless": (Dialect.SERVERLESS, "Serverless Workflow"),
}


def export(read: Read, target: str, resolve: Resolve = lambda _name: None) -> list[dict[str, Any]]:
    """The documents that say the same in another format; the document itself in its own.

    A task of the library has one format only; `resolve` gives those that are at hand. Raises
    Invalid FEATURE_UNSUPPORTED with all that has no place in the format.
    """
    dialect, words = TARGETS[target]
    workflow, document = read.resource, read.document
    if not isinstance(workflow, Workflow) or workflow.dialect is dialect:
        return [document]
    unsupported = UnsupportedFeatures(words)
    found: list[dict[str, Json]]
    match dialect:
        case Dialect.GRAPH:
            found = [graph_document(workflow, document, unsupported)]
        case Dialect.STEPS:
            found = [steps_document(workflow, document, unsupported)]
        case Dialect.STATES:
            found = [states_document(workflow, document, unsupported, resolve)]
        case Dialect.SERVERLESS:
            found = [serverless_document(workflow, document, unsupported)]
        case _:
            found = native_documents(workflow, document, unsupported)
    unsupported.raise_if_any()
    return found


def export_source(source: bytes, content_type: str, target: str) -> list[dict[str, Any]]:
    """Everything a source holds in the format asked for; `target` empty leaves each as it is.

    Raises Invalid with every problem of the source, but for tasks of a library it cannot see.
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
