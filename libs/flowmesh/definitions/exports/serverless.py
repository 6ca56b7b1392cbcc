"""A workflow as a document of Serverless Workflow: nodes after one another are a list of tasks,
nodes side by side a fork.

A node runs where what it waits for has put its output into the context; what was skipped has not.
Where others go on when a node fails, each branch keeps its failure, which is raised in the end.
"""

import re
from collections.abc import Iterator

from flowmesh.definitions.exports.lost import Lost
from flowmesh.definitions.exports.parts import Document, written_nodes
from flowmesh.definitions.exports.series import Block, Branches, Series, Tangled, blocks_of
from flowmesh.definitions.exports.serverless_conditions import condition_program
from flowmesh.definitions.exports.serverless_jq import (
    ProgramOf,
    Unsaid,
    context_program,
    literal,
    native_program,
    value_of,
    wrapped,
)
from flowmesh.definitions.exports.serverless_tasks import FAILED, Teller, ms
from flowmesh.definitions.model import (
    Callbacks,
    Compensation,
    Dialect,
    FailurePolicy,
    Join,
    Node,
    Workflow,
)
from flowmesh.definitions.references import output_roots_of
from flowmesh.definitions.scopes import Scope
from flowmesh.definitions.triggers import Cron

DSL = "1.0.3"
# A workflow without these labels is said to be of this namespace and version.
NAMESPACE, VERSION = "default", "0.1.0"
_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\Z")
_SEMANTIC = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?\Z"
)
# Members of the context that no id of a node can be, and the task that raises what is there.
_FAILURE = "failure of a branch"


def serverless_document(workflow: Workflow, document: Document, lost: Lost) -> Document:
    _refuse(workflow, document, lost)
    about = _about(workflow, document, lost)
    found: Document = {"document": about}
    found |= _schedule(workflow, lost)
    if workflow.timeout_ms:
        found["timeout"] = {"after": ms(workflow.timeout_ms)}
    if workflow.input_schema is not None:
        found["input"] = {"schema": {"format": "json", "document": workflow.input_schema}}
    writer = _Writer(workflow, document, about["namespace"], lost)
    found["do"] = writer.tasks()
    found["output"] = writer.output()
    return found


def _refuse(workflow: Workflow, document: Document, lost: Lost) -> None:
    spec = document.get("spec", document)
    said = {
        "webhooks that are told how an execution goes": workflow.callbacks != Callbacks(),
        "a limit of how many nodes run at once": workflow.parallelism,
        "what executions are searched for by": workflow.search,
        "a retention": workflow.retention_ms,
        "limits of executions": workflow.limits is not None,
        "variables": workflow.variables,
        "a policy of when executions begin": workflow.start is not None,
        "a compensation": workflow.compensation != Compensation(),
        "`onFailure: STOP`": workflow.on_failure is FailurePolicy.STOP,
        "a schema of an output that the workflow does not put together": (
            workflow.output_schema is not None and not workflow.has_output
        ),
        "templates in the Go form": workflow.dialect is Dialect.NATIVE
        and spec.get("templates", "native") != "native",
        "the namespace of a resource": workflow.dialect is Dialect.NATIVE
        and "namespace" in document.get("metadata", {}),
    }
    for feature, is_said in said.items():
        if is_said:
            lost.note(feature)


def _about(workflow: Workflow, document: Document, lost: Lost) -> Document:
    """Labels that say the namespace and the version of the document are these; others are tags."""
    tags = dict(workflow.labels)
    about: Document = {
        "dsl": DSL,
        "namespace": tags.pop("namespace", NAMESPACE),
        "name": workflow.id,
        "version": tags.pop("version", VERSION),
    }
    for key in ("namespace", "name"):
        if not _NAME.match(about[key]):
            lost.note(f"the {key} {about[key]!r}: letters, digits and -, at most 63")
    if not _SEMANTIC.match(about["version"]):
        lost.note(f"the version {about['version']!r}, which is not semantic, such as {VERSION}")
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


def _schedule(workflow: Workflow, lost: Lost) -> Document:
    """One schedule in UTC that gives an empty input, which is what a document can say of it."""
    if not workflow.triggers:
        return {}
    if len(workflow.triggers) > 1:
        lost.note("several triggers")
    trigger = workflow.triggers[0]
    source = trigger.source
    if not isinstance(source, Cron) or source != Cron(source.expression):
        lost.note("a trigger that is no schedule in UTC, or makes up for missed instants")
        return {}
    if trigger.id != "schedule":
        lost.note(f"a schedule with the id {trigger.id!r} (it would be 'schedule')")
    if not trigger.has_input or trigger.input != {}:
        lost.note("the input of a schedule other than {}")
    return {"schedule": {"cron": source.expression}}


class _Writer:
    """Writes the graph of one workflow."""

    def __init__(self, workflow: Workflow, document: Document, namespace: str, lost: Lost) -> None:
        self._workflow = workflow
        self._lost = lost
        self._scope = Scope(workflow.nodes)
        self._graph = self._scope.graph
        self._shown = written_nodes(workflow, document)
        told = {edge.source for node in workflow.nodes for edge in node.edges if edge.on_failure}
        self._teller = Teller(namespace, lost, self._scope.ids, told)
        self._told = told
        self._goes_on = workflow.on_failure is FailurePolicy.FINISH_OTHERS
        # The branches around each node whose failures are kept, the outermost first.
        self._around: dict[int, tuple[int, ...]] = {}
        self._skipped: set[int] = set()
        self._branches = 0

    def tasks(self) -> list[Document]:
        try:
            block = blocks_of(self._graph)
        except Tangled as tangled:
            named = ", ".join(self._graph.ids[index] for index in tangled.nodes[:8])
            self._lost.note(f"{tangled}: {named}")
            self._refuse_all()
            return []
        self._place(block, ())
        tasks = list(self._list(block, ()))
        return [*tasks, {"raise the failure": _raised()}] if self._branches else tasks

    def output(self) -> Document:
        """What the workflow puts together, else the output of the only node nobody waits for."""
        workflow, output = self._workflow, {}
        if workflow.output_schema is not None:
            output["schema"] = {"format": "json", "document": workflow.output_schema}
        if not workflow.has_output:
            waited_for = {each for before in self._graph.dependencies for each in before}
            leaves = [n for n in range(len(self._graph.ids)) if n not in waited_for]
            program = "null"
            if len(leaves) == 1:
                program = f"$context[{literal(self._graph.ids[leaves[0]])}]"
            return output | {"as": wrapped(program)}
        if workflow.dialect is not Dialect.NATIVE and workflow.dialect is not Dialect.GRAPH:
            self._lost.note("an output that the workflow puts together")
            return output
        try:
            value = value_of(workflow.output, output_roots_of(workflow), native_program)
        except Unsaid as unsaid:
            self._lost.note(f"{unsaid} in the output")
            return output
        plain = value if isinstance(value, dict | str) and value != workflow.output else None
        return output | {"as": wrapped(literal(value)) if plain is None else plain}

    def _refuse_all(self) -> None:
        """Tells what else has no place although the graph has none."""
        for index in range(len(self._graph.ids)):
            self._task(index)

    def _place(self, block: Block, around: tuple[int, ...]) -> None:
        """Which branches each node stands in whose failure stops only them."""
        match block:
            case Branches(blocks):
                for each in blocks:
                    inner = around
                    if self._goes_on and self._fails(each):
                        self._branches += 1
                        inner = (*around, self._branches)
                    self._place(each, inner)
            case Series(blocks):
                for each in blocks:
                    self._place(each, around)
            case int():
                self._around[block] = around

    def _fails(self, block: Block) -> bool:
        """Whether anything in it may: all but a pause without a condition."""
        if not isinstance(block, int):
            return any(map(self._fails, block.blocks))
        node = self._scope.nodes[block]
        executor = node.task.executor if node.task is not None else node.task_ref
        return bool(node.condition) or executor not in ("noop", "delay")

    def _list(self, block: Block, around: tuple[int, ...]) -> Iterator[Document]:
        match block:
            case Series(blocks):
                for each in blocks:
                    yield from self._list(each, around)
            case Branches(blocks):
                branches = [self._branch(each, around) for each in blocks]
                name = f"beside {self._first(block)}"
                yield {name: {"fork": {"branches": branches}}}
            case int():
                yield {self._graph.ids[block]: self._task(block)}

    def _first(self, block: Block) -> str:
        while not isinstance(block, int):
            block = block.blocks[0]
        return self._graph.ids[block]

    def _branch(self, block: Block, around: tuple[int, ...]) -> Document:
        node = block
        while not isinstance(node, int):
            node = node.blocks[0]
        inner = self._around[node][: len(around) + 1]
        tasks = list(self._list(block, inner))
        name = f"branch of {self._first(block)}"
        if len(inner) > len(around):
            kept = {
                "set": wrapped("$error"),
                "export": {"as": wrapped(f"$context + {{{literal(_FAILURE)}: .}}")},
            }
            catch = {"as": "error", "do": [{f"failure of {name}": kept}]}
            return {name: {"try": tasks, "catch": catch}}
        return tasks[0] if len(tasks) == 1 else {name: {"do": tasks}}

    def _task(self, index: int) -> Document:
        node = self._scope.nodes[index]
        conditions = [*self._guards(index, node)]
        if node.condition:
            try:
                conditions.append(condition_program(node.condition, self._scope.ids))
            except Unsaid as unsaid:
                self._lost.note(str(unsaid), node.id)
        may_skip = not node.critical or node.id in self._told
        if conditions or may_skip:
            self._skipped.add(index)
        shown = self._shown.get(node.id, {})
        about = dict(shown.get("metadata") or {})
        about.pop("position", None)
        if node.name != node.id:
            about["name"] = node.name
        if shown.get("description"):
            about["description"] = shown["description"]
        condition = " and ".join(conditions)
        return self._teller.task(node, condition, self._of_context(index), about)

    def _of_context(self, index: int) -> ProgramOf:
        ids = self._graph.ids
        before = frozenset(ids[each] for each in self._before(index))
        return context_program(before, frozenset(ids))

    def _before(self, index: int) -> set[int]:
        """All that a node waits for, directly or not."""
        before: set[int] = set()
        waiting = [*self._graph.dependencies[index]]
        while waiting:
            each = waiting.pop()
            if each not in before:
                before.add(each)
                waiting.extend(self._graph.dependencies[each])
        return before

    def _guards(self, index: int, node: Node) -> Iterator[str]:
        """What must be in the context for a node to run; nothing where all of it is."""
        before = self._graph.dependencies[index]
        if node.join is Join.ANY:
            self._lost.note("a join that does not wait for all", node.id)
        if node.join_count > 1 or node.join_required:
            self._lost.note("a join by a count, or of nodes that are required", node.id)
        taken = {each: self._taken(node, each) for each in before}
        guards = [
            program
            for each, program in taken.items()
            if each in self._skipped or self._chosen(node, each) or not self._together(index, each)
        ]
        if node.join is not Join.ALL or len(before) < 2:
            yield from guards
            return
        may_stop = any(self._together(index, each) and self._fails(each) for each in before)
        in_a_row = any(self._before(each).intersection(before) for each in before)
        if self._goes_on and (may_stop or in_a_row):
            self._lost.note("a join 'all' of nodes after one another, which may fail", node.id)
        if len(guards) == len(before):
            yield "(" + " or ".join(guards) + ")"

    def _together(self, index: int, before: int) -> bool:
        """Whether the failure of the one keeps the other from running by itself."""
        outer, inner = self._around.get(before, ()), self._around.get(index, ())
        return inner[: len(outer)] == outer

    def _taken(self, node: Node, before: int) -> str:
        """The program of whether the edge from a node was taken."""
        source = self._scope.nodes[before].id
        edges = [edge for edge in node.edges if edge.source == source]
        if len(edges) > 1:
            self._lost.note(f"several edges from {source}", node.id)
        program = f"has({literal(source)})"
        for edge in edges[:1]:
            if edge.on_failure:
                program = f"has({literal(source + FAILED)})"
            elif edge.label:
                label = literal(edge.label)
                named = f'. == {label} or (type == "array" and any(. == {label}))'
                program += f" and (.[{literal(source)}] | {named})"
        return f"($context | {program})"

    def _chosen(self, node: Node, before: int) -> bool:
        """Whether the edge from a node may not be taken although the node completes."""
        source = self._scope.nodes[before].id
        return any(edge.source == source and edge.label for edge in node.edges)


def _raised() -> Document:
    """The failure of a branch, once the others have ended."""
    kept = f"$context[{literal(_FAILURE)}]"
    error = {
        "type": wrapped(f"{kept}.type"),
        "status": 500,
        "title": wrapped(f"{kept}.title"),
        "detail": wrapped(f"{kept}.detail"),
    }
    return {"if": wrapped(f"$context | has({literal(_FAILURE)})"), "raise": {"error": error}}
