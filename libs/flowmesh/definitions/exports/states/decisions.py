"""Decisions as Choice states: one of the following branches runs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flowmesh.definitions.exports.parts import Document
from flowmesh.definitions.exports.series import Block, Branches, Series
from flowmesh.definitions.exports.states.levels import Level
from flowmesh.definitions.exports.states.refused import add_refused
from flowmesh.definitions.model import Join, Node, OnFailure, Task
from flowmesh.definitions.references import decides

if TYPE_CHECKING:
    from flowmesh.definitions.exports.states.blocks import Blocks


def decision_in(block: Block, level: Level) -> Node | None:
    """Return the decision of a block if its edges have outcomes."""
    if not isinstance(block, int):
        return None
    node = level.scope.nodes[block]
    labelled = (edge for each in level.scope.nodes for edge in each.edges if edge.label)
    is_one = decides(node) and any(edge.source == node.id for edge in labelled)
    return node if is_one else None


def write_decision(
    blocks: "Blocks", node: Node, behind: Block, level: Level, following: str
) -> str:
    """Add a decision with the following block; return the name of its first state."""
    task = node.task
    assert task is not None
    _note(blocks, node, task)
    among = behind.blocks if isinstance(behind, Branches) else (behind,)
    targets: dict[str, str] = {}
    for each in among:
        root = level.scope.nodes[next(_nodes(each))]
        labels = [edge.label for edge in root.edges if edge.source == node.id]
        if labels in ([], [""]) or len(root.edges) > 1 or root.join is not Join.STRICT:
            blocks.unsupported.add(
                "a task beside or behind a decision that others choose too", root.id
            )
        elif _begins(each) is None or labels[0] in targets:
            blocks.unsupported.add("a decision that begins several tasks at once", node.id)
        else:
            blocks.chosen.add(root.path)
            targets[labels[0]] = blocks.emit(each, level, following)
    return _choice(blocks, node, task, targets, level)


def add_unsupported_joins(blocks: "Blocks", node: Node, behind: Block, level: Level) -> None:
    """Note nodes that join chosen branches with other branches."""
    if not isinstance(behind, Branches):
        return
    inside = set(_nodes(behind))
    for index, waits in enumerate(level.scope.graph.dependencies):
        if index in inside or not inside & set(waits):
            continue
        each = level.scope.nodes[index]
        if each.join is Join.STRICT:
            blocks.unsupported.add(
                f"a task that waits for all that {node.id} chooses among", each.id
            )
        elif not inside.issuperset(waits):
            blocks.unsupported.add(
                f"a join that waits for more than {node.id} chooses among", each.id
            )
        else:
            blocks.joins.add(each.path)


def _nodes(block: Block) -> Iterator[int]:
    if isinstance(block, int):
        yield block
    else:
        for each in block.blocks:
            yield from _nodes(each)


def _begins(block: Block) -> int | None:
    """Return the only first node of a block."""
    while isinstance(block, Series):
        block = block.blocks[0]
    return block if isinstance(block, int) else None


def _note(blocks: "Blocks", node: Node, task: Task) -> None:
    add_refused(task, blocks.unsupported, node.id)
    if task.config["match"] != "first":
        blocks.unsupported.add("a decision with match: all", node.id)
    if node.id in blocks.wanted:
        blocks.unsupported.add("the output of a decision that is read", node.id)
    outcome = node.outcome
    if outcome.on_failure is not OnFailure.FAIL or outcome.fallback is not None:
        blocks.unsupported.add("failure handling of a decision", node.id)
    if node.retry is not None or node.timeout_ms or node.has_input:
        blocks.unsupported.add("retries, timeouts and inputs of a decision", node.id)


def _choice(blocks: "Blocks", node: Node, task: Task, targets: dict[str, str], level: Level) -> str:
    """Return the Choice: each condition is tried if those before it are false."""
    choices: list[Document] = []
    before: list[Document] = []
    for one in task.config["conditions"]:
        rules = blocks.rules(node, one["expression"])
        if rules is None:
            continue
        rule = {"And": [*before, rules.holds]} if before else rules.holds
        choices.append({**rule, "Next": targets.get(one["id"]) or level.skip()})
        before.append(rules.fails)
    usual = [targets[label] for label in task.config["default"] if label in targets]
    if len(usual) > 1:
        blocks.unsupported.add("a decision that begins several tasks at once", node.id)
    choices.append({"And": before, "Next": usual[0] if usual else level.skip()})
    name = blocks.named[node.path]
    comment = blocks.comment(node)
    level.states[name] = {
        "Type": "Choice",
        **({"Comment": comment} if comment else {}),
        "Choices": choices,
        "Default": blocks.condition_failure(node, level, name),
    }
    return name
