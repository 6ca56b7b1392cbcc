"""A workflow as a document of Serverless Workflow.

If independent nodes continue after a failure, each branch keeps its failure, which is raised at the
end.
"""

import re
from collections import Counter

from flowmesh.definitions.exports.parts import Document, nodes_by_id
from flowmesh.definitions.exports.serverless.graph import BRANCH_FAILURE, GraphWriter
from flowmesh.definitions.exports.serverless.jq import (
    literal,
    native_program,
    value_of,
    wrapped,
)
from flowmesh.definitions.exports.serverless.tasks import TaskWriter, ms
from flowmesh.definitions.exports.unsupported import UnsupportedExpression, UnsupportedFeatures
from flowmesh.definitions.formats.serverless.names import NAME, NAME_FORM, document_name
from flowmesh.definitions.model import (
    Callbacks,
    Compensation,
    Dialect,
    FailurePolicy,
    Workflow,
    every_node,
)
from flowmesh.definitions.references import output_roots_of
from flowmesh.definitions.scopes import Scope
from flowmesh.definitions.sources import Resolve
from flowmesh.definitions.triggers import Cron
from flowmesh.standards.jq_values import program_of

DSL = "1.0.3"
# Version of a workflow without a label `version`.
VERSION = "0.1.0"
_SEMANTIC = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?\Z"
)


def serverless_documents(
    workflow: Workflow, document: Document, unsupported: UnsupportedFeatures, _resolve: Resolve
) -> list[Document]:
    _refuse(workflow, document, unsupported)
    about = _about(workflow, document, unsupported)
    found: Document = {"document": about}
    found |= _schedule(workflow, unsupported)
    if workflow.timeout_ms:
        found["timeout"] = {"after": ms(workflow.timeout_ms)}
    if workflow.input_schema is not None:
        found["input"] = {"schema": {"format": "json", "document": workflow.input_schema}}
    nodes = [*every_node(workflow.nodes)]
    ids = Counter(node.id for node in nodes)
    for name, count in ids.items():
        if count > 1:
            unsupported.add("an id that several nodes have", name)
    failure_sources = {edge.source for node in nodes for edge in node.edges if edge.on_failure}
    writer = GraphWriter(
        Scope(workflow.nodes),
        TaskWriter(unsupported, frozenset(ids), failure_sources),
        finishes_others=workflow.on_failure is FailurePolicy.FINISH_OTHERS,
        shown=nodes_by_id(workflow, document),
    )
    found["do"] = writer.tasks()
    if writer.branches:
        found["do"].append({"raise the failure": _raised()})
    found["output"] = _output(workflow, writer.leaves, unsupported)
    return [found]


def _refuse(workflow: Workflow, document: Document, unsupported: UnsupportedFeatures) -> None:
    spec = document.get("spec", document)
    features = {
        "callbacks of executions": workflow.callbacks != Callbacks(),
        "a limit of how many nodes run at once": workflow.parallelism,
        "search attributes": workflow.search,
        "a retention": workflow.retention_ms,
        "limits of executions": workflow.limits is not None,
        "variables": workflow.variables,
        "a start policy": workflow.start is not None,
        "a compensation": workflow.compensation != Compensation(),
        "`onFailure: STOP`": workflow.on_failure is FailurePolicy.STOP,
        "an output schema without an output": (
            workflow.output_schema is not None and not workflow.has_output
        ),
        "templates in the Go form": workflow.dialect is Dialect.NATIVE
        and spec.get("templates", "native") != "native",
        "the namespace of a resource": workflow.dialect is Dialect.NATIVE
        and "namespace" in document.get("metadata", {}),
    }
    for feature, present in features.items():
        if present:
            unsupported.add(feature)


def _about(workflow: Workflow, document: Document, unsupported: UnsupportedFeatures) -> Document:
    """Return the member `document`: namespace and name come from the id, the version from a label;
    other labels are tags.
    """
    tags = dict(workflow.labels)
    namespace, name = document_name(workflow.id)
    if tags.get("namespace") == namespace:
        del tags["namespace"]
    about: Document = {
        "dsl": DSL,
        "namespace": namespace,
        "name": name,
        "version": tags.pop("version", VERSION),
    }
    for key in ("namespace", "name"):
        if not NAME.match(about[key]):
            unsupported.add(f"the {key} {about[key]!r}: {NAME_FORM}")
    if not _SEMANTIC.match(about["version"]):
        unsupported.add(
            f"the version {about['version']!r}, which is not semantic, such as {VERSION}"
        )
    if workflow.name != workflow.id:
        about["title"] = workflow.name
    if description := document.get("spec", document).get("description"):
        about["summary"] = description
    if tags:
        about["tags"] = tags
    metadata = document.get("metadata") or {}
    if workflow.dialect is Dialect.NATIVE:
        metadata = {key: metadata[key] for key in ("annotations",) if key in metadata}
    return about | ({"metadata": metadata} if metadata else {})


def _schedule(workflow: Workflow, unsupported: UnsupportedFeatures) -> Document:
    """Return the schedule: one schedule in UTC with an empty input, all that a document can
    express.
    """
    if not workflow.triggers:
        return {}
    if len(workflow.triggers) > 1:
        unsupported.add("several triggers")
    trigger = workflow.triggers[0]
    source = trigger.source
    if not isinstance(source, Cron) or source != Cron(source.expression):
        unsupported.add("a trigger that is no schedule in UTC, or runs missed instants later")
        return {}
    if trigger.id != "schedule":
        unsupported.add(f"a schedule with the id {trigger.id!r} (it would be 'schedule')")
    if not trigger.has_input or trigger.input != {}:
        unsupported.add("the input of a schedule other than {}")
    return {"schedule": {"cron": source.expression}}


def _output(workflow: Workflow, leaves: list[str], unsupported: UnsupportedFeatures) -> Document:
    """Return the output of the workflow, or that of its only leaf."""
    output: Document = {}
    if workflow.output_schema is not None:
        output["schema"] = {"format": "json", "document": workflow.output_schema}
    if not workflow.has_output:
        return output | {"as": wrapped(leaves[0] if len(leaves) == 1 else "null")}
    try:
        value = value_of(workflow.output, output_roots_of(workflow), native_program)
    except UnsupportedExpression as error:
        unsupported.add(f"{error} in the output")
        return output
    # A text is an expression there, and a list is only possible inside an expression.
    plain = isinstance(value, dict | str) and value != workflow.output
    return output | {"as": value if plain else wrapped(program_of(value))}


def _raised() -> Document:
    """Return the task that raises the failure of a branch after the others have ended."""
    failure = f"$context[{literal(BRANCH_FAILURE)}]"
    error = {
        "type": wrapped(f"{failure}.type"),
        "status": 500,
        "title": wrapped(f"{failure}.title"),
        "detail": wrapped(f"{failure}.detail"),
    }
    return {"if": wrapped(f"$context | has({literal(BRANCH_FAILURE)})"), "raise": {"error": error}}
