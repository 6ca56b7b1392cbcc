"""`meter`: metered use of a namespace per hour, and its export."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from flowmesh.api.execution.v1 import meter_service_pb2 as pb
from flowmesh.api.execution.v1.meter_service_pb2_grpc import MeterServiceStub
from flowmesh.cli import output
from flowmesh.cli.access.levels import pages
from flowmesh.cli.arguments import ListLimit
from flowmesh.cli.common import COMMON, Common, collect, command, connected
from flowmesh.records import moment
from flowmesh.views import instant
from flowmesh.views.meters import METERS, csv_head, csv_line, open_metrics, summed

if TYPE_CHECKING:
    from flowmesh.sdk import Client

LIMIT = 24
PAGE = 1_000


@command
async def list_meters(
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: ListLimit = LIMIT,
    common: Common = COMMON,
) -> None:
    """Show the metered use of the namespace per hour, newest first.

    Args:
        since: Not before this hour; by default the begin of the month in UTC.
        until: Before this time.
    """
    async with connected(common) as client:
        found = await collect(_hours(client, since, until), limit)
        output.table(
            found,
            lambda each: {"hour": output.iso(moment(each.hour_us)), **_amounts(each.used)},
            "HOUR EXECUTIONS TASKS TOKENS BYTES AGENT_SECONDS",
            none="Nothing was metered.",
            HOUR=lambda each: output.iso(moment(each.hour_us)) or "-",
            EXECUTIONS=lambda each: f"{each.used.executions:,}",
            TASKS=lambda each: f"{each.used.tasks:,}",
            TOKENS=lambda each: f"{each.used.tokens:,}",
            BYTES=lambda each: f"{each.used.bytes:,}",
            AGENT_SECONDS=lambda each: f"{each.used.agent_seconds:,}",
        )


@command
async def export_meters(
    *,
    format: Literal["csv", "openmetrics"] = "csv",
    since: datetime | None = None,
    until: datetime | None = None,
    common: Common = COMMON,
) -> None:
    """Write the metered use of the namespace to standard output.

    Args:
        format: Hours as CSV, newest first, or their sum as OpenMetrics.
        since: Not before this hour; by default the begin of the month in UTC.
        until: Before this time.
    """
    async with connected(common) as client:
        found = await collect(_hours(client, since, until), 0)
        if format == "openmetrics":
            output.block(open_metrics(client.namespace, summed(found)).rstrip("\n"))
            return
        lines = (csv_line(instant(each.hour_us), each.used) for each in found)
        output.block("".join((csv_head(), *lines)).replace("\r\n", "\n").rstrip("\n"))


def _hours(
    client: "Client", since: datetime | None, until: datetime | None
) -> AsyncIterator[pb.MeteredHour]:
    request = pb.ListMetersRequest(
        namespace=client.namespace, from_us=_us(since), to_us=_us(until), page_size=PAGE
    )
    stub = MeterServiceStub(client.caller.channel)
    return pages(client, stub.ListMeters, request, "hours")


def _amounts(used: pb.Metered) -> dict[str, int]:
    return {output.camel(name): getattr(used, name) for name in METERS}


def _us(at: datetime | None) -> int:
    return int(at.timestamp() * 1_000_000) if at else 0
