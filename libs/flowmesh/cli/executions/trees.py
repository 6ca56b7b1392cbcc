"""`tree`: an execution with its children and their children."""

from typing import TYPE_CHECKING, Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionArgument
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.executions.shapes import MARKS
from flowmesh.errors import NotFound

if TYPE_CHECKING:
    from flowmesh.sdk import Client, Execution, Node

SHOWN_MAX = 500
"""The most executions shown; further ones are counted."""


@command
async def tree(execution: ExecutionArgument, /, *, common: Common = COMMON) -> int:
    """Show an execution and its children as a tree."""
    async with connected(common) as client:
        top = await _Tree(client).load(execution, "")
    if common.structured:
        output.document(top)
    else:
        _print(top, "", "")
    return exit_codes.DONE


class _Tree:
    """Loads at most `SHOWN_MAX` executions of a tree."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._remaining = SHOWN_MAX

    async def load(self, execution_id: str, node: str) -> dict[str, Any]:
        """Return an execution, started by this node of its parent, with its children."""
        self._remaining -= 1
        found = await self._client.get_execution(execution_id)
        children = [one for one in found.nodes if one.child_execution_id]
        shown = _execution_json(found, node)
        shown["children"] = [await self._child(one) for one in children[: max(self._remaining, 0)]]
        shown["more"] = len(children) - len(shown["children"])
        if found.continued_as and self._remaining > 0:
            shown["children"].append(await self.load(found.continued_as, "next run"))
        return shown

    async def _child(self, node: "Node") -> dict[str, Any]:
        """Return the child of a node; that of another project without its children."""
        try:
            return await self.load(node.child_execution_id, node.id)
        except NotFound:
            shown = {"executionId": node.child_execution_id, "taskId": node.id}
            names = "workflow=child_workflow_id version=child_version status"
            return shown | output.members(node, names) | {"children": [], "more": 0}


def _execution_json(execution: "Execution", node: str) -> dict[str, Any]:
    return {"executionId": execution.id, "taskId": node or None} | output.members(
        execution, "workflow=workflow_id version=workflow_version status"
    )


def _print(one: dict[str, Any], first: str, rest: str) -> None:
    node = f"{one['taskId']}: " if one["taskId"] else ""
    mark = MARKS.get(one["status"], "·")
    output.line(f"{first}{mark} {node}{one['workflow']}@{one['version']}  {one['executionId']}")
    below = one["children"]
    for number, child in enumerate(below):
        last = number == len(below) - 1 and not one["more"]
        _print(child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))
    if one["more"]:
        output.line(f"{rest}└─ and {one['more']} more")
