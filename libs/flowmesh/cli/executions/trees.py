"""`tree`: an execution with those it has started, and those they have."""

from typing import TYPE_CHECKING, Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import ExecutionId
from flowmesh.cli.common import COMMON, Common, run
from flowmesh.cli.executions.shapes import MARKS

if TYPE_CHECKING:
    from flowmesh.sdk import Client, Execution

SHOWN_MAX = 500
"""Executions of one tree; what is beyond is said to be there."""


def tree(execution: ExecutionId, /, *, common: Common = COMMON) -> int:
    """Show an execution and those it has started, each below its parent.

    Parameters
    ----------
    execution
        Id of the execution at the top.
    """

    async def work(client: "Client") -> int:
        left = SHOWN_MAX

        async def below(execution_id: str, node: str) -> dict[str, Any]:
            nonlocal left
            left -= 1
            found = await client.get_execution(execution_id)
            children = [one for one in found.nodes if one.child_execution_id]
            shown = _shown(found, node)
            shown["children"] = [
                await below(one.child_execution_id, one.id) for one in children[: max(left, 0)]
            ]
            shown["more"] = len(children) - len(shown["children"])
            if found.continued_as and left > 0:
                shown["children"].append(await below(found.continued_as, "next run"))
            return shown

        top = await below(execution, "")
        if common.structured:
            output.document(top)
        else:
            _print(top, "", "")
        return exit_codes.DONE

    return run(common, work)


def _shown(execution: "Execution", node: str) -> dict[str, Any]:
    return {
        "executionId": execution.id,
        "taskId": node or None,
        "workflow": execution.workflow_id,
        "version": execution.workflow_version,
        "status": execution.status,
    }


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
