"""Rows of ended executions in a namespace of their own, for the budgets of the list.

`python -m tests.console.many POSTGRES COUNT` adds them to the database of a running suite. They
have no history: the list, its counts and its chart read the rows alone.
"""

import asyncio
import random
import sys
import time
from collections.abc import Iterator

import asyncpg

from flowmesh.orchestrator.model.ids import PARTITION_COUNT, ExecutionIds

NAMESPACE = "many"
COUNT = 1_000_000
WORKFLOWS = 20
SPAN_S = 6 * 86_400
COMPLETED, FAILED, CANCELED = 4, 5, 6
_COLUMNS = (
    "id", "partition", "namespace", "workflow_id", "workflow_name", "workflow_version",
    "plan_digest", "status", "started_at", "ended_at",
)  # fmt: skip
_ERRORS = """
insert into search_values (execution_id, name, namespace, text)
select id, v.name, namespace, v.text from executions, lateral (values
    ('error.class', 'CardDeclined'), ('error', 'CardDeclined: the bank declined the card')
) v (name, text)
where namespace = $1 and status = 5
"""


async def seed_many(postgres: str, count: int) -> None:
    """Add executions of the last six days, evenly over time."""
    connection = await asyncpg.connect(postgres, server_settings={"search_path": "orchestrator"})
    try:
        await connection.copy_records_to_table(
            "executions", records=_records(count), columns=_COLUMNS
        )
        await connection.execute(_ERRORS, NAMESPACE)
        await connection.execute("vacuum (analyze) executions")
        await connection.execute("vacuum (analyze) search_values")
    finally:
        await connection.close()


def _records(count: int) -> Iterator[tuple[object, ...]]:
    ids, rng = ExecutionIds(process=4_711), random.Random(7)
    now_us = time.time_ns() // 1_000
    for place in range(count):
        started_us = now_us - SPAN_S * 1_000_000 * (count - place) // count
        partition = place % PARTITION_COUNT
        workflow = f"workflow-{rng.randrange(WORKFLOWS):02}"
        status = rng.choices((COMPLETED, FAILED, CANCELED), (96, 3, 1))[0]
        ended_us = started_us + rng.randrange(20_000, 90_000_000)
        yield (
            ids.make(started_us, partition), partition, NAMESPACE, workflow, workflow, 1,
            "0" * 64, status, started_us, min(ended_us, now_us),
        )  # fmt: skip


if __name__ == "__main__":
    asyncio.run(seed_many(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else COUNT))
