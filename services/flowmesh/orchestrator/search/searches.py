"""Lists and counts of executions: filters, orders and pages, each in one bounded statement."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg
import msgspec

from flowmesh.access.encryption import NO_KEYS, DataKeys, error_place
from flowmesh.api.common.v1 import failure_pb2, search_pb2
from flowmesh.api.execution.v1 import execution_pb2, search_service_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.errors import Invalid, Timeout, Violation
from flowmesh.filters import Order, parse_filter, parse_groups, parse_order, status_names
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.search.filter_sql import Where, sealed_search
from flowmesh.rpc import (
    check_enum_values,
    invalid_page_token,
    last_of_token,
    list_key,
    namespace_of,
    page_token,
    valid_id,
)

PAGE_DEFAULT = 100
PAGE_MAX = 1_000
GROUPS_SHOWN_MAX = 1_000
STATEMENT_TIMEOUT_MS = 5_000
STEP_S_MAX = 366 * 24 * 3_600
OPEN_STATUSES = (
    execution_pb2.EXECUTION_STATUS_PENDING,
    execution_pb2.EXECUTION_STATUS_RUNNING,
    execution_pb2.EXECUTION_STATUS_PAUSED,
    execution_pb2.EXECUTION_STATUS_COMPENSATING,
)
OPEN_US = 2**63 - 1
"""Stands for the end of open executions in lists that are ordered by it."""

_COLUMNS = (
    "e.id, e.workflow_id, e.workflow_name, e.workflow_version, e.plan_digest, e.status,"
    " e.started_at, e.ended_at, e.request_id"
)
_KINDS: dict[type, str] = {str: "text", int: "bigint", float: "double precision"}
_NO_NUMBER = float("-inf")
"""Stands for the number of a text in lists that are ordered by search values."""

Place: TypeAlias = Sequence[object]
"""The key of the last row of the previous page."""

_GROUPS = {
    "status": "e.status::text",
    "workflow": "e.workflow_id",
    "version": "e.workflow_version::text",
    "day": "to_char(to_timestamp(e.started_at / 1000000) at time zone 'UTC', 'YYYY-MM-DD')",
    "hour": "to_char(to_timestamp(e.started_at / 1000000) at time zone 'UTC',"
    ' \'YYYY-MM-DD"T"HH24:00"Z"\')',
}

_PERCENTILES = (
    ", percentile_cont(array[0.5, 0.95, 0.99]) within group"
    " (order by (e.ended_at - e.started_at) / 1000.0) as latency"
)


Request: TypeAlias = pb.ListExecutionsRequest | search_service_pb2.CountExecutionsRequest


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of a page; `token` of a row leads to the following rows."""

    rows: list[Any]
    more: bool
    query: "PageQuery"
    warnings: list[str]

    def token(self, place: int) -> str:
        return self.query.token(self.rows[place])


class Searches:
    """Answers filters from the rows; committed changes are found at once."""

    def __init__(
        self, *, pool: asyncpg.Pool, now_us: Callable[[], int], keys: DataKeys = NO_KEYS
    ) -> None:
        self._pool = pool
        self._keys = keys
        self._now_us = now_us

    async def page(self, request: pb.ListExecutionsRequest, list_name: str = "") -> Page:
        """Return the rows of one page, in order; `list_name` keeps tokens of other lists apart."""
        query = PageQuery(request, self._now_us(), list_name, self._keys)
        rows = await self.fetch(query.text, query.where.values)
        warnings = [] if request.page_token else await self._warnings(request, query.where)
        return Page(rows[: query.size], len(rows) > query.size, query, warnings)

    async def failures(self, ids: Sequence[str]) -> dict[str, failure_pb2.Failure]:
        """Return the failures of executions by id, as stored for searches: cut to a length."""
        if not ids:
            return {}
        rows = await self.fetch(
            "select c.execution_id, c.text as class, e.text as error from search_values c"
            " join search_values e on e.execution_id = c.execution_id and e.name = 'error'"
            " where c.execution_id = any ($1) and c.name = 'error.class'",
            [list(ids)],
        )
        found: dict[str, failure_pb2.Failure] = {}
        for row in rows:
            text = self._keys.open_text(row["error"], error_place(row["execution_id"]))
            failure = failure_pb2.Failure(message=text.removeprefix(f"{row['class']}: "))
            setattr(failure, "class", row["class"])
            found[row["execution_id"]] = failure
        return found

    async def values(
        self, namespace: str, ids: Sequence[str]
    ) -> Mapping[str, list[search_pb2.SearchValue]]:
        """Return search values and needs of executions by id, as stored; of hashed ones none."""
        if not ids:
            return {}
        where = self.where(namespace)
        rows = await self.fetch(
            "select execution_id, name, text, number from search_values"
            " where execution_id = any ($1) and split_part(name, '.', 1) = any ($2)"
            " order by execution_id, name",
            [list(ids), ["needs", *(each for each in _INDEXED_BY if not where.hides(each))]],
        )
        found: dict[str, list[search_pb2.SearchValue]] = {}
        for row in rows:
            value = search_pb2.SearchValue(name=row["name"], text=row["text"], number=row["number"])
            found.setdefault(row["execution_id"], []).append(value)
        return found

    async def count(
        self, request: search_service_pb2.CountExecutionsRequest
    ) -> search_service_pb2.CountExecutionsResponse:
        """Count executions in groups, the largest group first."""
        names = parse_groups(request.group_by)
        where = self.where(namespace_of(request))
        condition = conditions(where, request.filter, self._now_us())
        shown, joins = _groups(where, names)
        if request.step_s:
            step_us = where.put(_step_us(request.step_s), "bigint")
            shown.append(f"e.started_at / {step_us} * {step_us}")
        columns = "".join(f"{each}, " for each in shown)
        grouped = ", ".join(str(place + 1) for place in range(len(shown)))
        first = f"{len(shown)}, found desc" if request.step_s else "found desc"
        rows = await self.fetch(
            f"select {columns}count(*) as found, sum(count(*)) over () as whole"  # noqa: S608
            f"{_PERCENTILES if request.durations else ''}"
            f" from executions e{''.join(joins)} where {condition}"
            + (f" group by {grouped} order by {first}, {grouped}" if shown else "")
            + f" limit {GROUPS_SHOWN_MAX + 1}",
            where.values,
        )
        response = search_service_pb2.CountExecutionsResponse(
            count=int(rows[0]["whole"]) if rows else 0,
            groups_capped=len(rows) > GROUPS_SHOWN_MAX,
            warnings=await self._warnings(request, where),
        )
        for row in rows[:GROUPS_SHOWN_MAX]:
            values = [_shown(name, row[place]) for place, name in enumerate(names)]
            p50, p95, p99 = (request.durations and row["latency"]) or (0, 0, 0)
            response.groups.add(
                values=values,
                count=row["found"],
                step_at_us=row[len(names)] if request.step_s else 0,
                p50_ms=p50,
                p95_ms=p95,
                p99_ms=p99,
            )
        return response

    async def _warnings(self, request: Request, where: Where) -> list[str]:
        """Return a sentence for each name of the statement that no execution has."""
        if not where.names:
            return []
        rows = await self.fetch(
            "select name from unnest($2::text[]) with ordinality as used (name, place)"
            " where not exists (select 1 from search_values s where s.namespace = $1"
            " and s.name = used.name) order by place",
            [namespace_of(request), where.names],
        )
        return [_unindexed(row["name"]) for row in rows]

    def where(self, namespace: str) -> Where:
        """Return the conditions of a statement, without any."""
        return Where(namespace, self._keys)

    async def fetch(self, text: str, values: Sequence[object]) -> list[Any]:
        """Return the rows of a statement with a short timeout, planned for its values.

        Raises SEARCH_TOO_BROAD.
        """
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            await connection.execute(
                "set local plan_cache_mode = force_custom_plan;"
                f" set local statement_timeout = {STATEMENT_TIMEOUT_MS}"
            )
            try:
                return list(await connection.fetch(text, *values))
            except asyncpg.QueryCanceledError:
                message = f"the search took longer than {STATEMENT_TIMEOUT_MS} ms"
                hint = "narrow it, by `started` or `workflow`"
                raise Timeout("SEARCH_TOO_BROAD", f"{message}; {hint}") from None


_INDEXED_BY = {
    "label": "labels are given at the start",
    "attr": "workflows declare attributes in `searchAttributes`, for executions started later",
    "input": "workflows declare parts of the input in `searchable`, for executions started later",
}


def _unindexed(name: str) -> str:
    how = _INDEXED_BY[name.partition(".")[0]]
    return f"no execution of this namespace has {name}: {how}"


def _groups(where: Where, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the columns of groups, and the joins that they need."""
    shown, joins = [], []
    for place, name in enumerate(names):
        shown.append(_GROUPS.get(name) or f"coalesce(g{place}.text, g{place}.number::text)")
        if name not in _GROUPS:
            joins.append(
                f" left join search_values g{place} on g{place}.execution_id = e.id"
                f" and g{place}.name = {where.put_name(name)}"
            )
    return shown, joins


def _step_us(step_s: int) -> int:
    if not 1 <= step_s <= STEP_S_MAX:
        text = f"step_s must be from 1 to {STEP_S_MAX}"
        raise Invalid("REQUEST_INVALID", text, violations=(Violation("step_s", text),))
    return step_s * 1_000_000


def conditions(where: Where, text: str, now_us: int) -> str:
    """Return the condition of a filter within its namespace."""
    tree = parse_filter(text, now_us)
    found = f"e.namespace = {where.namespace}"
    return f"{found} and {where.condition(tree)}" if tree is not None else found


class PageQuery:
    """A page of a list as a statement, and the token of the next one."""

    def __init__(
        self,
        request: pb.ListExecutionsRequest,
        now_us: int,
        list_name: str = "",
        keys: DataKeys = NO_KEYS,
    ) -> None:
        self.size = min(request.page_size or PAGE_DEFAULT, PAGE_MAX)
        check_enum_values(request.statuses, execution_pb2.ExecutionStatus, "statuses")
        self.order: Order = parse_order(request.order_by)
        self.where = Where(namespace_of(request), keys)
        found = [conditions(self.where, request.filter, now_us), *self._fields(request)]
        self._list = list_name or list_key(request)
        self._way = " desc" if self.order.descending else ""
        name = self.order.field.stored_name
        before = self._place(request.page_token) if request.page_token else None
        if name:
            self.text = self._by_value(name, found, before)
        elif self.order.field.name == "ended":
            self.text = self._by_end(found, before)
        else:
            self.text = self._ordered("", found, ["e.id"], ["e.id"], before)

    def _by_end(self, found: list[str], before: Place | None) -> str:
        """Return the statement of a list in the order of ends; open executions have the last one.

        Each open status and the ended executions are read in the order of their index.
        """
        is_open = before is not None and before[0] == OPEN_US
        parts = []
        if before is None or is_open or not self.order.descending:
            shown = [f"{OPEN_US}::bigint", "e.id"]
            place = before[1:] if before is not None and is_open else None
            for status in OPEN_STATUSES:
                kept = [*found, f"e.status = {status}"]
                parts.append(self._ordered("", kept, shown, shown[1:], place))
        if before is None or not is_open or self.order.descending:
            shown = ["e.ended_at", "e.id"]
            place = None if is_open else before
            kept = [*found, "e.ended_at is not null"]
            parts.append(self._ordered("", kept, shown, shown, place))
        return self._merged(parts, 2)

    def _by_value(self, name: str, found: list[str], before: Place | None) -> str:
        """Return the statement of a list in the order of search values: texts, then numbers.

        Each kind is read in the order of its index, no further than a page.
        """
        if self.where.hides(name):
            raise sealed_search(name, "order")
        join = (
            " join search_values o on o.execution_id = e.id"
            f" and o.namespace = {self.where.namespace} and o.name = {self.where.put_name(name)}"
        )
        number, text, last = before or (None, None, None)
        in_texts = number == _NO_NUMBER
        parts = []
        if before is None or in_texts or self.order.descending:
            shown = ["'-infinity'::float8", "o.text", "o.execution_id"]
            place = [text, last] if in_texts else None
            kept = [*found, "o.text is not null"]
            parts.append(self._ordered(join, kept, shown, shown[1:], place))
        if before is None or not in_texts or not self.order.descending:
            shown = ["o.number", "''::text collate \"C\"", "o.execution_id"]
            place = None if before is None or in_texts else [number, last]
            kept = [*found, "o.number is not null"]
            parts.append(self._ordered(join, kept, shown, [shown[0], shown[2]], place))
        return self._merged(parts, 3)

    def _merged(self, parts: Sequence[str], key_size: int) -> str:
        """Return the statement for a page of the rows of several statements."""
        ordered = ", ".join(f"key_{place}{self._way}" for place in range(key_size))
        rows = " union all ".join(f"({part})" for part in parts)
        return (
            f"select * from ({rows}) as listed"  # noqa: S608
            f" order by {ordered} limit {self.size + 1}"
        )

    def _ordered(
        self,
        join: str,
        found: list[str],
        shown: Sequence[str],
        key: Sequence[str],
        before: Place | None,
    ) -> str:
        """Return a statement for a page in the order of `key`; `shown` is the key of tokens."""
        kept = list(found)
        if before is not None:
            sign = "<" if self.order.descending else ">"
            put = [self.where.put(value, _KINDS[type(value)]) for value in before]
            kept.append(f"({', '.join(key)}) {sign} ({', '.join(put)})")
        places = ", ".join(f"{each} as key_{place}" for place, each in enumerate(shown))
        ordered = ", ".join(f"{each}{self._way}" for each in key)
        return (
            f"select {_COLUMNS}, {places} from executions e{join}"  # noqa: S608
            f" where {' and '.join(kept)} order by {ordered} limit {self.size + 1}"
        )

    def _fields(self, request: pb.ListExecutionsRequest) -> list[str]:
        put, found = self.where.put, []
        if request.workflow_id:
            workflow = valid_id(request.workflow_id, "workflow_id")
            # As a parameter of the plan: with the value known, the planner reads the newest
            # executions of the namespace until enough of them are of a frequent workflow.
            found.append(f"e.workflow_id = (select {put(workflow, 'text')})")
        if request.statuses:
            found.append(f"e.status = any ({put(list(request.statuses), 'smallint[]')})")
        if request.started_after_us:
            found.append(f"e.started_at > {put(request.started_after_us, 'bigint')}")
        if request.started_before_us:
            found.append(f"e.started_at < {put(request.started_before_us, 'bigint')}")
        return found

    def _types(self) -> tuple[type, ...]:
        """Return the types of the parts of a key; the id is the last one."""
        if self.order.field.stored_name:
            return (float, str, str)
        return (int, str) if self.order.field.name == "ended" else (str,)

    def token(self, row: Any) -> str:
        """Return the token of the rows behind this one."""
        names = [name for name in row.keys() if name.startswith("key_")]  # noqa: SIM118
        # JSON has no infinity; a missing number sorts below all numbers.
        key = [None if row[name] == _NO_NUMBER else row[name] for name in names]
        return page_token(self._list, msgspec.json.encode(key).decode())

    def _place(self, token: str) -> Place:
        key: object = None
        with contextlib.suppress(msgspec.DecodeError):
            key = msgspec.json.decode(last_of_token(token, self._list))
        types = self._types()
        if not isinstance(key, list) or len(key) != len(types):
            raise invalid_page_token()
        place = [_NO_NUMBER if part is None else part for part in key]
        fits = all(type(part) is kind for part, kind in zip(place, types, strict=True))
        if not fits or partition_of(str(place[-1])) is None or "\0" in str(place):
            raise invalid_page_token()
        return place


_WORDS = {str(number): word for word, number in status_names().items()}


def _shown(name: str, value: str | None) -> str:
    if value is None:
        return ""
    return _WORDS.get(value, value) if name == "status" else value
