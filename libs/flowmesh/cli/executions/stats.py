"""`stats`: counts and durations of executions and their tasks."""

from typing import Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import Texts, WorkflowId
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.executions.searching import show_groups


@command
async def stats(
    workflow: WorkflowId = "",
    /,
    *,
    group_by: Texts = None,
    filter: str = "",
    common: Common = COMMON,
) -> int:
    """Show counts and latency percentiles of workflows and their tasks.

    The counts are those of the answering process since its start. With --group-by or --filter,
    stored executions are counted instead.

    Args:
        workflow: Only this workflow.
        group_by: status, workflow, version, day, hour, error.class, needs, label.<name>,
            attr.<name> or input.<path>; can be repeated, at most three.
        filter: Filter of `flowmesh search`.
    """
    async with connected(common) as client:
        if group_by or filter:
            of_workflow = f'workflow = "{workflow}"' if workflow else ""
            both = " AND ".join(f"({each})" for each in (of_workflow, filter) if each)
            return await show_groups(client, common, both, group_by or ())
        found = await client.stats(workflow)
        if common.structured:
            output.document([_workflow(each) for each in found])
            return exit_codes.DONE
        rows = []
        for each in found:
            rows.append((each.workflow_id, *_cells(each)))
            rows += [(f"  {task.node}", *_cells(task)) for task in each.tasks]
        header = ("WORKFLOW", "COMPLETED", "FAILED", "P50", "P95", "P99")
        output.columns(header, rows, none="No executions found.")
        return exit_codes.DONE


def _cells(counted: Any) -> tuple[str, ...]:
    latency = counted.latency
    times = (latency.p50_ms, latency.p95_ms, latency.p99_ms)
    return (
        str(counted.completed),
        str(counted.failed),
        *(output.duration(each if latency.count else None) for each in times),
    )


def _workflow(stats: Any) -> dict[str, Any]:
    return output.members(stats, "workflow=workflow_id started completed failed canceled") | {
        "latency": _latency(stats.latency),
        "tasks": [
            output.members(task, "id=node completed failed retried")
            | {"latency": _latency(task.latency)}
            for task in stats.tasks
        ],
    }


def _latency(latency: Any) -> dict[str, Any]:
    return output.members(latency, "count p50_ms p95_ms p99_ms total_ms")
