"""Statements that read as little beside many rows as beside few."""

import json
from typing import Any

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.orchestrator.search.searches import PageQuery
from flowmesh.orchestrator.storage.store import OrchestratorStore

NOW_US = 1_790_000_000_000_000
ROWS = """
insert into orchestrator.executions (id, partition, namespace, workflow_id, workflow_name,
    workflow_version, plan_digest, status, started_at, ended_at, wake_at)
select 'exec-' || lpad(n::text, 20, '0'), n % 64, 'default', $1, $1, 1, 'd', $2::smallint, n,
    case when $2 = 4 then n end, case when $2 = 2 then n end
from generate_series($3::bigint, $4::bigint) n
"""


async def read_rows(store: OrchestratorStore, statement: str, *values: object) -> int:
    """Return the number of rows that a statement reads from its tables."""
    async with store.pool.acquire() as connection:
        text = f"explain (analyze, format json) {statement}"
        (found,) = json.loads(await connection.fetchval(text, *values))

    def read(plan: dict[str, Any]) -> int:
        own = 0 if "Plans" in plan else plan["Actual Rows"]
        removed = plan.get("Rows Removed by Filter", 0)
        return int(own + removed) + sum(map(read, plan.get("Plans", ())))

    return read(found["Plan"])


async def test_a_page_of_a_frequent_workflow_passes_over_no_newer_ones(
    store: OrchestratorStore,
) -> None:
    """The planner would read the newest executions, of which most are of the workflow."""
    await store.pool.execute(ROWS, "frequent", 4, 1, 30_000)
    await store.pool.execute(ROWS, "newest", 4, 30_001, 35_000)
    await store.pool.execute("analyze orchestrator.executions")
    query = PageQuery(pb.ListExecutionsRequest(workflow_id="frequent", page_size=100), NOW_US, "")
    assert await read_rows(store, query.text, *query.where.values) < 1_000
