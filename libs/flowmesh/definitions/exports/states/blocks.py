"""Nodes of a workflow as states: in sequence, in parallel, per item of a list.

States are made from last to first, because each names its successor.
"""

from collections.abc import Mapping
from itertools import pairwise

from flowmesh.definitions.exports.parts import Document
from flowmesh.definitions.exports.series import (
    Block,
    Branches,
    Series,
    UnstructuredGraph,
    before_each,
    blocks_of,
)
from flowmesh.definitions.exports.states.conditions import Rules, rules_of
from flowmesh.definitions.exports.states.decisions import (
    add_unsupported_joins,
    decision_in,
    write_decision,
)
from flowmesh.definitions.exports.states.errors import ANY_ERROR
from flowmesh.definitions.exports.states.levels import Level, merged, transition
from flowmesh.definitions.exports.states.refused import add_refused, add_unsupported_edges
from flowmesh.definitions.exports.states.tasks import Tasks
from flowmesh.definitions.exports.states.values import HasEnded, Values, output_path, path_to
from flowmesh.definitions.exports.unsupported import UnsupportedExpression, UnsupportedFeatures
from flowmesh.definitions.model import (
    ITEM_NAMES,
    Dialect,
    FailurePolicy,
    GroupBody,
    Join,
    MapBody,
    Node,
    OnFailure,
    Workflow,
)
from flowmesh.definitions.references import condition_roots_of, has_template
from flowmesh.definitions.scopes import Scope
from flowmesh.definitions.sources import Resolve
from flowmesh.expressions.references import Reference
from flowmesh.standards.choices import problems_of

NAME_CHARACTERS_MAX = 80
# Longest call that merges the values of branches.
_BRANCHES_MAX = 128
# Path of map items that are not a reference.
_ITEMS = "$.items"
_FAILURE, _SKIPPED = "$.marks.failure", "$.marks.skipped"


class Blocks:
    """The writer of a workflow's graphs; `wanted` holds nodes whose output is read."""

    def __init__(
        self,
        workflow: Workflow,
        source_nodes: Mapping[str, Document],
        unsupported: UnsupportedFeatures,
        resolve: Resolve,
    ) -> None:
        self._workflow = workflow
        self._source_nodes = source_nodes
        self.unsupported = unsupported
        self._tasks = Tasks(unsupported, resolve, foreign=workflow.dialect is not Dialect.NATIVE)
        self._names: set[str] = set()
        self.named: dict[tuple[str | int, ...], str] = {}
        # Nodes that a decision chooses, and the nodes behind those.
        self.chosen: set[tuple[str | int, ...]] = set()
        self.joins: set[tuple[str | int, ...]] = set()
        # By scope: the dependencies of each node, and its index.
        self._before: dict[int, list[int]] = {}
        self._places: dict[int, dict[str, int]] = {}
        self.scope = Scope(workflow.nodes)
        self.wanted: set[str] = set()
        for scope in self.scope.every():
            around = scope.outer.visible if scope.outer is not None else {}
            for index, node in enumerate(scope.nodes):
                if node.id in around:
                    unsupported.add("a task with the id of one around it", node.id)
                self.named[node.path] = self.new(node.id)
                self.wanted |= set(scope.implied.get(index, ()))
                if workflow.dialect is not Dialect.NATIVE:
                    # The context may be read for any of them.
                    self.wanted.add(node.id)

    def new(self, wanted: str) -> str:
        """Return a unique state name."""
        name, number = wanted, 1
        while name in self._names:
            number += 1
            name = f"{wanted}-{number}"
        if len(name) > NAME_CHARACTERS_MAX:
            self.unsupported.add(
                f"a name of more than {NAME_CHARACTERS_MAX} characters", wanted[:128]
            )
        self._names.add(name)
        return name

    def block(self, scope: Scope) -> Block | None:
        """Return the graph as blocks; None if it is not series-parallel, which is noted."""
        try:
            return blocks_of(scope.graph)
        except UnstructuredGraph as error:
            names = ", ".join(scope.graph.ids[index] for index in error.nodes[:8])
            self.unsupported.add(f"{error} ({names})")
            return None

    def leaf(self, scope: Scope) -> str:
        """Return the only leaf of a graph; empty if there are several."""
        leaves = scope.graph.leaves
        return scope.graph.ids[leaves[0]] if len(leaves) == 1 else ""

    def emit(self, block: Block, level: Level, following: str) -> str:
        """Add the states of a block and return the name of the first. An empty `following` ends the
        machine.
        """
        match block:
            case Series():
                return self._row(list(block.blocks), level, following)
            case Branches():
                return self._parallel(block, level, following)
        return self._node(level.scope.nodes[block], level, following)

    def _row(self, blocks: list[Block], level: Level, following: str) -> str:
        for before, behind in pairwise(blocks):
            decision = decision_in(before, level)
            if decision is not None:
                add_unsupported_joins(self, decision, behind, level)
        while blocks:
            each = blocks.pop()
            decision = decision_in(blocks[-1], level) if blocks else None
            if decision is None:
                following = self.emit(each, level, following)
                continue
            blocks.pop()
            self._check(decision, level)
            following = write_decision(self, decision, each, level, following)
            if decision.condition:
                following = self._guarded(decision, level, following)
        return following

    def _check(self, node: Node, level: Level) -> None:
        """Note the unsupported features of a node."""
        add_refused(node, self.unsupported, node.id)
        add_refused(node.outcome, self.unsupported, node.id)
        settles = node.join is Join.ALL and self._all_settle(level)
        if node.path not in self.chosen:
            joins = node.path in self.joins
            add_unsupported_edges(node, self.unsupported, all_settle=settles or joins, chosen=joins)

    # --- parallel nodes ---

    def _parallel(self, block: Branches, level: Level, following: str) -> str:
        if len(block.blocks) > _BRANCHES_MAX:
            self.unsupported.add(f"more than {_BRANCHES_MAX} branches side by side")
            return following
        if self._workflow.on_failure is FailurePolicy.STOP and level.scope is self.scope:
            self.unsupported.add("a workflow that stops when a node fails (onFailure: STOP)")
        branches: list[Document] = []
        ends: set[str] = set()
        for each in block.blocks:
            made, marked = self._branch(each, level)
            branches.append(made)
            ends |= marked
        numbers = list(range(len(branches)))
        # The first of two failures is reported.
        calls = {"tasks": merged("tasks", numbers), "marks": merged("marks", numbers[::-1])}
        kept = {f"{name}.$": f"$[0].{name}" for name in self._kept(level)}
        selector = kept | {f"{name}.$": call for name, call in calls.items()}
        name = self.new("branches")
        state: Document = {"Type": "Parallel", "Branches": branches, "ResultSelector": selector}
        level.states[name] = state | transition(self._checked(name, ends, level, following))
        return name

    def _kept(self, level: Level) -> list[str]:
        in_map = any(
            scope.owner is not None and scope.owner.map is not None
            for scope in (level.scope, *level.scope.around())
        )
        return ["input", *(sorted(ITEM_NAMES) if in_map else ())]

    def _branch(self, block: Block, level: Level) -> tuple[Document, set[str]]:
        """Return a branch, and the marks it may set."""
        marked: set[str] = set()
        names: dict[str, str] = {}

        def ends(mark: str, state: Document) -> str:
            marked.add(mark)
            if mark not in names:
                names[mark] = self.new(mark)
                inner.states[names[mark]] = state
            return names[mark]

        def skip() -> str:
            done = {"Type": "Pass", "Result": True, "ResultPath": _SKIPPED, "End": True}
            return ends("skipped", done)

        def fail() -> str:
            return ends("failed", {"Type": "Succeed"})

        inner = Level(level.scope, skip, fail, level.finishes, marks=level.finishes)
        start = self.emit(block, inner, "")
        return inner.ordered(start) if start else {}, marked

    def _checked(self, name: str, marks: set[str], level: Level, following: str) -> str:
        """Return the state after branches: another one if a branch was skipped or failed."""
        choices: list[Document] = []
        if "failed" in marks:
            rule = {"Variable": _FAILURE, "IsPresent": True}
            choices.append({**rule, "Next": level.fail()})
        if "skipped" in marks:
            rule = {"Variable": _SKIPPED, "IsPresent": True}
            choices.append({**rule, "Next": level.skip()})
        if not choices:
            return following
        if not following:
            following = self.new(f"{name}:done")
            level.states[following] = {"Type": "Succeed"}
        choice = self.new(f"{name}:ended")
        level.states[choice] = {"Type": "Choice", "Choices": choices, "Default": following}
        return choice

    # --- one node ---

    def _node(self, node: Node, level: Level, following: str) -> str:
        self._check(node, level)
        name = self.named[node.path]
        state = self._state(node, level)
        if comment := self.comment(node):
            state = {"Type": state.get("Type"), "Comment": comment, **state}
        if state.get("Type") in ("Task", "Parallel", "Map"):
            wanted = node.id in self.wanted
            # The result of the selector is an object with the output already.
            place = path_to("tasks", node.id) if "ResultSelector" in state else output_path(node.id)
            state["ResultPath"] = place if wanted else None
            if catch := self._caught(node, level, following):
                state["Catch"] = [{"ErrorEquals": [ANY_ERROR], **catch}]
        elif node.id in self.wanted:
            following = self._answer(name, None, node, level, following)
        level.states[name] = state | transition(following)
        first = name
        if state.get("ItemsPath") == _ITEMS:
            first = self.new(f"{name}:list")
            made = {"Type": "Pass", "Result": node.input, "ResultPath": _ITEMS, "Next": name}
            level.states[first] = made
        return self._guarded(node, level, first) if node.condition else first

    def comment(self, node: Node) -> str:
        is_top = self.scope.ids.get(node.id) is node
        shown = self._source_nodes.get(node.id, {}) if is_top else {}
        named = node.name if node.name != node.id else ""
        return ": ".join(filter(None, (named, shown.get("description", ""))))

    def _all_settle(self, level: Level) -> bool:
        """Return whether a graph ends when a node was skipped or failed."""
        conditions = any(node.condition or node.edges for node in level.scope.nodes)
        body = level.scope.owner.body if level.scope.owner is not None else None
        canceled = self._workflow.on_failure is FailurePolicy.CANCEL
        at_once = isinstance(body, GroupBody) or (body is None and canceled)
        return at_once and not conditions

    def _state(self, node: Node, level: Level) -> Document:
        body = node.body
        if body is not None and (node.retry is not None or node.timeout_ms):
            self.unsupported.add("retries and timeouts of a body", node.id)
        match body:
            case None:
                return self._tasks.state(node, self._outputs(node, level))
            case MapBody():
                return self._map(node, body, level)
            case GroupBody():
                return self._group(node, body, level)
        self.unsupported.add("a state machine, a loop or a try", node.id)
        return {"Type": "Pass"}

    def _outputs(self, node: Node, level: Level) -> HasEnded | None:
        """Return a test for available outputs, for a node that reads the context."""
        if self._workflow.dialect is Dialect.NATIVE:
            return None
        scope = level.scope
        if id(scope) not in self._before:
            self._before[id(scope)] = before_each(scope.graph)
            self._places[id(scope)] = {name: at for at, name in enumerate(scope.graph.ids)}
        before, places = self._before[id(scope)], self._places[id(scope)]
        mine = before[places[node.id]]
        return lambda name: bool(mine >> places[name] & 1) if name in places else None

    def _caught(self, node: Node, level: Level, following: str) -> Document:
        """Return the catcher of a node; empty if the machine fails with it."""
        outcome = node.outcome
        if outcome.on_failure is OnFailure.CONTINUE:
            name = self.new(f"{self.named[node.path]}:fallback")
            if node.id in self.wanted:
                self._answer(name, outcome.fallback, node, level, following, named=name)
            else:
                level.states[name] = {"Type": "Pass"} | transition(following)
            return {"ResultPath": None, "Next": name}
        if outcome.on_failure is not OnFailure.FAIL:
            self.unsupported.add(f"onFailure: {outcome.on_failure.name} of a node", node.id)
        elif outcome.fallback is not None:
            self.unsupported.add("a fallback of a node without onFailure: CONTINUE",
                            node.id)  # fmt: skip
        return {"ResultPath": _FAILURE, "Next": level.fail()} if level.marks else {}

    def _answer(
        self, name: str, value: object, node: Node, level: Level, following: str, named: str = ""
    ) -> str:
        """Add a state that provides the output of a node."""
        named = named or self.new(f"{name}:output")
        place = output_path(node.id)
        made = {"Type": "Pass", "Result": value, "ResultPath": place}
        level.states[named] = made | transition(following)
        return named

    def _guarded(self, node: Node, level: Level, name: str) -> str:
        """Add the choice before a node with a condition."""
        rules = self.rules(node, node.condition)
        if rules is None:
            return name
        choice = self.new(f"{name}:condition")
        level.states[choice] = {
            "Type": "Choice",
            "Choices": [
                {**rules.holds, "Next": name},
                {**rules.fails, "Next": level.skip()},
            ],
            "Default": self.condition_failure(node, level, choice),
        }
        return choice

    def rules(self, node: Node, source: str) -> Rules | None:
        """Return a condition of a node as rules; None if unsupported, which is noted."""
        values = Values(self.unsupported, node.id)
        roots = condition_roots_of(node)

        def path(keys: tuple[str | int, ...]) -> str:
            root, *rest = keys
            return values.path(Reference(str(root), tuple(rest))) if root in roots else ""

        try:
            found = rules_of(source, path)
        except UnsupportedExpression as error:
            self.unsupported.add(str(error), node.id)
            return None
        for rule in (found.holds, found.fails):
            for _, why in problems_of(rule):
                self.unsupported.add(f"a condition that no choice rule expresses ({why})", node.id)
        return found

    def condition_failure(self, node: Node, level: Level, choice: str) -> str:
        """Return the state for a condition that is neither true nor false."""
        name = self.new(f"{choice}-failed")
        failure = {
            "Error": "ValidationError",
            "Cause": f"the condition of {node.id} is neither true nor false",
        }
        level.states[name] = {"Type": "Fail", **failure}
        if level.marks:
            level.states[name] = {
                "Type": "Pass", "Result": failure, "ResultPath": _FAILURE, "Next": level.fail(),
            }  # fmt: skip
        return name

    # --- bodies ---

    def _map(self, node: Node, body: MapBody, level: Level) -> Document:
        add_refused(body, self.unsupported, node.id)
        values = Values(self.unsupported, node.id, self._outputs(node, level))
        is_constant = isinstance(node.input, list) and not has_template(node.input)
        items = _ITEMS if is_constant else values.whole(node.input)
        if not items:
            self.unsupported.add("items of a map that are computed", node.id)
        inner = level.scope.bodies[node.path]
        leaf = self.leaf(inner)
        answer = {"InputPath": output_path(leaf)} if leaf else {"Result": None}
        taken = {"item.$": "$$.Map.Item.Value", "index.$": "$$.Map.Item.Index"}
        return {
            "Type": "Map",
            "ItemsPath": items,
            "ItemSelector": {"input.$": "$.input", "tasks.$": "$.tasks", "marks": {}, **taken},
            "MaxConcurrency": body.concurrency,
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                **self.machine(inner, self.named[node.path], answer, None, finishes=True),
            },
            "ResultSelector": {"output.$": "$"},
        }

    def _group(self, node: Node, body: GroupBody, level: Level) -> Document:
        add_refused(body, self.unsupported, node.id)
        inner = level.scope.bodies[node.path]
        leaves = [inner.graph.ids[index] for index in inner.graph.leaves]
        self.wanted |= set(leaves)
        if any(each.condition for each in inner.nodes) and isinstance(self.block(inner), Branches):
            self.unsupported.add("a condition in a group of branches", node.id)
        listed = f"States.Array({', '.join(map(output_path, leaves))})"
        answer = {"Parameters": {"output.$": listed}, "OutputPath": "$.output"}
        skipped = [None] * len(leaves)
        name = self.named[node.path]
        machine = self.machine(inner, name, answer, skipped, finishes=False)
        selector = {"output.$": "$[0]"}
        return {"Type": "Parallel", "Branches": [machine], "ResultSelector": selector}

    def machine(
        self,
        scope: Scope,
        name: str,
        answer: Document,
        skipped: object,
        *,
        finishes: bool,
        first: Document | None = None,
    ) -> Document:
        """Return a machine whose last state returns the `answer`.

        If a node is skipped, its successors are too, and `skipped` is the answer unless it is
        `...`. `first` is the first state.
        """
        if leaf := self.leaf(scope):
            self.wanted.add(leaf) if output_path(leaf) in answer.values() else None
        end = self.new(f"{name}:output")
        extra: dict[str, str] = {}

        def skip() -> str:
            if skipped is ...:
                return end
            if "skip" not in extra:
                extra["skip"] = self.new(f"{name}:skipped")
                done = {"Type": "Pass", "Result": skipped, "End": True}
                level.states[extra["skip"]] = done
            return extra["skip"]

        def fail() -> str:
            if "fail" not in extra:
                extra["fail"] = self.new(f"{name}:failed")
                failure = {"ErrorPath": f"{_FAILURE}.Error", "CausePath": f"{_FAILURE}.Cause"}
                level.states[extra["fail"]] = {"Type": "Fail", **failure}
            return extra["fail"]

        level = Level(scope, skip, fail, finishes)
        level.states[end] = {"Type": "Pass", **answer, "End": True}
        block = self.block(scope)
        if block is None:
            return {}
        start = self.emit(block, level, end)
        if first is not None:
            begin = self.new(f"{name}:input")
            level.states[begin] = {**first, "Next": start}
            start = begin
        return level.ordered(start)
