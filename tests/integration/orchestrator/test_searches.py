"""Searches on a real database: any filter is a statement, and none goes through all rows."""

import random
from typing import Any

import orjson
import pytest

from flowmesh.api.execution.v1 import bulk_service_pb2 as bulk_pb
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import search_service_pb2
from flowmesh.errors import Invalid, WrongState
from flowmesh.filters import parse_filter
from flowmesh.orchestrator.bulk.actions import Calls
from flowmesh.orchestrator.bulk.bulks import Bulks
from flowmesh.orchestrator.model.ids import ExecutionIds
from flowmesh.orchestrator.search.searches import PageQuery, Searches
from flowmesh.orchestrator.storage.store import OrchestratorStore
from flowmesh.runtime import Clock
from tests.integration.orchestrator.core import Core, running, until
from tests.integration.orchestrator.factories import TWO_STEPS

NOW_US = 1_790_000_000_000_000
ROWS = 200_000
# Every thousandth row at most is read more than is found: what indexes lead to.
READ_MAX = 2_000
FILTERS = 300
VALUED = 100
FILL_S = 60
FIELDS = (
    "id", "workflow", "version", "status", "started", "ended", "duration", "requestId", "error",
    "error.class", "label.team", "attr.amount", "input.customer.id",
)  # fmt: skip
OPS = ("=", "!=", "<", "<=", ">", ">=", "^=", "~", "IN")
GIVEN = (
    "running", "failed", "null", "true", "1", "-2.5e3", '"2026-11-01"', '"-24h"', "5s", "1e300",
    '"9999-12-31T23:59:59Z"', '"0001-01-01"', "'it is; a text'", '"%_"',
)  # fmt: skip
JOINS = ("AND", "OR")
EXECUTIONS = """
insert into executions (id, partition, namespace, workflow_id, workflow_name, workflow_version,
                        plan_digest, status, started_at, ended_at)
select 'exec-' || lpad(to_hex(n), 20, '0'), 1, 'default', 'w' || n % 50, 'w', 1, 'd',
       case when n % 1000 = 0 then 2 when n % 500 = 1 then 5 else 4 end, 1000000::bigint * n,
       case when n % 1000 = 0 then null else 1000000::bigint * n + 5 end
from generate_series(1, $1::int) n
"""
WITH_PARTITION = EXECUTIONS.replace("20, '0')", "18, '0') || '01'")
"""The same with ids of partition 1."""

VALUES = """
insert into search_values (execution_id, name, namespace, text, number)
select 'exec-' || lpad(to_hex(n), 20, '0'), v.name, 'default', v.text, v.number
from generate_series(1, $1::int) n, lateral (values
    ('label.team', 'team-' || n % 400, null::double precision),
    ('attr.amount', null, n % 10000),
    ('input.customerId', 'c-' || n, null),
    ('error', case when n % 500 = 1 then 'Timeout: gateway ' || n end, null)
) v (name, text, number)
where num_nonnulls(v.text, v.number) > 0
"""


def searches(store: OrchestratorStore) -> Searches:
    return Searches(pool=store.pool, now_us=Clock().now_us)


async def test_any_filter_is_a_statement_the_database_takes(store: OrchestratorStore) -> None:
    """Random filters that parse are planned and run, with any order and group."""
    found = searches(store)
    ran = 0
    rng = random.Random(7)
    orders = ("", "ended asc", "attr.amount desc", "label.team asc")
    groups: tuple[list[str], ...] = ([], ["status", "day"], ["label.team", "error.class", "hour"])
    while ran < FILTERS:
        parts = [part for _ in range(rng.randint(1, 5)) for part in (term(rng), rng.choice(JOINS))]
        text = " ".join(parts[:-1])
        try:
            parse_filter(text, NOW_US)
        except Invalid:
            continue
        request = pb.ListExecutionsRequest(filter=text, order_by=rng.choice(orders))
        assert (await found.page(request)).rows == []
        counted = await found.count(
            search_service_pb2.CountExecutionsRequest(filter=text, group_by=rng.choice(groups))
        )
        assert counted.count == 0
        ran += 1


def term(rng: random.Random) -> str:
    field, op = rng.choice(FIELDS), rng.choice(OPS)
    negated = rng.choice(("", "NOT ", "NOT NOT "))
    if op == "IN":
        op, given = rng.choice(("IN", "NOT IN")), f"({rng.choice(GIVEN)}, {rng.choice(GIVEN)})"
    else:
        given = rng.choice(GIVEN)
    return f"{negated}{field} {op} {given}"


@pytest.mark.slow
async def test_no_search_goes_through_all_rows(store: OrchestratorStore) -> None:
    """Indexed fields find their executions through the index, among 200,000."""
    await store.pool.execute(EXECUTIONS, ROWS, timeout=FILL_S)
    await store.pool.execute(VALUES, ROWS, timeout=FILL_S)
    await store.pool.execute("analyze executions; analyze search_values", timeout=FILL_S)
    for text, order_by in (
        ("", ""),
        ('workflow = "w7"', ""),
        ('workflow = "missing"', ""),
        ("status = running", ""),
        ("status IN (paused, canceled)", ""),
        ("status = failed", "started asc"),
        ('status = failed AND workflow = "w1"', ""),
        ('label.team = "team-7"', ""),
        ('label.team = "missing"', ""),
        ("attr.amount = 5", ""),
        ("attr.amount >= 9990", ""),
        ("attr.amount > 20000", ""),
        ('input.customerId = "c-7"', ""),
        ('input.customerId ^= "c-7777"', ""),
        ('input.customerId IN ("c-1", "c-2", "c-3")', ""),
        ('input.customerId = "c-1" OR label.team = "team-9"', ""),
        ('error ~ "gateway 501"', ""),
        ('workflow = "w1" AND label.team = "team-1" AND attr.amount < 10', ""),
        ('started > "1970-01-03" AND started < "1970-01-03T00:05:00Z"', ""),
        ('id = "exec-00000000000000000777"', ""),
        ('requestId = "r-1"', ""),
        ("attr.amount = 5", "ended desc"),
        ("attr.amount = 5", "label.team asc"),
        ("", "ended desc"),
        ("", "ended asc"),
        ("status = failed", "ended desc"),
        ("", "attr.amount desc"),
        ("", "attr.amount asc"),
        ("", "label.team desc"),
        ("status = failed", "attr.amount asc"),
        ('workflow = "missing"', "attr.amount desc"),
    ):
        read = await rows_read(store, text, order_by)
        assert read <= READ_MAX, f"{text} {order_by}: {read} rows read"


async def test_pages_in_the_order_of_ends_have_each_execution_once(
    store: OrchestratorStore,
) -> None:
    """Open executions of any status are those that end last."""
    await store.pool.execute(WITH_PARTITION, VALUED)
    await store.pool.execute(
        "update executions set ended_at = null, status = (array[1, 2, 3, 8])[1 + right(id, 3)"
        "::int % 4] where workflow_id in ('w1', 'w2', 'w3', 'w4', 'w5', 'w6')"
    )
    await store.pool.execute("update executions set ended_at = 7 where workflow_id = 'w9'")
    expected = await store.pool.fetch(
        "select id from executions order by coalesce(ended_at, 9223372036854775807), id"
    )
    ids = [row["id"] for row in expected]
    assert await paged(store, "ended asc") == ids
    assert await paged(store, "ended desc") == ids[::-1]


async def paged(store: OrchestratorStore, order_by: str) -> list[str]:
    found, ids = searches(store), list[str]()
    request = pb.ListExecutionsRequest(order_by=order_by, page_size=7)
    while True:
        page = await found.page(request)
        ids += [row["id"] for row in page.rows]
        if not page.more:
            return ids
        request.page_token = page.token(len(page.rows) - 1)


async def test_pages_in_the_order_of_a_value_have_each_execution_once(
    store: OrchestratorStore,
) -> None:
    """Texts sort below numbers; equal values are in the order of ids."""
    await store.pool.execute(WITH_PARTITION, VALUED)
    await store.pool.execute(
        "insert into search_values (execution_id, name, namespace, text, number)"
        " select id, 'attr.amount', 'default',"
        " case when n % 3 = 0 then 't' || n % 4 end, case when n % 3 > 0 then n % 5 end"
        " from (select id, row_number() over (order by id)::int as n from executions) e"
    )
    expected = await store.pool.fetch(
        "select execution_id from search_values"
        " order by coalesce(number, '-infinity'), coalesce(text, ''), execution_id"
    )
    ids = [row["execution_id"] for row in expected]
    assert await paged(store, "attr.amount asc") == ids
    assert await paged(store, "attr.amount desc") == ids[::-1]


async def rows_read(store: OrchestratorStore, text: str, order_by: str) -> int:
    """The most rows that any one node of the plan went through."""
    query = PageQuery(pb.ListExecutionsRequest(filter=text, order_by=order_by), NOW_US)
    async with store.pool.acquire() as connection, connection.transaction():
        await connection.execute("set local plan_cache_mode = force_custom_plan")
        explained = await connection.fetchval(
            f"explain (analyze, format json) {query.text}",
            *query.where.values,
        )
    most = 0
    open_nodes: list[Any] = [orjson.loads(explained)[0]["Plan"]]
    while open_nodes:
        node = open_nodes.pop()
        open_nodes += node.get("Plans", [])
        left_out = node.get("Rows Removed by Filter", 0) + node.get(
            "Rows Removed by Join Filter", 0
        )
        most = max(most, int((node["Actual Rows"] + left_out) * node["Actual Loops"]))
    return most


def bulks(core: Core) -> Bulks:
    return Bulks(
        store=core.given.store.bulks,
        payloads=core.memory.payloads,
        searches=searches(core.store),
        calls=Calls(core.calls.changes, core.calls.control),
        owned=core.memory.ownership.epochs,
        now_us=Clock().now_us,
        clock=Clock(),
        ids=ExecutionIds(3),
        spawn=core.memory.background.spawn,
    )


async def test_a_bulk_resumes_after_a_crash_and_counts_once(store: OrchestratorStore) -> None:
    """A page that was begun and not counted is done again; what was done already stays done."""
    async with running(store) as core:
        ids = [await core.start(TWO_STEPS) for _ in range(5)]
        crashed = bulks(core)
        crashed._spawn = lambda work: work.close()
        bulk = await crashed.begin(
            bulk_pb.StartBulkRequest(
                filter="status = running", action=bulk_pb.BulkAction(name="cancel"), request_id="b"
            )
        )
        assert bulk.matched == 5
        row = await core.store.bulks.take_page(bulk.bulk_id, "", ids)
        assert row is not None
        told = await crashed._do(row, ids[:2])
        assert list(told.values()) == [None, None]

        after = bulks(core)
        await after.gained(core.memory.ownership.epochs)
        await until(lambda: not core.memory.background.busy)
        ended = await after.get("default", bulk.bulk_id)
        assert ended.status == bulk_pb.BULK_STATUS_COMPLETED
        assert (ended.applied, ended.skipped, ended.failed) == (5, 0, 0)
        events = await store.pool.fetchval("select count(*) from history where seq > 1")
        assert events == 5


async def test_a_bulk_of_reruns_starts_each_once_over_a_crash(store: OrchestratorStore) -> None:
    """Those that were started before it are found under the same request ids."""
    async with running(store) as core:
        ids = [await core.start(TWO_STEPS) for _ in range(5)]
        crashed = bulks(core)
        for execution_id in ids:
            cancel = pb.CancelExecutionRequest(execution_id=execution_id)
            await crashed._calls.changes.cancel(cancel, forwarded=False)
        crashed._spawn = lambda work: work.close()
        bulk = await crashed.begin(
            bulk_pb.StartBulkRequest(
                filter="status = canceled", action=bulk_pb.BulkAction(name="rerun")
            )
        )
        row = await core.store.bulks.take_page(bulk.bulk_id, "", ids)
        assert row is not None
        assert list((await crashed._do(row, ids[:2])).values()) == [None, None]
        after = bulks(core)
        await after.gained(core.memory.ownership.epochs)
        await until(lambda: not core.memory.background.busy)
        ended = await after.get("default", bulk.bulk_id)
        assert (ended.applied, ended.skipped, ended.failed) == (5, 0, 0)
        assert await store.pool.fetchval("select count(*) from executions") == 10


async def test_a_bulk_ends_although_an_execution_cannot_be_read(store: OrchestratorStore) -> None:
    """A call for that execution gets the reason, and the bulk counts it as failed."""
    async with running(store) as core:
        broken, _ = await core.start(TWO_STEPS), await core.start(TWO_STEPS)
        await store.pool.execute(
            "update orchestrator.history set events = '\\xff' where execution_id = $1", broken
        )
        core.memory.states.evict(broken)
        started = bulks(core)
        bulk = await started.begin(
            bulk_pb.StartBulkRequest(
                filter="status = running", action=bulk_pb.BulkAction(name="cancel")
            )
        )
        await until(lambda: not core.memory.background.busy)
        ended = await started.get("default", bulk.bulk_id)
        assert (ended.applied, ended.skipped, ended.failed) == (1, 0, 1)
        (failure,) = ended.failures
        assert (failure.execution_id, failure.reason) == (broken, "EXECUTION_UNREADABLE")


async def test_a_bulk_of_signals_needs_their_payload(store: OrchestratorStore) -> None:
    """One to which nothing is stored is refused whole, not execution by execution."""
    async with running(store) as core:
        action = bulk_pb.BulkAction(name="signal", signal="go")
        action.payload.reference.digest = "0" * 64
        with pytest.raises(WrongState) as refused:
            await bulks(core).begin(bulk_pb.StartBulkRequest(filter="", action=action))
        assert refused.value.reason == "PAYLOAD_MISSING"


async def test_two_runners_of_a_bulk_count_each_page_once(store: OrchestratorStore) -> None:
    """A worker of the bulk that finds the cursor moved stops."""
    async with running(store) as core:
        for _ in range(5):
            await core.start(TWO_STEPS)
        both = bulks(core), bulks(core)
        bulk = await both[0].begin(
            bulk_pb.StartBulkRequest(
                filter="status = running", action=bulk_pb.BulkAction(name="pause")
            )
        )
        await both[1].gained(core.memory.ownership.epochs)
        await until(lambda: not core.memory.background.busy)
        ended = await both[0].get("default", bulk.bulk_id)
        assert (ended.applied, ended.skipped, ended.failed) == (5, 0, 0)
