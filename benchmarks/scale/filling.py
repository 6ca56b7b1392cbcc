"""Fills the database of a running suite with ended and sleeping executions."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import asyncpg

from benchmarks.scale.rows import AMOUNT, SCHEMA, TEAM, Copy, copies, original, write
from flowmesh.sdk import Client

HOUR_US = 3_600_000_000
SLEEP_MS = 24 * 3_600_000
ENDED_SPAN_US = 20 * HOUR_US
"""The tables of the history exist for today and yesterday."""

WITHIN_S = 30.0
ORDER = "seeded-order"
SLEEPER = "seeded-sleeper"
COPY = '{source: "{{ input }}", pipeline: []}'
ORDER_WORKFLOW = f"""
apiVersion: workflow.io/v1
kind: Workflow
metadata: {{name: {ORDER}}}
spec:
  tasks:
    - {{id: one, taskRef: transform, input: {COPY}}}
    - {{id: two, taskRef: transform, dependsOn: [one], input: {COPY}}}
    - {{id: three, taskRef: transform, dependsOn: [two], input: {COPY}}}
  searchAttributes: {{amount: {{type: number, from: "{{{{ input.amount }}}}"}}}}
"""
SLEEPER_WORKFLOW = f"""
apiVersion: workflow.io/v1
kind: Workflow
metadata: {{name: {SLEEPER}}}
spec:
  tasks:
    - {{id: sleep, taskRef: delay, input: {{duration: {SLEEP_MS}}}}}
"""
INPUT = {"amount": AMOUNT, "customer": "c-1042", "note": "v" * 60}


@dataclass(frozen=True, slots=True)
class Filled:
    """Executions that were written: examples of ended ones, and all that are due."""

    ended: int
    sleeping: int
    due: tuple[str, ...]
    examples: tuple[str, ...]
    originals: tuple[str, str]
    seconds: float


async def fill(address: str, postgres: str, *, ended: int, sleeping: int, due: int = 0) -> Filled:
    """Run an execution of each kind and copy it.

    Sleepers end about a day later; `due` of them sleep until a moment that has passed, and go
    on when the suite is started again.
    """
    began = time.monotonic()
    async with Client(address) as client:
        for workflow in (ORDER_WORKFLOW, SLEEPER_WORKFLOW):
            await client.register(workflow)
        order = await client.start(ORDER, INPUT, labels={"team": TEAM})
        await order.result(WITHIN_S)
        sleeper = await client.start(SLEEPER, INPUT)
    connection = await asyncpg.connect(postgres)
    try:
        now_us = int(time.time() * 1_000_000)
        of_order = await original(connection, order.id)
        of_sleeper = await original(connection, sleeper.id)
        examples: list[str] = []
        all_ended = copies(of_order, ended, now_us - ENDED_SPAN_US, now_us)
        await write(connection, of_order, _noted(all_ended, max(ended // 10, 1), examples))
        past, present = now_us - SLEEP_MS * 1_000, now_us - HOUR_US // 10
        asleep = copies(of_sleeper, sleeping - due, now_us - HOUR_US // 2, present)
        await write(connection, of_sleeper, asleep)
        overdue: list[Copy] = list(copies(of_sleeper, due, past, past))
        await write(connection, of_sleeper, iter(overdue))
        await connection.execute("analyze")
        # The log of these rows is not replayed after a kill of the server.
        await connection.execute("checkpoint")
    finally:
        await connection.close()
    return Filled(
        ended=ended,
        sleeping=sleeping,
        due=tuple(each.id for each in overdue),
        examples=tuple(examples),
        originals=(order.id, sleeper.id),
        seconds=time.monotonic() - began,
    )


def _noted(made: Iterator[Copy], every: int, examples: list[str]) -> Iterator[Copy]:
    """Note the id of one in `every` copies; millions of them do not fit into memory."""
    for number, copy in enumerate(made):
        if number % every == 0:
            examples.append(copy.id)
        yield copy


async def stored_bytes_of(postgres: str, execution_id: str, count: int) -> float:
    """Copy an execution; return the bytes of tables and indexes that each copy takes."""
    connection = await asyncpg.connect(postgres)
    try:
        of, now_us = await original(connection, execution_id), int(time.time() * 1_000_000)
        before = await _schema_bytes(connection)
        await write(connection, of, copies(of, count, now_us - HOUR_US, now_us))
        return (await _schema_bytes(connection) - before) / count
    finally:
        await connection.close()


async def _schema_bytes(connection: asyncpg.Connection) -> int:
    return int(
        await connection.fetchval(
            "select sum(pg_total_relation_size(c.oid)) from pg_class c"
            " join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = $1 and c.relkind = 'r'",
            SCHEMA,
        )
    )
