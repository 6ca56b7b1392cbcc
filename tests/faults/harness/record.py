"""A run on real servers in the form in which the simulation's runs are judged, by one checker."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import asyncpg

from flowmesh.testing.audit import Commit as Noted
from flowmesh.testing.audit import Owned
from tests.drills.orders import Orders
from tests.simulation.checks.history import Call, Commit, Outcome, Record, Stored

_EXECUTIONS = """
select e.id, e.namespace, coalesce(e.request_id, '') as request_id, e.partition, e.status,
       coalesce(e.wake_at, 0) as wake_at, p.body as plan
from orchestrator.executions e join orchestrator.plans p on p.digest = e.plan_digest
where e.workflow_id = any($1)"""
_HISTORY = """
select h.execution_id, h.seq, h.events from orchestrator.history h
join orchestrator.executions e on e.id = h.execution_id and e.workflow_id = any($1)"""


def accepted(orders: Orders) -> Iterator[Call]:
    """What a load was told: all that it sent was accepted in the end."""
    for key, ids in orders.answers.items():
        yield from (Call("start", key, Outcome.OK, execution_id) for execution_id in ids)
    for execution_id, key in orders.signals.items():
        yield Call("signal", key, Outcome.OK, execution_id)


async def recorded(
    connection: asyncpg.Connection,
    workflow_ids: Sequence[str],
    calls: Sequence[Call],
    owners: Sequence[Owned],
    noted: Sequence[Noted],
) -> Record:
    """What is known of the executions of workflows once all of them have ended."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        executions = await connection.fetch(_EXECUTIONS, workflow_ids)
        histories = await connection.fetch(_HISTORY, workflow_ids)
    rows: dict[str, dict[int, bytes]] = defaultdict(dict)
    for row in sorted(histories, key=lambda row: row["seq"]):
        rows[row["execution_id"]][row["seq"]] = row["events"]
    stored = {row["id"]: _stored(row, rows[row["id"]]) for row in executions}
    return Record(
        calls=list(calls),
        commits=_commits(stored, owners, noted),
        executions=stored,
        settled=True,
    )


def _stored(row: asyncpg.Record, rows: dict[int, bytes]) -> Stored:
    return Stored(
        execution_id=row["id"],
        namespace=row["namespace"],
        request_id=row["request_id"],
        partition=row["partition"],
        status=row["status"],
        wake_at_us=row["wake_at"],
        plan=row["plan"],
        rows=rows,
    )


def _commits(
    stored: Mapping[str, Stored], owners: Sequence[Owned], noted: Sequence[Noted]
) -> list[Commit]:
    """Commits in the order of their locks, each with the epochs that were in force then."""
    epochs: dict[int, int] = {}
    found: list[Commit] = []
    entries: list[Owned | Noted] = [*owners, *noted]
    for entry in sorted(entries, key=lambda entry: entry.moment):
        if isinstance(entry, Owned):
            epochs[entry.partition] = entry.epoch
            continue
        rows = tuple((i, seq) for i, seq in entry.rows if i in stored)
        found.append(
            Commit(
                at_us=entry.at_us,
                incarnation=entry.incarnation,
                position=entry.position,
                epochs={partition: epochs[partition] for partition in entry.partitions},
                rows=rows,
                started=frozenset(i for i, seq in rows if seq == 1),
            )
        )
    return found
