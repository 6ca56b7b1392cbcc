"""`stats`: how many executions there were, and how long they and their tasks took."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import WorkflowId
from flowmesh.cli.common import COMMON, Common, run
from flowmesh.cli.executions.searching import grouped

if TYPE_CHECKING:
    from flowmesh.sdk import Client


def stats(
    workflow: WorkflowId = "",
    /,
    *,
    group_by: Annotated[list[str] | None, Parameter(negative="")] = None,
    filter: str = "",
    common: Common = COMMON,
) -> int:
    """Show counts and latency percentiles of workflows and their tasks.

    Of the process that answers, since it was started. With --group-by, how many executions are
    stored, in groups.

    Parameters
    ----------
    workflow
        Only this workflow.
    group_by
        status, workflow, version, day, hour, error.class, label.<name>, attr.<name> or
        input.<path>; may be repeated, at most three.
    filter
        Which executions to count, as for `flowmesh search`.
    """

    async def work(client: "Client") -> int:
        if group_by or filter:
            of = f'workflow = "{workflow}"' if workflow else ""
            both = " AND ".join(f"({each})" for each in (of, filter) if each)
            return await grouped(client, common, both, group_by or ())
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

    return run(common, work)


def _cells(counted: Any) -> tuple[str, ...]:
    latency = counted.latency
    times = (latency.p50_ms, latency.p95_ms, latency.p99_ms)
    return (
        str(counted.completed),
        str(counted.failed),
        *(output.duration(each if latency.count else None) for each in times),
    )


def _workflow(stats: Any) -> dict[str, Any]:
    return {
        "workflow": stats.workflow_id,
        "started": stats.started,
        "completed": stats.completed,
        "failed": stats.failed,
        "canceled": stats.canceled,
        "latency": _latency(stats.latency),
        "tasks": [
            {
                "id": task.node,
                "completed": task.completed,
                "failed": task.failed,
                "retried": task.retried,
                "latency": _latency(task.latency),
            }
            for task in stats.tasks
        ],
    }


def _latency(latency: Any) -> dict[str, Any]:
    return {
        "count": latency.count,
        "p50Ms": latency.p50_ms,
        "p95Ms": latency.p95_ms,
        "p99Ms": latency.p99_ms,
        "totalMs": latency.total_ms,
    }
