"""Limits and dispatch stops of all orchestrators, as callers set and read them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TypedDict, TypeVar

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.api.execution.v1 import limits_service_pb2_grpc as pb_grpc
from flowmesh.errors import FlowmeshError, Invalid, Violation, WrongState
from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher
from flowmesh.orchestrator.dispatch.statistics.queue_stats import Queues
from flowmesh.orchestrator.dispatch.statistics.worker_stats import WorkerList, merged
from flowmesh.orchestrator.limits.permit_client import PermitClient
from flowmesh.orchestrator.limits.ready_queues import READY_MAX
from flowmesh.orchestrator.limits.rule_loader import RuleLoader
from flowmesh.orchestrator.limits.rules import Kind, kind_of, rule_name, rule_parts
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.ownership.peers import FORWARDED
from flowmesh.orchestrator.storage.stores.limit_store import LimitRow, LimitStore
from flowmesh.rpc import check_enum_values, namespace_of, valid_id

CONCURRENCY_MAX = 1_000_000
RATE_MAX = 1_000_000.0
WEIGHT_MAX = 1_000
RETRIES_MAX = 100.0
TEXT_MAX = 4_096
SUBJECT_MAX = 512
USES_MAX = 1_000
CHANGES_DEFAULT = 100
CHANGES_MAX = 1_000
PEER_TIMEOUT_S = 1.0
"""Time after which an orchestrator is reported as unreachable."""

M = TypeVar("M")


class Limits:
    """The calls of LimitService."""

    def __init__(
        self,
        *,
        store: LimitStore,
        rules: RuleLoader,
        dispatcher: Dispatcher,
        permits: PermitClient,
        ownership: Ownership,
        queues: Queues,
        workers: WorkerList,
        stub_at: Callable[[str], pb_grpc.LimitServiceAsyncStub],
        permit_stub: Callable[[str], pb_grpc.PermitServiceAsyncStub],
    ) -> None:
        self._store = store
        self._rules = rules
        self._dispatcher = dispatcher
        self._permits = permits
        self._ownership = ownership
        self._queues = queues
        self._workers = workers
        self._stub_at = stub_at
        self._permit_stub = permit_stub

    # --- change ---

    async def set(self, request: pb.SetLimitRequest) -> pb.SetLimitResponse:
        limit = request.limit
        namespace, kind = namespace_of(limit), limit.kind
        subject = _subject(kind, limit.subject)
        _check_numbers(limit)
        numbers = {
            "concurrency": limit.concurrency,
            "rate": limit.rate_per_second,
            "burst": limit.burst,
            "weight": limit.weight,
            "max_size": limit.max_size,
            "retries": limit.retries,
        }
        shown = " ".join(f"{name}={value:g}" for name, value in numbers.items() if value)
        await self._store.set(
            namespace=namespace,
            kind=kind,
            subject=subject,
            concurrency=limit.concurrency,
            rate=limit.rate_per_second,
            burst=limit.burst,
            weight=limit.weight,
            max_size=limit.max_size,
            retries=limit.retries,
            actor=_text(request.actor, "actor"),
            reason=_text(request.reason, "reason"),
            logged_as=f"{rule_name(kind, subject)} {shown or 'no limit'}",
        )
        return pb.SetLimitResponse(unreachable=await self._reload_everywhere())

    async def delete(self, request: pb.DeleteLimitRequest) -> pb.DeleteLimitResponse:
        subject = _subject(request.kind, request.subject)
        deleted = await self._store.delete(
            namespace=namespace_of(request),
            kind=request.kind,
            subject=subject,
            actor=_text(request.actor, "actor"),
            reason=_text(request.reason, "reason"),
            logged_as=rule_name(request.kind, subject),
        )
        unreachable = await self._reload_everywhere() if deleted else []
        return pb.DeleteLimitResponse(deleted=deleted, unreachable=unreachable)

    async def stop(self, request: pb.StopDispatchRequest) -> pb.StopDispatchResponse:
        if not await self._store.stop_dispatch(
            refuses_starts=request.refuse_starts, **_switch(request)
        ):
            raise WrongState(
                "DISPATCH_STOPPED", f"dispatch of {_stop_subject(request)} is stopped already"
            )
        return pb.StopDispatchResponse(unreachable=await self._reload_everywhere())

    async def start(self, request: pb.StartDispatchRequest) -> pb.StartDispatchResponse:
        if not await self._store.start_dispatch(**_switch(request)):
            raise WrongState(
                "DISPATCH_NOT_STOPPED", f"dispatch of {_stop_subject(request)} is not stopped"
            )
        return pb.StartDispatchResponse(unreachable=await self._reload_everywhere())

    async def _reload_everywhere(self) -> list[str]:
        """Reload limits on every orchestrator; return the addresses of unreachable ones."""
        await self._rules.load()
        _, unreachable = await self._ask_peers(
            lambda peer: self._permit_stub(peer).ReloadLimits(
                pb.ReloadLimitsRequest(), timeout=PEER_TIMEOUT_S
            )
        )
        return unreachable

    # --- look ---

    async def listed(
        self, request: pb.ListLimitsRequest, *, forwarded: bool
    ) -> pb.ListLimitsResponse:
        namespace = namespace_of(request)
        rules = self._dispatcher.limiter.rules
        response = pb.ListLimitsResponse(uses=self._uses(namespace), stops=self._stops(namespace))
        response.limits.extend(
            _limit_message(row)
            for (row_namespace, _), row in sorted(rules.limits.items())
            if row_namespace == namespace
        )
        if forwarded:
            return response
        parts, unreachable = await self._ask_peers(
            lambda peer: self._stub_at(peer).ListLimits(
                request, metadata=FORWARDED, timeout=PEER_TIMEOUT_S
            )
        )
        stops = {stop.workflow_id: stop for stop in response.stops}
        for part in parts:
            # Each counter belongs to one of them; stopped tasks wait at each.
            response.uses.extend(part.uses)
            for stop in part.stops:
                if stop.workflow_id in stops:
                    stops[stop.workflow_id].waiting += stop.waiting
        uses = sorted(response.uses, key=lambda use: -(use.in_use + use.waiting))[:USES_MAX]
        del response.uses[:]
        response.uses.extend(uses)
        response.unreachable.extend(unreachable)
        return response

    def _uses(self, namespace: str) -> list[pb.LimitUse]:
        counters = self._permits.grantor.counters(namespace)
        counters.sort(key=lambda each: -(each.in_use + each.waiting_count))
        uses = []
        for counter in counters[:USES_MAX]:
            kind, subject = rule_parts(counter.rule)
            uses.append(
                pb.LimitUse(
                    kind=kind,
                    subject=subject,
                    key=counter.name[len(counter.rule) + 1 :],
                    in_use=counter.in_use,
                    waiting=counter.waiting_count,
                    concurrency=counter.concurrency,
                    rate_per_second=counter.rate,
                )
            )
        return uses

    def _stops(self, namespace: str) -> list[pb.Stop]:
        limiter = self._dispatcher.limiter
        waiting: dict[tuple[str, str], int] = {}
        for stop, _ in limiter.stopped():
            waiting[stop] = waiting.get(stop, 0) + 1
        return [
            pb.Stop(
                namespace=namespace,
                workflow_id=row.workflow_id,
                reason=row.reason,
                actor=row.actor,
                stopped_at_us=row.stopped_at,
                refuse_starts=row.refuses_starts,
                waiting=waiting.get(stop, 0),
            )
            for stop, row in sorted(limiter.rules.stops.items())
            if stop[0] == namespace
        ]

    async def changes(self, request: pb.ListLimitChangesRequest) -> pb.ListLimitChangesResponse:
        rows = await self._store.changes(
            namespace_of(request),
            before_id=request.before_id,
            rows_max=min(request.page_size or CHANGES_DEFAULT, CHANGES_MAX),
        )
        return pb.ListLimitChangesResponse(
            changes=[
                pb.LimitChange(
                    id=row.id,
                    at_us=row.at,
                    action=row.action,
                    subject=row.subject,
                    actor=row.actor,
                    reason=row.reason,
                )
                for row in rows
            ]
        )

    async def queues(
        self, request: pb.ListQueuesRequest, *, forwarded: bool
    ) -> pb.ListQueuesResponse:
        now_ms = self._ownership.now_us() / 1000
        mine = self._queues.of(namespace_of(request), now_ms)
        if forwarded:
            return pb.ListQueuesResponse(queues=mine)
        parts, unreachable = await self._ask_peers(
            lambda peer: self._stub_at(peer).ListQueues(
                request, metadata=FORWARDED, timeout=PEER_TIMEOUT_S
            )
        )
        every = [*mine, *(queue for part in parts for queue in part.queues)]
        return pb.ListQueuesResponse(queues=self._queues.merged(every), unreachable=unreachable)

    async def workers(
        self, request: pb.ListWorkersRequest, *, forwarded: bool
    ) -> pb.ListWorkersResponse:
        mine = self._workers.of(namespace_of(request))
        if forwarded:
            return pb.ListWorkersResponse(workers=mine)
        parts, unreachable = await self._ask_peers(
            lambda peer: self._stub_at(peer).ListWorkers(
                request, metadata=FORWARDED, timeout=PEER_TIMEOUT_S
            )
        )
        every = [*mine, *(worker for part in parts for worker in part.workers)]
        return pb.ListWorkersResponse(workers=merged(every), unreachable=unreachable)

    def breakers(self) -> pb.ListBreakersResponse:
        # Every worker service is attached to every orchestrator, so each has all reports.
        return pb.ListBreakersResponse(breakers=self._dispatcher.services.breakers.listed())

    async def _ask_peers(self, ask: Callable[[str], Awaitable[M]]) -> tuple[list[M], list[str]]:
        """Return the answers of the other orchestrators, and the addresses of unreachable ones."""
        peers = self._ownership.peers()
        answers = await asyncio.gather(*map(ask, peers), return_exceptions=True)
        found, unreachable = [], []
        for peer, answer in zip(peers, answers, strict=True):
            if isinstance(answer, FlowmeshError):
                unreachable.append(peer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found.append(answer)
        return found, unreachable


class _Switch(TypedDict):
    """Arguments that stop or start dispatch."""

    namespace: str
    workflow_id: str
    actor: str
    reason: str
    logged_as: str


def _switch(request: pb.StopDispatchRequest | pb.StartDispatchRequest) -> _Switch:
    """Check a request to stop or start dispatch. Raises REQUEST_INVALID, LIMIT_INVALID."""
    if request.workflow_id:
        valid_id(request.workflow_id, "workflow_id")
    return {
        "namespace": namespace_of(request),
        "workflow_id": request.workflow_id,
        "actor": _text(request.actor, "actor"),
        "reason": _text(request.reason, "reason"),
        "logged_as": _stop_subject(request),
    }


def _limit_message(row: LimitRow) -> pb.Limit:
    return pb.Limit(
        namespace=row.namespace,
        kind=kind_of(row),
        subject=row.subject,
        concurrency=row.concurrency,
        rate_per_second=row.rate,
        burst=row.burst,
        weight=row.weight,
        max_size=row.max_size,
        retries=row.retries,
        updated_at_us=row.updated_at,
        actor=row.actor,
        reason=row.reason,
    )


def _stop_subject(request: pb.StopDispatchRequest | pb.StartDispatchRequest) -> str:
    if request.workflow_id:
        return rule_name(pb.LIMIT_KIND_WORKFLOW, request.workflow_id)
    return f"namespace {namespace_of(request)}"


def _wrong(field: str, message: str) -> Invalid:
    violation = Violation(field, message, "LIMIT_INVALID")
    return Invalid("LIMIT_INVALID", message, violations=(violation,))


def _subject(kind: Kind, subject: str) -> str:
    check_enum_values([kind], pb.LimitKind, "kind")
    if kind == pb.LIMIT_KIND_UNSPECIFIED:
        raise _wrong("kind", "kind is required: a namespace, a workflow, a task type …")
    if kind == pb.LIMIT_KIND_NAMESPACE:
        if subject:
            raise _wrong("subject", "the limit of a namespace has no subject")
        return ""
    if not subject:
        raise _wrong("subject", f"name the {rule_name(kind, '')[:-1]} that is limited")
    if len(subject) > SUBJECT_MAX or "\0" in subject:
        raise _wrong("subject", f"a subject has at most {SUBJECT_MAX} characters, none of them NUL")
    if kind == pb.LIMIT_KIND_NODE and "/" not in subject:
        raise _wrong("subject", "the subject of a node's limit is workflow/node")
    return subject.lower() if kind == pb.LIMIT_KIND_UPSTREAM else subject


def _check_numbers(limit: pb.Limit) -> None:
    if limit.concurrency > CONCURRENCY_MAX:
        raise _wrong("concurrency", f"concurrency is at most {CONCURRENCY_MAX:,}")
    rate = limit.rate_per_second
    if not math.isfinite(rate) or not 0 <= rate <= RATE_MAX:
        raise _wrong("rate_per_second", f"a rate is from 0 to {RATE_MAX:,.0f} a second")
    if limit.burst > CONCURRENCY_MAX:
        raise _wrong("burst", f"a burst is at most {CONCURRENCY_MAX:,}")
    if limit.weight > WEIGHT_MAX:
        raise _wrong("weight", f"a weight is at most {WEIGHT_MAX:,}")
    if limit.weight and limit.kind != pb.LIMIT_KIND_NAMESPACE:
        raise _wrong("weight", "only a namespace has a weight")
    if limit.max_size > READY_MAX:
        raise _wrong("max_size", f"a queue holds at most {READY_MAX:,} tasks")
    if limit.max_size and limit.kind != pb.LIMIT_KIND_QUEUE:
        raise _wrong("max_size", "only a queue has a size")
    if not math.isfinite(limit.retries) or not 0 <= limit.retries <= RETRIES_MAX:
        raise _wrong("retries", f"retries are a share from 0 to {RETRIES_MAX:g}")
    if limit.retries and limit.kind not in (pb.LIMIT_KIND_WORKFLOW, pb.LIMIT_KIND_UPSTREAM):
        raise _wrong("retries", "only a workflow and an upstream have a budget of retries")


def _text(value: str, field: str) -> str:
    if len(value) > TEXT_MAX or "\0" in value:
        raise _wrong(field, f"{field} has at most {TEXT_MAX} characters, none of them NUL")
    return value
