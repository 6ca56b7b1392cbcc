"""A graph as a list of Serverless Workflow tasks; parallel nodes are a fork.

A node runs if its dependencies have put their outputs into the context; skipped nodes have not.
"""

from collections.abc import Iterator

from flowmesh.definitions.exports.parts import Document
from flowmesh.definitions.exports.series import (
    Block,
    Branches,
    Series,
    UnstructuredGraph,
    before_each,
    blocks_of,
)
from flowmesh.definitions.exports.serverless.conditions import condition_program
from flowmesh.definitions.exports.serverless.jq import (
    ProgramOf,
    context_program,
    literal,
    wrapped,
)
from flowmesh.definitions.exports.serverless.tasks import FAILED, TaskWriter
from flowmesh.definitions.exports.unsupported import UnsupportedExpression
from flowmesh.definitions.model import GroupBody, Join, Node, Outcome
from flowmesh.definitions.scopes import Scope

# A member of the context that cannot be the id of a node.
BRANCH_FAILURE = "failure of a branch"


class GraphWriter:
    """The writer of one graph: that of the workflow, or that of a group in it.

    With `finishes_others`, the failure of a branch is kept in the context.
    """

    def __init__(
        self,
        scope: Scope,
        task_writer: TaskWriter,
        *,
        finishes_others: bool,
        shown: dict[str, Document],
    ) -> None:
        self._scope = scope
        self._graph = scope.graph
        # Direct and indirect dependencies of each node, as the bits of a number.
        self._before = before_each(scope.graph)
        self._index = {name: index for index, name in enumerate(scope.graph.ids)}
        self._task_writer = task_writer
        self._unsupported = task_writer.unsupported
        self._finishes_others = finishes_others
        self._shown = shown
        # Enclosing branches of each node whose failures are kept, outermost first.
        self._enclosing: dict[int, tuple[int, ...]] = {}
        self._skipped: set[int] = set()
        self.branches = 0

    def tasks(self) -> list[Document]:
        """Return the list of tasks."""
        block = self._block()
        return [] if block is None else list(self._list(block, ()))

    def racers(self, node_id: str) -> list[Document]:
        """Return the branches of a race: each ends with one task, whose output is that of the
        branch.
        """
        block = self._block()
        if block is None:
            return []
        blocks = block.blocks if isinstance(block, Branches) else (block,)
        branches = [self._branch(each, ()) for each in blocks]
        ends = [each.blocks[-1] if isinstance(each, Series) else each for each in blocks]
        if any(not isinstance(end, int) for end in ends):
            self._unsupported.add("a race in which a branch ends with several nodes", node_id)
        if self._skipped or any(node.outcome != Outcome() for node in self._scope.nodes):
            self._unsupported.add(
                "a race of nodes that may be skipped, or that tolerate failures", node_id
            )
        return branches

    def _block(self) -> Block | None:
        """Return the graph as a block; None if it is not series-parallel, which is noted."""
        try:
            block = blocks_of(self._graph)
        except UnstructuredGraph as error:
            named = ", ".join(self._graph.ids[index] for index in error.nodes[:8])
            self._unsupported.add(f"{error}: {named}")
            self._refuse_all()
            return None
        self._place(block, ())
        return block

    @property
    def leaves(self) -> list[str]:
        """Return the programs of the leaves' outputs."""
        waited_for = {each for before in self._graph.dependencies for each in before}
        ids = [name for index, name in enumerate(self._graph.ids) if index not in waited_for]
        return [f"$context[{literal(name)}]" for name in ids]

    def _refuse_all(self) -> None:
        """Note the other unsupported features of a graph that is not series-parallel."""
        for index in range(len(self._graph.ids)):
            self._task(index)

    def _place(self, block: Block, enclosing: tuple[int, ...]) -> None:
        """Record for each node the branches that its failure stops."""
        match block:
            case Branches(blocks):
                for each in blocks:
                    inner = enclosing
                    if self._finishes_others and self._fails(each):
                        self.branches += 1
                        inner = (*enclosing, self.branches)
                    self._place(each, inner)
            case Series(blocks):
                for each in blocks:
                    self._place(each, enclosing)
            case int():
                self._enclosing[block] = enclosing

    def _fails(self, block: Block) -> bool:
        """Return whether the block can fail; only a delay without a condition cannot."""
        if not isinstance(block, int):
            return any(map(self._fails, block.blocks))
        node = self._scope.nodes[block]
        executor = node.task.executor if node.task is not None else node.task_ref
        return bool(node.condition) or executor not in ("noop", "delay")

    def _list(self, block: Block, enclosing: tuple[int, ...]) -> Iterator[Document]:
        match block:
            case Series(blocks):
                for each in blocks:
                    yield from self._list(each, enclosing)
            case Branches(blocks):
                branches = [self._branch(each, enclosing) for each in blocks]
                name = f"beside {self._first(block)}"
                yield {name: {"fork": {"branches": branches}}}
            case int():
                yield {self._graph.ids[block]: self._task(block)}

    def _first(self, block: Block) -> str:
        while not isinstance(block, int):
            block = block.blocks[0]
        return self._graph.ids[block]

    def _branch(self, block: Block, enclosing: tuple[int, ...]) -> Document:
        node = block
        while not isinstance(node, int):
            node = node.blocks[0]
        inner = self._enclosing[node][: len(enclosing) + 1]
        tasks = list(self._list(block, inner))
        name = f"branch of {self._first(block)}"
        if len(inner) > len(enclosing):
            failure = {
                "set": wrapped("$error"),
                "export": {"as": wrapped(f"$context + {{{literal(BRANCH_FAILURE)}: .}}")},
            }
            catch = {"as": "error", "do": [{f"failure of {name}": failure}]}
            return {name: {"try": tasks, "catch": catch}}
        return tasks[0] if len(tasks) == 1 else {name: {"do": tasks}}

    def _task(self, index: int) -> Document:
        node = self._scope.nodes[index]
        conditions = [*self._guards(index, node)]
        if node.condition:
            try:
                conditions.append(condition_program(node.condition, self._task_writer.ids))
            except UnsupportedExpression as error:
                self._unsupported.add(str(error), node.id)
        may_skip = not node.critical or node.id in self._task_writer.with_failure_edges
        if conditions or may_skip:
            self._skipped.add(index)
        shown = self._shown.get(node.id, {})
        about = dict(shown.get("metadata") or {})
        about.pop("position", None)
        if node.name != node.id:
            about["name"] = node.name
        if shown.get("description"):
            about["description"] = shown["description"]
        group = self._group(node, node.body) if isinstance(node.body, GroupBody) else None
        condition = " and ".join(conditions)
        return self._task_writer.task(node, condition, self._of_context(index), about, group)

    def _group(self, node: Node, body: GroupBody) -> Document:
        """Return a group as a list that ends with its first failure, or a race."""
        inner = GraphWriter(
            self._scope.bodies[node.path], self._task_writer, finishes_others=False, shown={}
        )
        if body.race:
            return {"fork": {"branches": inner.racers(node.id), "compete": True}}
        tasks = inner.tasks()
        output = f"[{', '.join(inner.leaves)}]"
        if body.single:
            output = inner.leaves[0] if len(inner.leaves) == 1 else "null"
        return {"do": tasks, "output": {"as": wrapped(output)}}

    def _of_context(self, index: int) -> ProgramOf:
        before = self._before[index]
        return context_program(lambda name: bool(before >> self._index[name] & 1), self._index)

    def _guards(self, index: int, node: Node) -> Iterator[str]:
        """Yield the conditions on the context for a node to run; none if all dependencies are
        there.
        """
        before = self._graph.dependencies[index]
        if node.join is Join.ANY:
            self._unsupported.add("a join that does not wait for all", node.id)
        if node.join_count > 1 or node.join_required:
            self._unsupported.add("a join by a count, or of nodes that are required", node.id)
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
        direct = sum(1 << each for each in before)
        in_a_row = any(self._before[each] & direct for each in before)
        if self._finishes_others and (may_stop or in_a_row):
            self._unsupported.add(
                "a join 'all' of nodes after one another, which may fail", node.id
            )
        if len(guards) == len(before):
            yield "(" + " or ".join(guards) + ")"

    def _together(self, index: int, before: int) -> bool:
        """Return whether the failure of one node keeps the other from running."""
        outer, inner = self._enclosing.get(before, ()), self._enclosing.get(index, ())
        return inner[: len(outer)] == outer

    def _taken(self, node: Node, before: int) -> str:
        """Return the program that tests whether the edge from a node was taken."""
        source = self._scope.nodes[before].id
        edges = [edge for edge in node.edges if edge.source == source]
        if len(edges) > 1:
            self._unsupported.add(f"several edges from {source}", node.id)
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
        """Return whether the edge may not be taken although its source completes."""
        source = self._scope.nodes[before].id
        return any(edge.source == source and edge.label for edge in node.edges)
