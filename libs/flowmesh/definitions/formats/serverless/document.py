"""Serverless Workflow DSL 1.0: a document with `document.dsl` and `do`, as one state machine.

Data flows from task to task, so the `do` list is a machine whose value holds the data, the context
and the variables. Tasks and their expressions run on workers.
"""

import re

from flowmesh.definitions.formats.machines import ROOT, Budget, Machine, Names
from flowmesh.definitions.formats.serverless.compiler import (
    Compiler,
    EnclosingScope,
    Use,
    programs_of,
)
from flowmesh.definitions.formats.serverless.names import read_name, workflow_id
from flowmesh.definitions.formats.serverless.schedule import triggers_of
from flowmesh.definitions.formats.serverless.tasks import KINDS, decides_itself
from flowmesh.definitions.formats.serverless.values import (
    ALWAYS,
    Expressions,
    JsonObject,
    schema_of,
    timeout_of,
    unsupported,
)
from flowmesh.definitions.limits import DESCRIPTION_CHARACTERS_MAX
from flowmesh.definitions.model import Dialect, Follow, Workflow
from flowmesh.definitions.reading.reader import Reader
from flowmesh.standards.jq_values import variables_in

EXECUTOR = "serverless.task"
_VERSION = re.compile(r"1\.0\.\d+(?:[-+].*)?\Z")
_REUSABLE = ("authentications", "errors", "functions", "retries", "timeouts")
# Refused members with the alternative.
_NOT_YET = {
    "catalogs": "define the function in use.functions",
    "extensions": "write the tasks before and after each task",
}


def load(reader: Reader) -> Workflow | None:
    name, labels = _document(reader)
    problems = reader.problems
    triggers = triggers_of(reader)
    _evaluate(reader)
    use, secrets = _use(reader)
    expressions = Expressions(problems, secrets)
    taken, given = reader.object("input"), reader.object("output")
    begin: JsonObject = {}
    if taken.has("from"):
        begin["from"] = expressions.mapped(taken.raw("from"), ("input", "from"), ALWAYS)
    end: JsonObject = {}
    if given.has("as"):
        end["as"] = expressions.mapped(given.raw("as"), ("output", "as"), ALWAYS | {"context"})
    machine = Machine(Names(), Budget(problems), EXECUTOR, ("do",))
    compiler = Compiler(reader.value, expressions, use, KINDS, decides_itself)
    start = _whole(compiler, machine, reader, begin, end)
    expressions.check_all()
    workflow = Workflow(
        id=name,
        name=name,
        dialect=Dialect.SERVERLESS,
        nodes=(machine.as_node(ROOT, start, _FIRST),) if start else (),
        input_schema=schema_of(taken),
        output_schema=schema_of(given),
        output=f"{{{{tasks.{ROOT}.output.data}}}}",
        has_output=bool(start),
        timeout_ms=timeout_of(reader, use.timeouts),
        labels=labels,
        triggers=triggers,
        nodes_path=("do",),
    )
    for part in (taken, given, reader):
        part.refuse_unknown()
    return workflow


_FIRST = {"data": "{{input}}", "context": {}, "vars": {}, "frames": []}


def _document(reader: Reader) -> tuple[str, dict[str, str]]:
    """Return the id and the labels of the workflow."""
    if not reader.has("document"):
        reader.missing("document", "dsl, namespace, name and version of the workflow")
    document = reader.object("document")
    dsl = document.required_text("dsl", "the version of the DSL, such as 1.0.3")
    if dsl and not _VERSION.match(dsl):
        unsupported(reader.problems, f"DSL version {dsl[:32]!r}", ("document", "dsl"), "1.0.x is")
    name = read_name(document, "name", "the name of the workflow")
    namespace = read_name(document, "namespace", "the namespace of the workflow")
    labels = {
        "namespace": namespace,
        "version": document.required_text("version", "the semantic version of the workflow"),
    }
    document.text("title")
    document.text("summary", most=DESCRIPTION_CHARACTERS_MAX)
    document.object("metadata")
    tags = {**labels, **document.labels("tags")}
    document.refuse_unknown()
    return workflow_id(namespace, name), tags


def _evaluate(reader: Reader) -> None:
    evaluate = reader.object("evaluate")
    for key, only in (("language", "jq"), ("mode", "strict")):
        if (evaluate.text(key) or only) != only:
            feature, why = f"evaluate.{key} other than {only}", f"write it for {only}"
            unsupported(reader.problems, feature, ("evaluate", key), why)
    evaluate.refuse_unknown()


def _use(reader: Reader) -> tuple[Use, frozenset[str]]:
    """Return the reusable definitions, and the names of the secrets."""
    use = reader.object("use")
    for key, instead in _NOT_YET.items():
        if use.raw(key):
            unsupported(reader.problems, f"use.{key}", ("use", key), instead)
    found = Use(*(use.object(key) for key in _REUSABLE))
    secrets = frozenset(name for name in use.identifiers("secrets") if name)
    use.refuse_unknown()
    return found, secrets


def _whole(
    compiler: Compiler, machine: Machine, reader: Reader, begin: JsonObject, end: JsonObject
) -> str:
    """Compile the machine of the document; return the id of its first node, empty if there is
    none.
    """
    after = machine.names.new("output") if end else ""
    first = compiler.tasks(
        machine, reader.raw("do"), ("do",), EnclosingScope(after=after, end=after)
    )
    if not first:
        return ""
    if end:
        _shape(compiler, machine, after, "output", end["as"], "")
    if begin:
        entry = machine.names.new("input")
        _shape(compiler, machine, entry, "input", begin["from"], first)
        return entry
    return first


def _shape(
    compiler: Compiler, machine: Machine, node_id: str, name: str, made: JsonObject, following: str
) -> None:
    """Add a node before or after all tasks that transforms the data."""
    config: JsonObject = {"op": "set", "name": name, "at": f"/{name}", "set": made}
    given = {}
    if any("workflow" in variables_in(program) for program in programs_of(config)):
        given = {"execution": "{{execution.id}}", "input": "{{input}}"}
        config["definition"] = compiler.document
    machine.task(node_id, config, Follow(following), name=name, path=(name,), given=given)
