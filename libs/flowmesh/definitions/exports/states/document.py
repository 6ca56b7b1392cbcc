"""A workflow as an Amazon States Language document in JSONPath.

Steps in sequence are consecutive states, branches a Parallel, maps a Map, conditions a Choice.
Failure policies are written out: if a workflow finishes the other branches first, branches catch
their failures and return them as values.
"""

import orjson

from flowmesh.definitions.checks.everything import check
from flowmesh.definitions.exports.parts import Document, nodes_by_id
from flowmesh.definitions.exports.states.blocks import Blocks
from flowmesh.definitions.exports.states.errors import whole_seconds
from flowmesh.definitions.exports.states.refused import add_refused
from flowmesh.definitions.exports.states.values import Values, output_path
from flowmesh.definitions.exports.unsupported import UnsupportedFeatures
from flowmesh.definitions.model import Dialect, FailurePolicy, Workflow
from flowmesh.definitions.problems import errors_in
from flowmesh.definitions.references import output_roots_of
from flowmesh.definitions.sources import Resolve, read_source
from flowmesh.expressions import TemplateInvalid, compile_template

_FIRST = {
    "Type": "Pass",
    "Parameters": {"input.$": "$", "tasks": {}, "marks": {}},
}


def states_documents(
    workflow: Workflow, document: Document, unsupported: UnsupportedFeatures, resolve: Resolve
) -> list[Document]:
    """Return the document; `resolve` finds available tasks of the library."""
    add_refused(workflow, unsupported)
    metadata = document.get("metadata") or {}
    if workflow.dialect is Dialect.NATIVE:
        for key in ("annotations", "namespace"):
            if key in metadata:
                unsupported.add(f"the {key} of a resource")
    spec = document.get("spec", document)
    named = workflow.name if workflow.name != workflow.id else ""
    comment = ": ".join(filter(None, (named, spec.get("description", ""))))
    found: Document = {"Name": workflow.id} | ({"Comment": comment} if comment else {})
    if workflow.timeout_ms:
        found["TimeoutSeconds"] = whole_seconds(workflow.timeout_ms, "a timeout", unsupported)
    blocks = Blocks(workflow, nodes_by_id(workflow, document), unsupported, resolve)
    answer, skipped = _answer(workflow, blocks, unsupported)
    finishes = workflow.on_failure is not FailurePolicy.CANCEL
    made = blocks.machine(
        blocks.scope, workflow.id, answer, skipped, finishes=finishes, first=_FIRST
    )
    found |= made
    if unsupported.empty:
        _note_problems(found, unsupported)
    return [found]


def _note_problems(document: Document, unsupported: UnsupportedFeatures) -> None:
    """Note the limits that the written document exceeds, such as text lengths."""
    reading = read_source(orjson.dumps(document))
    for problem in errors_in([*reading.problems, *check(reading, lambda _name: None)]):
        if problem.code != "TASK_NOT_FOUND":
            place = f"{problem.place}: " if problem.place else ""
            unsupported.add(f"the resulting document ({place}{problem.message})")


def _answer(
    workflow: Workflow, blocks: Blocks, unsupported: UnsupportedFeatures
) -> tuple[Document, object]:
    """Return the last state's output, and the output if the end was skipped."""
    if not workflow.has_output:
        leaf = blocks.leaf(blocks.scope)
        return ({"InputPath": output_path(leaf)} if leaf else {"Result": None}), None
    values = Values(unsupported)
    try:
        template = compile_template(workflow.output, output_roots_of(workflow))
    except TemplateInvalid:
        return {}, ...
    for reference in template.references:
        if reference.root == "tasks" and reference.path:
            blocks.wanted.add(str(reference.path[0]))
    if path := values.whole(workflow.output):
        return {"InputPath": path}, ...
    is_object = isinstance(workflow.output, dict)
    given = workflow.output if is_object else {"output": workflow.output}
    made: Document = {"Parameters": values.payload(given)}
    return made | ({} if is_object else {"OutputPath": "$.output"}), ...
