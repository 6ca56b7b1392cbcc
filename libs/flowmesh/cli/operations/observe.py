"""`observe series|logs|calls`: signals that the suite keeps of itself."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.api.observe.v1.observe_service_pb2_grpc import ObserveServiceStub
from flowmesh.cli import output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.arguments import Flag, Texts
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.records import moment

if TYPE_CHECKING:
    from flowmesh.sdk import Client

PAGE_MAX: Final = 1_000
FOLLOW_S: Final = 1.0
MINUTE_US: Final = 60_000_000
Services = Annotated[bool, Parameter(negative="", help="Those of all services, for operators.")]
RecordFilter = Annotated[
    str, Parameter(help='Filter such as `level = error AND text ~ "refused"`; docs/observe.md.')
]
Count = Annotated[int, Parameter(help="Maximum length of the list.")]


@command
async def series(
    metric: Annotated[str, Parameter(help="Name of the metric, as in /metrics.")],
    /,
    *,
    minutes: int = 60,
    by: str = "",
    where: Texts = None,
    quantile: float = 0,
    common: Common = COMMON,
) -> None:
    """Show a metric of the services over time, for operators.

    Args:
        minutes: Length of the time up to now.
        by: Label that makes series; `process` is the service of a process.
        where: Condition on a label, such as code!=OK; can be repeated.
        quantile: Quantile of a histogram, such as 0.95.
    """
    async with connected(common) as client:
        now_us = int(output.now().timestamp() * 1_000_000)
        request = pb.ListSeriesRequest(
            metric=metric,
            from_us=now_us - minutes * MINUTE_US,
            until_us=now_us,
            group_by=by,
            where=where or (),
            quantile=quantile,
        )
        found = await client.caller.call(_stub(client).ListSeries, request)
    if common.structured:
        output.document(document_of(found))
        return
    rows = [
        (output.clock(moment(point.at_us)), each.group or "-", f"{point.value:g}")
        for each in found.series
        for point in each.points
    ]
    output.columns(("TIME", by.upper() or "SERIES", "VALUE"), rows, none="No values found.")


@command
async def logs(
    *,
    filter: RecordFilter = "",
    service: str = "",
    services: Services = False,
    follow: Flag = False,
    limit: Count = 100,
    common: Common = COMMON,
) -> None:
    """List log records about the namespace, the newest last.

    Args:
        service: Only those of this service.
        follow: Wait for further records.
    """
    text = _both(filter, f'service = "{service}"' if service else "")
    async with connected(common) as client:
        answer = await _logs(client, services, filter=text, page_size=min(limit, PAGE_MAX))
        if answer.not_kept_since_us:
            since = output.clock(moment(answer.not_kept_since_us))
            output.warning(f"signals are not kept since {since}: their store refuses them")
        found = list(answer.logs[::-1])
        output.listing(
            found, log_document, lambda each: output.line(log_line(each)), none="No records."
        )
        while follow:
            await asyncio.sleep(FOLLOW_S)
            after = found[-1].position if found else 1
            new = (await _logs(client, services, filter=text, page_size=PAGE_MAX, after=after)).logs
            for each in new:
                if common.structured:
                    output.stream_document(log_document(each))
                else:
                    output.line(log_line(each))
            found = list(new) or found


@command
async def calls(
    *,
    filter: RecordFilter = "",
    services: Services = False,
    limit: Count = 100,
    common: Common = COMMON,
) -> None:
    """List slow and failed calls of the namespace, the newest first."""
    async with connected(common) as client:
        page = min(limit, PAGE_MAX)
        if services:
            request = pb.ListServiceCallsRequest(filter=filter, page_size=page)
            answer = await client.caller.call(_stub(client).ListServiceCalls, request)
        else:
            own = pb.ListCallsRequest(namespace=client.namespace, filter=filter, page_size=page)
            answer = await client.caller.call(_stub(client).ListCalls, own)
    output.table(
        answer.calls,
        document_of,
        "AT=at_us CALL CODE DURATION EXECUTION=execution_id? TRACE=trace_id?",
        none="No slow or failed calls.",
        CALL=lambda each: f"{each.service}.{each.method}",
        DURATION=lambda each: output.duration(each.duration_ms),
    )


async def _logs(
    client: "Client", services: bool, **asked: Any
) -> pb.ListLogsResponse | pb.ListServiceLogsResponse:
    stub = _stub(client)
    if services:
        request = pb.ListServiceLogsRequest(**asked)
        return await client.caller.call(stub.ListServiceLogs, request)
    own = pb.ListLogsRequest(namespace=client.namespace, **asked)
    return await client.caller.call(stub.ListLogs, own)


def log_document(record: pb.LogRecord) -> dict[str, Any]:
    return {**document_of(record), "fields": msgspec.json.decode(record.fields or "{}")}


def log_line(record: pb.LogRecord) -> str:
    about = [each for each in (record.execution_id, record.trace_id) if each]
    parts: Sequence[str] = (
        output.clock(moment(record.at_us)),
        record.level,
        record.service,
        record.event,
        *about,
        record.fields if record.fields != "{}" else "",
    )
    return output.visible(" ".join(each for each in parts if each))


def _both(*filters: str) -> str:
    return " AND ".join(f"({each})" for each in filters if each)


def _stub(client: "Client") -> Any:
    return ObserveServiceStub(client.caller.channel)
