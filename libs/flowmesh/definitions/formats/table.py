"""The formats of definitions, one record each.

Reading, writing, editor schemas, the choices of the CLI and of the REST API, and messages derive
from this table. Functions are named, and imported on first use: the gateway and the CLI list the
formats without importing the code that reads and writes them. A format that is read also needs a
member of `model.Dialect` and of the enum `Dialect` of plan.proto.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Literal

_BASE = "flowmesh.definitions"


@dataclass(frozen=True, slots=True)
class Format:
    """One format. Functions are written `module:function`, relative to `flowmesh.definitions`.

    `importer` is empty for a format that is only written; its documents are those of `dialect`.
    """

    # In the CLI, the REST API and `Workflow.format`.
    name: str
    # In messages, after "of" and "with".
    title: str
    # Page below docs/ that describes the format.
    documentation: str
    # (workflow, document, unsupported, resolve) -> documents; see exports/export.py.
    exporter: str
    # (reader) -> resource; see formats/load.py.
    importer: str = ""
    # Members of a document of this format. Only this format has the first; the others identify
    # the format if no document mark is present.
    marks: tuple[str, ...] = ()
    # Editor schemas by the kind that `flowmesh schema` takes.
    schemas: Mapping[str, str] = field(default_factory=dict)
    dialect: str = ""
    # Syntax of the written text unless the caller chooses one.
    syntax: Literal["json", "yaml", "python"] = "json"
    # True if the exporter needs the types of the library tasks that the workflow refers to.
    resolves_tasks: bool = False


FORMATS = {
    each.name: each
    for each in (
        Format(
            "native",
            "a native resource",
            "workflow-reference.md",
            exporter="exports.native:native_documents",
            importer="formats.native.resources:load",
            marks=("apiVersion", "kind"),
            schemas={
                "workflow": "editor.native:workflow_schema",
                "task": "editor.native:task_schema",
                "template": "editor.native:template_schema",
            },
            dialect="native",
            syntax="yaml",
        ),
        Format(
            "python",
            "the Python builder",
            "python-sdk.md",
            exporter="exports.native:native_documents",
            dialect="native",
            syntax="python",
        ),
        Format(
            "steps",
            "step JSON",
            "formats.md",
            exporter="exports.steps:steps_documents",
            importer="formats.steps:load",
            marks=("steps",),
            schemas={"steps": "editor.steps:steps_schema"},
            dialect="steps",
        ),
        Format(
            "graph",
            "graph JSON",
            "formats.md",
            exporter="exports.graph:graph_documents",
            importer="formats.graph.document:load",
            marks=("nodes",),
            schemas={"graph": "editor.graph:graph_schema"},
            dialect="graph",
        ),
        Format(
            "serverless",
            "Serverless Workflow",
            "serverless-workflow.md",
            exporter="exports.serverless.document:serverless_documents",
            importer="formats.serverless.document:load",
            marks=("document", "do"),
            schemas={"serverless": "editor.serverless:serverless_schema"},
            dialect="serverless",
        ),
        Format(
            "states",
            "the Amazon States Language",
            "amazon-states.md",
            exporter="exports.states.document:states_documents",
            importer="formats.states.document:load",
            marks=("StartAt", "States"),
            schemas={"states": "editor.states:states_schema"},
            dialect="states",
            resolves_tasks=True,
        ),
    )
}
# Schema functions by the kind of document that `flowmesh schema` takes.
SCHEMA_FUNCTIONS = {kind: name for each in FORMATS.values() for kind, name in each.schemas.items()}


@cache
def load_function(name: str) -> Any:
    """Import the function of a record, written `module:function`."""
    module, _, function = name.partition(":")
    return getattr(import_module(f"{_BASE}.{module}"), function)
