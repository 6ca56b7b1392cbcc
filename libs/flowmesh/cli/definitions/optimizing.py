"""`workflow optimize`: proposals for a workflow, with their gain and their rehearsal."""

from typing import TYPE_CHECKING

from flowmesh.cli import output
from flowmesh.cli.arguments import WorkflowArgument
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.executions.insights import print_report
from flowmesh.contract.nouns import counted

if TYPE_CHECKING:
    from flowmesh.insight.optimizing.report import Optimization


@command
async def optimize(
    workflow: WorkflowArgument, /, *, executions: int = 0, common: Common = COMMON
) -> None:
    """Propose changes of a workflow from its last executions, and show them as a diff.

    Nothing is changed: apply the definition with the proposals that you want.

    Args:
        executions: Maximum number of executions to analyze; 0 is 100.
    """
    async with connected(common) as client:
        report = await client.workflows.optimize(workflow, executions=executions)
        if common.structured:
            print_report(report)
        else:
            _show(report)


def _show(report: "Optimization") -> None:
    if not report.proposals:
        output.nothing(f"No proposals for {report.workflow}.")
        return
    done = counted(report.executions, "execution")
    output.line(f"{report.workflow} version {report.version}: {done} analyzed")
    for each in report.proposals:
        gain = f"saves {output.duration(each.gain_ms)}" if each.gain_ms else "more reliable"
        output.line(f"{each.kind} {each.task} ({gain}): {each.text}")
        output.line(f"  {each.evidence}")
    same = sum(each.same for each in report.replays)
    output.line(f"{same} of {counted(len(report.replays), 'input')} rehearsed with the same output")
    if report.diff:
        output.block(report.diff.rstrip("\n"))
