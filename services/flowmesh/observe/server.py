"""ObserveService over gRPC: messages to calls, and back."""

import re
from collections.abc import Callable
from typing import Any, Final

import asyncpg
import msgspec

from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.api.observe.v1 import observe_service_pb2_grpc
from flowmesh.errors import Invalid, Unavailable
from flowmesh.observe import limits
from flowmesh.observe.batches import check_batch
from flowmesh.observe.filters import Where
from flowmesh.observe.keeping import Keeping
from flowmesh.observe.objective_store import ObjectiveStore
from flowmesh.observe.questions.questions import Questions
from flowmesh.observe.questions.sums import DAY_US, HOUR_US, Range, checked_range
from flowmesh.observe.series import series_of, wanted
from flowmesh.observe.slos import Slos
from flowmesh.observe.spans import Requests
from flowmesh.observe.store import SignalStore
from flowmesh.rpc import namespace_of, valid_id
from flowmesh.rpc.pages import last_of_token, list_key, page_token
from flowmesh.rpc.requests import SEQUENCE_MAX

Context = Any
_TRACE_ID: Final = re.compile("[0-9a-f]{32}")
STORE_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


class ObserveServer(observe_service_pb2_grpc.ObserveServiceServicer):
    """Turns messages into calls; decides nothing."""

    def __init__(
        self,
        *,
        store: SignalStore,
        keeping: Keeping,
        slos: Slos,
        objectives: ObjectiveStore,
        requests: Requests,
        questions: Questions,
        now_us: Callable[[], int],
    ) -> None:
        self._store = store
        self._keeping = keeping
        self._slos = slos
        self._objectives = objectives
        self._requests = requests
        self._questions = questions
        self._now_us = now_us

    async def RecordSignals(
        self, request: pb.RecordSignalsRequest, context: Context
    ) -> pb.RecordSignalsResponse:
        check_batch(request)
        try:
            await self._store.write(request)
        except STORE_ERRORS as error:
            self._keeping.refused(error)
            raise Unavailable("STORAGE_UNAVAILABLE", "the signals were not stored") from error
        self._keeping.stored()
        return pb.RecordSignalsResponse()

    async def ListSeries(
        self, request: pb.ListSeriesRequest, context: Context
    ) -> pb.ListSeriesResponse:
        ask = wanted(request, self._now_us())
        amounts = await self._store.amounts(
            ask.metric, ask.from_us, ask.until_us, ask.step_s, hours=ask.by_hours
        )
        return pb.ListSeriesResponse(series=series_of(amounts, ask), step_s=ask.step_s)

    async def ListLogs(self, request: pb.ListLogsRequest, context: Context) -> pb.ListLogsResponse:
        namespace = namespace_of(request)
        logs, token = await self._logs(request, namespace)
        for each in logs:
            each.fields = _without_internals(each.fields)
        return pb.ListLogsResponse(
            logs=logs,
            next_page_token=token,
            not_kept_since_us=self._keeping.not_kept_since_us,
        )

    async def ListServiceLogs(
        self, request: pb.ListServiceLogsRequest, context: Context
    ) -> pb.ListServiceLogsResponse:
        logs, token = await self._logs(request, "")
        return pb.ListServiceLogsResponse(
            logs=logs,
            next_page_token=token,
            not_kept_since_us=self._keeping.not_kept_since_us,
        )

    async def ListCalls(
        self, request: pb.ListCallsRequest, context: Context
    ) -> pb.ListCallsResponse:
        calls, token = await self._calls(request, namespace_of(request))
        return pb.ListCallsResponse(calls=calls, next_page_token=token)

    async def ListServiceCalls(
        self, request: pb.ListServiceCallsRequest, context: Context
    ) -> pb.ListServiceCallsResponse:
        calls, token = await self._calls(request, "")
        return pb.ListServiceCallsResponse(calls=calls, next_page_token=token)

    async def GetSlo(self, request: pb.GetSloRequest, context: Context) -> pb.GetSloResponse:
        valid_id(request.workflow_id, "workflow_id")
        namespace = namespace_of(request)
        if request.target:
            slo = await self._slos.checked(namespace, request)
        else:
            slo = await self._objectives.get(namespace, request.workflow_id)
        return pb.GetSloResponse(slo=await self._slos.computed(namespace, slo))

    async def SetSlo(self, request: pb.SetSloRequest, context: Context) -> pb.SetSloResponse:
        valid_id(request.workflow_id, "workflow_id")
        namespace = namespace_of(request)
        slo = await self._slos.checked(namespace, request)
        await self._objectives.put(namespace, slo)
        return pb.SetSloResponse(slo=await self._slos.computed(namespace, slo))

    async def DeleteSlo(
        self, request: pb.DeleteSloRequest, context: Context
    ) -> pb.DeleteSloResponse:
        valid_id(request.workflow_id, "workflow_id")
        await self._objectives.delete(namespace_of(request), request.workflow_id)
        return pb.DeleteSloResponse()

    async def ListSlos(self, request: pb.ListSlosRequest, context: Context) -> pb.ListSlosResponse:
        return pb.ListSlosResponse(slos=await self._objectives.listed(namespace_of(request)))

    async def ListSpans(
        self, request: pb.ListSpansRequest, context: Context
    ) -> pb.ListSpansResponse:
        namespace = namespace_of(request)
        if bool(request.execution_id) == bool(request.trace_id):
            raise Invalid("REQUEST_INVALID", "give execution_id or trace_id")
        if request.execution_id:
            valid_id(request.execution_id, "execution_id")
            found = await self._requests.of_execution(namespace, request.execution_id)
        else:
            if not _TRACE_ID.fullmatch(request.trace_id):
                raise Invalid("REQUEST_INVALID", "trace_id: 32 hexadecimal digits")
            found = await self._requests.of_trace(namespace, request.trace_id)
        for each in found.logs:
            each.fields = _without_internals(each.fields)
        return found

    async def _logs(self, request: Any, namespace: str) -> tuple[list[pb.LogRecord], str]:
        where = self._where(request, namespace, "logs", after=_position(request.after))
        count = _page_size(request)
        logs = await self._store.logs(where, count, after=request.after)
        if request.after:
            # A live tail goes on with the position of its last record.
            return logs, ""
        return logs, _token(request, logs, count)

    async def _calls(self, request: Any, namespace: str) -> tuple[list[pb.CallRecord], str]:
        where = self._where(request, namespace, "calls")
        count = _page_size(request)
        calls = await self._store.calls(where, count)
        return calls, _token(request, calls, count)

    async def ExplainSlowness(
        self, request: pb.ExplainSlownessRequest, context: Context
    ) -> pb.ExplainSlownessResponse:
        valid_id(request.workflow_id, "workflow_id")
        span = self._range(request.since_us, request.until_us, DAY_US)
        return await self._questions.slowness.explained(
            namespace_of(request), request.workflow_id, span
        )

    async def GetQueueUse(
        self, request: pb.GetQueueUseRequest, context: Context
    ) -> pb.GetQueueUseResponse:
        span = self._range(request.from_us, request.until_us)
        return await self._questions.queues.of(namespace_of(request), request.queue, span)

    async def CompareWorkers(
        self, request: pb.CompareWorkersRequest, context: Context
    ) -> pb.CompareWorkersResponse:
        span = self._range(request.from_us, request.until_us)
        return await self._questions.workers.compared(namespace_of(request), span)

    async def GetServiceMap(
        self, request: pb.GetServiceMapRequest, context: Context
    ) -> pb.GetServiceMapResponse:
        return await self._questions.services.of(self._range(request.from_us, request.until_us))

    def _range(self, from_us: int, until_us: int, default_us: int = HOUR_US) -> Range:
        return checked_range(from_us, until_us, self._now_us(), default_us)

    def _where(self, request: Any, namespace: str, table: str, *, after: int = 0) -> Where:
        before = int(last_of_token(request.page_token, list_key(request)) or 0)
        return Where(
            request.filter,
            table,
            now_us=self._now_us(),
            namespace=namespace,
            before=before,
            after=after,
        )


def _position(after: int) -> int:
    return min(max(0, after), SEQUENCE_MAX)


def _page_size(request: Any) -> int:
    return min(request.page_size or limits.PAGE_DEFAULT, limits.PAGE_MAX)


def _token(request: Any, found: Any, count: int) -> str:
    return page_token(list_key(request), str(found[-1].position)) if len(found) == count else ""


def _without_internals(fields: str) -> str:
    """Return the fields without the traceback, which is for operators."""
    values = msgspec.json.decode(fields)
    values.pop("exception", None)
    return msgspec.json.encode(values).decode()
