"""`observe dashboards list|get|apply|remove|import`: saved dashboards."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowmesh.api.observe.v1 import dashboard_service_pb2 as pb
from flowmesh.api.observe.v1.dashboard_service_pb2_grpc import DashboardServiceStub
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import age_of, document_of
from flowmesh.cli.arguments import Flag
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.refusals import Refused
from flowmesh.contract.nouns import counted

if TYPE_CHECKING:
    from flowmesh.sdk import Client

DashboardName = Annotated[str, Parameter(help="Name of the dashboard.")]


@command
async def list_dashboards(*, common: Common = COMMON) -> None:
    """List the saved dashboards by name."""
    async with connected(common) as client:
        request = pb.ListDashboardsRequest(namespace=client.namespace)
        answer = await client.caller.call(_stub(client).ListDashboards, request)
    output.table(
        answer.dashboards,
        document_of,
        "NAME TITLE PANELS=panel_count UPDATED",
        none="No saved dashboards.",
        UPDATED=lambda each: age_of(each.updated_at_us),
    )


@command
async def get_dashboard(name: DashboardName, /, *, common: Common = COMMON) -> None:
    """Print the document of a dashboard, as it was saved."""
    async with connected(common) as client:
        request = pb.GetDashboardRequest(namespace=client.namespace, name=name)
        found = await client.caller.call(_stub(client).GetDashboard, request)
    output.source(document_of(found), found.document)


@command
async def apply_dashboards(
    files: Annotated[
        list[Path],
        Parameter(
            help="YAML or JSON files, each with one dashboard; - is standard input.",
            allow_leading_hyphen=True,
        ),
    ],
    /,
    *,
    common: Common = COMMON,
) -> None:
    """Save the dashboards of files, each in place of the one with its name."""
    sources = [_read(each) for each in files]
    async with connected(common) as client:
        saved = [await _put(client, each) for each in sources]
    text = ", ".join(f"{each.name} ({counted(len(each.panels), 'panel')})" for each in saved)
    output.result({"saved": [document_of(each) for each in saved]}, f"saved: {text}")


@command
async def remove_dashboard(name: DashboardName, /, *, common: Common = COMMON) -> None:
    """Delete a dashboard."""
    async with connected(common) as client:
        request = pb.DeleteDashboardRequest(namespace=client.namespace, name=name)
        await client.caller.call(_stub(client).DeleteDashboard, request)
    output.result({"name": name, "deleted": True}, f"the dashboard {name} is deleted")


@command
async def import_dashboard(
    file: Annotated[
        Path,
        Parameter(
            help="JSON of a dashboard of Grafana; - is standard input.", allow_leading_hyphen=True
        ),
    ],
    /,
    *,
    name: str = "",
    partial: Flag = False,
    common: Common = COMMON,
) -> None:
    """Save a dashboard of Grafana whose panels name kept series.

    A panel maps if its expressions are sum by, rate, increase or histogram_quantile of one
    metric. The others are listed with the reason, and then nothing is saved without --partial.

    Args:
        name: Name of the dashboard; by default its uid.
        partial: Save the panels that map.
    """
    from flowmesh.dashboards.grafana import imported
    from flowmesh.definitions.exports import write_yaml

    found = imported(_read(file), name)
    for each in found.left:
        output.problem(f"not mapped: {each.title}: {each.reason}")
    if found.left and not partial:
        count = f"{len(found.left)} of {len(found.left) + len(found.document['panels'])} panels"
        raise Refused(f"{count} do not map; nothing is saved", "--partial saves the others")
    async with connected(common) as client:
        saved = await _put(client, write_yaml([found.document]).encode())
    left = [{"title": each.title, "reason": each.reason} for each in found.left]
    output.result(
        {"saved": document_of(saved), "notMapped": left},
        f"saved: {saved.name} ({counted(len(saved.panels), 'panel')}, {len(left)} not mapped)",
    )


def _read(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}", code=exit_codes.USAGE) from None


async def _put(client: "Client", source: bytes) -> pb.Dashboard:
    request = pb.PutDashboardRequest(namespace=client.namespace, source=source)
    dashboard: pb.Dashboard = (
        await client.caller.call(_stub(client).PutDashboard, request)
    ).dashboard
    return dashboard


def _stub(client: "Client") -> Any:
    return DashboardServiceStub(client.caller.channel)
