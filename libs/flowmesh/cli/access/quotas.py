"""`quota` and `usage`: upper bounds of a project and their use."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowmesh.api.identity.v1 import quota_service_pb2 as pb
from flowmesh.api.identity.v1.quota_service_pb2_grpc import QuotaServiceStub
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.access.levels import Tenants
from flowmesh.cli.arguments import ProjectOption
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.records import moment

if TYPE_CHECKING:
    from flowmesh.sdk import Client

UNCHANGED = -1


@Parameter(name="*")
@dataclass(frozen=True)
class Bounds:
    """Upper bounds; 0 is unlimited, and one that is not given is unchanged."""

    starts_per_second: Annotated[int, Parameter(help="Executions that start per second.")] = (
        UNCHANGED
    )
    running_executions: Annotated[int, Parameter(help="Executions at once.")] = UNCHANGED
    executions_per_day: Annotated[int, Parameter(help="Executions per day, in UTC.")] = UNCHANGED
    definitions: Annotated[int, Parameter(help="Workflows.")] = UNCHANGED
    file_bytes: Annotated[int, Parameter(help="Bytes of workspace files.")] = UNCHANGED
    api_keys: Annotated[int, Parameter(help="API keys.")] = UNCHANGED


BOUNDS = Bounds()


@command
async def show_quota(*, project: ProjectOption = "", common: Common = COMMON) -> int:
    """Show the quota of a project and its use."""
    async with connected(common) as client:
        project_id = (await Tenants(client).project(project)).id
        return _shown(common, await _found(client, project_id))


@command
async def set_quota(
    *, bounds: Bounds = BOUNDS, project: ProjectOption = "", common: Common = COMMON
) -> int:
    """Set the quota of a project; it applies within seconds."""
    async with connected(common) as client:
        project_id = (await Tenants(client).project(project)).id
        quota = (await _found(client, project_id)).quota
        for field in fields(bounds):
            value = getattr(bounds, field.name)
            if value != UNCHANGED:
                setattr(quota, field.name, value)
        request = pb.SetQuotaRequest(project_id=project_id, quota=quota)
        await client.caller.call(_stub(client).SetQuota, request)
        return _shown(common, await _found(client, project_id))


@command
async def usage(*, hours: int = 24, project: ProjectOption = "", common: Common = COMMON) -> None:
    """Show the executions of a project per hour of their start, newest first.

    Args:
        hours: Number of hours, at most 720.
    """
    async with connected(common) as client:
        chosen = await Tenants(client).project(project)
        request = pb.GetUsageRequest(project_id=chosen.id, hours=hours)
        found = (await client.caller.call(_stub(client).GetUsage, request)).usage
        output.table(
            found,
            lambda each: (
                {"hour": output.iso(moment(each.hour_us))}
                | output.members(each, "started completed failed")
            ),
            "HOUR STARTED COMPLETED FAILED",
            none=f"No execution of project {chosen.slug} has started in {hours} hours.",
            HOUR=lambda each: output.iso(moment(each.hour_us)) or "-",
            STARTED=lambda each: f"{each.started:,}",
            COMPLETED=lambda each: f"{each.completed:,}",
            FAILED=lambda each: f"{each.failed:,}",
        )


def _stub(client: "Client") -> Any:
    return QuotaServiceStub(client.caller.channel)


async def _found(client: "Client", project_id: str) -> pb.GetQuotaResponse:
    request = pb.GetQuotaRequest(project_id=project_id)
    found: pb.GetQuotaResponse = await client.caller.call(_stub(client).GetQuota, request)
    return found


def _shown(common: Common, found: pb.GetQuotaResponse) -> int:
    if common.structured:
        names = ("quota", "used", "ceiling")
        output.document({name: document_of(getattr(found, name)) for name in names})
        return exit_codes.DONE
    rows = []
    for field in fields(Bounds):
        limits = (getattr(each, field.name) for each in (found.quota, found.ceiling))
        shown = (f"{limit:,}" if limit else "unlimited" for limit in limits)
        used = f"{getattr(found.used, field.name):,}"
        rows.append((field.name.replace("_", " "), used, *shown))
    output.columns(("", "USED", "QUOTA", "CEILING"), rows)
    return exit_codes.DONE
