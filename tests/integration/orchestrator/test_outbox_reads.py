"""Cost of outbox reads: proportional to the result, with or without table statistics."""

import json
from typing import Any

from flowmesh.orchestrator.storage.database import Queries
from flowmesh.orchestrator.storage.store import OrchestratorStore

EXECUTIONS = 300
ROWS_EACH = 60
POSITIONS = 60
ROWS_PER_POSITION = 4
# Three index lookups for each row returned, of a few blocks each.
BLOCKS_PER_ROW_MAX = 20

_FILL = """
insert into plans (digest, body) values ('p', '');
insert into executions (id, partition, namespace, workflow_id, workflow_name, workflow_version,
                        plan_digest, start_digest, status, started_at)
select 'exec-' || n, 0, 'default', 'w', 'w', 1, 'p', '', 2, 86400000000
from generate_series(1, {executions}) n;
insert into history (start_day, execution_id, seq, events)
select 1, 'exec-' || n, s, 'x' from generate_series(1, {executions}) n,
       generate_series(1, {rows}) s;
insert into outbox (incarnation, position, execution_ids, seqs)
select 1, p, array_agg('exec-' || (p + k)), array_agg(k::bigint)
from generate_series(1, {positions}) p, generate_series(1, {each}) k group by p;
"""


async def test_reading_it_costs_what_it_returns(store: OrchestratorStore) -> None:
    """No read scans a day's history for each row, however new the day is."""
    fill = _FILL.format(
        executions=EXECUTIONS, rows=ROWS_EACH, positions=POSITIONS, each=ROWS_PER_POSITION
    )
    query: str = Queries(store.pool)._sql.read_outbox.sql
    async with store.pool.acquire() as connection:
        await connection.execute(fill)
        explained = await connection.fetchval(
            f"explain (analyze, buffers, format json) {query}", 1, 0, POSITIONS, 1 << 20
        )

    plan: dict[str, Any] = json.loads(explained)[0]["Plan"]
    assert plan["Actual Rows"] == POSITIONS * ROWS_PER_POSITION
    assert plan["Shared Hit Blocks"] <= BLOCKS_PER_ROW_MAX * plan["Actual Rows"]
