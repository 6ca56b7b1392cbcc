"""Bulk operations: one action on every execution that a filter matches, durable and rate limited.

The owner of a bulk's partition runs it page by page. A page is stored before its executions are
changed, and counted in the statement that moves the cursor behind it. A new owner repeats a page
that was not counted, with the same request ids. A runner stops if another one has moved the cursor.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

import orjson

from flowmesh.api.execution.v1 import bulk_service_pb2 as pb
from flowmesh.errors import (
    Conflict,
    FlowmeshError,
    Invalid,
    NotFound,
    Overloaded,
    Timeout,
    Unavailable,
    Violation,
    WrongState,
)
from flowmesh.orchestrator.bulk.actions import ACTIONS, Calls, check_action
from flowmesh.orchestrator.model.errors import partition_unavailable, storage_unavailable
from flowmesh.orchestrator.model.ids import PREFIX, ExecutionIds, first_id_of, partition_of
from flowmesh.orchestrator.model.request_checks import check_text
from flowmesh.orchestrator.search.searches import Searches, conditions
from flowmesh.orchestrator.storage.database import CONNECTION_LOST, until_answered
from flowmesh.orchestrator.storage.payloads import Payloads
from flowmesh.orchestrator.storage.stores.bulk_store import BulkRow, BulkStore
from flowmesh.rpc import namespace_of
from flowmesh.runtime import Clock

PAGE_MAX = 100
"""Executions of a page, and no more than one second of them: then the page is counted, and a cancel
takes effect.
"""

AT_ONCE = 20
"""Concurrent actions of one bulk."""

RATE_DEFAULT = 100
RATE_MAX = 1_000
LISTED_MAX = 100
PREVIEW_IDS = 10
FAILURES_KEPT = 20
AGAIN_S = 0.2
TOO_BROAD_S = 2.0
"""Pause before the search for a page is repeated that took too long."""

BULK_PREFIX = "bulk-"

Spawn = Callable[[Coroutine[Any, Any, None]], None]


class Bulks:
    """The bulks of all namespaces; `owned` are the partitions of this process."""

    def __init__(
        self,
        *,
        store: BulkStore,
        payloads: Payloads,
        searches: Searches,
        calls: Calls,
        owned: Mapping[int, int],
        now_us: Callable[[], int],
        clock: Clock,
        ids: ExecutionIds,
        spawn: Spawn,
    ) -> None:
        self._store = store
        self._payloads = payloads
        self._searches = searches
        self._calls = calls
        self._owned = owned
        self._now_us = now_us
        self._clock = clock
        self._ids = ids
        self._spawn = spawn
        self._running: set[str] = set()

    async def preview(self, request: pb.PreviewBulkRequest) -> pb.PreviewBulkResponse:
        now_us = self._now_us()
        return pb.PreviewBulkResponse(
            count=await self._count(namespace_of(request), request.filter, now_us),
            execution_ids=await self._page(
                namespace_of(request), request.filter, now_us, "", PREVIEW_IDS
            ),
        )

    async def begin(self, request: pb.StartBulkRequest) -> pb.Bulk:
        """Store a bulk and start it. Raises REQUEST_INVALID."""
        namespace = namespace_of(request)
        check_action(request.action)
        check_text(request.request_id, "request_id", 256)
        check_text(request.actor, "actor", 4_096)
        await self._payloads.require(namespace, request.action.payload)
        rate = request.rate_per_second or RATE_DEFAULT
        if rate > RATE_MAX:
            text = f"rate_per_second is {rate}, at most {RATE_MAX}"
            violation = Violation("rate_per_second", text, "REQUEST_INVALID")
            raise Invalid("REQUEST_INVALID", text, violations=(violation,))
        if request.request_id:
            known = await self._store.find_by_request(namespace, request.request_id)
            if known is not None:
                return _repeated(known, request)
        partition = next(iter(self._owned), None)
        if partition is None:
            raise partition_unavailable(0)
        now_us = self._now_us()
        name = self._ids.make(now_us, partition).removeprefix(PREFIX)
        row = await self._store.begin(
            bulk_id=BULK_PREFIX + name,
            partition=partition,
            namespace=namespace,
            request_id=request.request_id,
            action=request.action.SerializeToString(deterministic=True),
            filter_text=request.filter,
            now_us=now_us,
            matched=await self._count(namespace, request.filter, now_us),
            rate_per_second=rate,
            actor=request.actor,
            until_id=first_id_of(now_us + 1_000),
        )
        if row is None:
            row = await self._store.find_by_request(namespace, request.request_id)
            if row is None:
                raise storage_unavailable()
            return _repeated(row, request)
        self._start_running(row)
        return bulk_message(row)

    async def get(self, namespace: str, bulk_id: str) -> pb.Bulk:
        return bulk_message(await self._row(namespace, bulk_id))

    async def listed(self, namespace: str) -> list[pb.Bulk]:
        rows = await self._store.newest(namespace, LISTED_MAX)
        return [bulk_message(row) for row in rows]

    async def cancel(self, namespace: str, bulk_id: str) -> pb.Bulk:
        """Stop a bulk before its next page. Raises BULK_ENDED."""
        row = await self._end(await self._row(namespace, bulk_id), pb.BULK_STATUS_CANCELED)
        if row is None:
            ended = bulk_message(await self._row(namespace, bulk_id))
            status = pb.BulkStatus.Name(ended.status).removeprefix("BULK_STATUS_").lower()
            raise WrongState("BULK_ENDED", f"bulk {bulk_id} is {status} already")
        return bulk_message(row)

    async def gained(self, partitions: Iterable[int]) -> None:
        """Continue the bulks of partitions that this process has gained."""
        for row in await self._store.running(list(partitions)):
            self._start_running(row)

    async def _row(self, namespace: str, bulk_id: str) -> BulkRow:
        row = None
        if partition_of(PREFIX + bulk_id.removeprefix(BULK_PREFIX)) is not None:
            row = await self._store.find(namespace, bulk_id)
        if row is None:
            raise NotFound("BULK_NOT_FOUND", f"no bulk {bulk_id[:64]!r} in this namespace")
        return row

    async def _end(self, row: BulkRow, status: pb.BulkStatus.ValueType) -> BulkRow | None:
        return await self._store.end(
            row.namespace, row.id, status=int(status), ended_at=self._now_us()
        )

    async def _count(self, namespace: str, text: str, now_us: int) -> int:
        where = self._searches.where(namespace)
        condition = conditions(where, text, now_us)
        found = f"{condition} and e.id < {where.put(first_id_of(now_us + 1_000), 'text')}"
        rows = await self._searches.fetch(
            f"select count(*) from executions e where {found}",  # noqa: S608
            where.values,
        )
        return int(rows[0]["count"])

    async def _page(
        self, namespace: str, text: str, now_us: int, after: str, size: int
    ) -> list[str]:
        """Return the next executions that match the filter, oldest first."""
        where = self._searches.where(namespace)
        condition = conditions(where, text, now_us)
        bounds = (
            f"e.id > {where.put(after, 'text')}"
            f" and e.id < {where.put(first_id_of(now_us + 1_000), 'text')}"
        )
        rows = await self._searches.fetch(
            f"select e.id from executions e where {condition} and {bounds}"  # noqa: S608
            f" order by e.id limit {size}",
            where.values,
        )
        return [row["id"] for row in rows]

    # --- running ---

    def _start_running(self, row: BulkRow) -> None:
        if row.id not in self._running:
            self._running.add(row.id)
            self._spawn(self._run(row))

    async def _run(self, bulk: BulkRow) -> None:
        row: BulkRow | None = bulk
        try:
            while row is not None and row.partition in self._owned:
                try:
                    row = await until_answered(partial(self._step, row))
                except Timeout:
                    await asyncio.sleep(TOO_BROAD_S)
        finally:
            self._running.discard(bulk.id)

    async def _step(self, row: BulkRow) -> BulkRow | None:
        """Process one page; return None if the bulk has ended or another owner runs it."""
        page = list(row.page)
        if not page:
            size = min(PAGE_MAX, row.rate_per_second)
            page = await self._page(row.namespace, row.filter, row.now_us, row.cursor, size)
            if not page:
                await self._end(row, pb.BULK_STATUS_COMPLETED)
                return None
            taken = await self._store.take_page(row.id, row.cursor, page)
            if taken is None:
                return None
            row = taken
        outcomes = await self._do(row, page)
        errors = [outcome for outcome in outcomes.values() if outcome is not None]
        failures = [
            {"executionId": i, "reason": e.reason, "message": e.message}
            for i, e in outcomes.items()
            if e is not None and not _is_skip(e)
        ]
        room = max(0, FAILURES_KEPT - len(orjson.loads(row.failures)))
        counted_bulk = await self._store.count_page(
            row.id,
            row.cursor,
            next_cursor=page[-1],
            applied=len(page) - len(errors),
            skipped=len(errors) - len(failures),
            failed=len(failures),
            failures=orjson.dumps(failures[:room]).decode(),
        )
        if counted_bulk is None or counted_bulk.status != pb.BULK_STATUS_RUNNING:
            return None
        return counted_bulk

    async def _do(self, row: BulkRow, page: list[str]) -> dict[str, FlowmeshError | None]:
        """Apply the action to a page at the requested rate; return the error of each, or None."""
        bulk = bulk_message(row)
        outcomes: dict[str, FlowmeshError | None] = {}
        slots = asyncio.Semaphore(AT_ONCE)
        begun_ms = self._clock.monotonic_ms()

        async def act(place: int, execution_id: str) -> None:
            early_ms = begun_ms + place * 1_000 / bulk.rate_per_second - self._clock.monotonic_ms()
            await asyncio.sleep(max(0.0, early_ms / 1_000))
            async with slots:
                outcomes[execution_id] = await self._act(bulk, execution_id)

        await asyncio.gather(*(act(place, each) for place, each in enumerate(page)))
        return outcomes

    async def _act(self, bulk: pb.Bulk, execution_id: str) -> FlowmeshError | None:
        """Apply the action; retry while the owner cannot answer."""
        while True:
            try:
                await ACTIONS[bulk.action.name](self._calls, bulk, execution_id)
            except (Unavailable, Overloaded) as error:
                if error.reason == "EXECUTION_UNREADABLE":
                    return error
                await asyncio.sleep(max(AGAIN_S, error.retry_after_ms / 1_000))
            except CONNECTION_LOST:
                await asyncio.sleep(AGAIN_S)
            except FlowmeshError as error:
                return error
            else:
                return None


def _is_skip(error: FlowmeshError) -> bool:
    """Return whether the action does not apply to the state of the execution, or it is deleted."""
    return isinstance(error, WrongState | NotFound)


def _repeated(row: BulkRow, request: pb.StartBulkRequest) -> pb.Bulk:
    action = request.action.SerializeToString(deterministic=True)
    if row.filter != request.filter or row.action != action:
        shown = request.request_id[:128]
        raise Conflict("REQUEST_ID_REUSED", f"request id {shown!r} began another bulk")
    return bulk_message(row)


def bulk_message(row: BulkRow) -> pb.Bulk:
    """Return a bulk as callers see it."""
    return pb.Bulk(
        namespace=row.namespace,
        bulk_id=row.id,
        action=pb.BulkAction.FromString(row.action),
        filter=row.filter,
        status=pb.BulkStatus.ValueType(row.status),
        matched=row.matched,
        applied=row.applied,
        skipped=row.skipped,
        failed=row.failed,
        failures=[
            pb.BulkFailure(
                execution_id=each["executionId"], reason=each["reason"], message=each["message"]
            )
            for each in orjson.loads(row.failures)
        ],
        created_at_us=row.created_at,
        ended_at_us=row.ended_at or 0,
        actor=row.actor,
        rate_per_second=row.rate_per_second,
    )
