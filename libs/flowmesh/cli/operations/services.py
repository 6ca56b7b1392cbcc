"""`services`: instances in the registry."""

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from flowmesh.cli import output
from flowmesh.cli.common import COMMON, Common, command, connected

if TYPE_CHECKING:
    pass

HEADER = ("NAME", "ID", "STATUS", "ENDPOINT", "HEARTBEAT", "VERSION", "TYPE", "CAPABILITIES")
ONLY_WIDE = frozenset({"TYPE", "CAPABILITIES"})
StatusWord = Literal["HEALTHY", "DEGRADED", "UNHEALTHY", "OFFLINE"]


@command
async def services(
    *,
    name: str = "",
    type: str = "",
    capability: str = "",
    status: Annotated[list[StatusWord] | None, Parameter(negative="")] = None,
    common: Common = COMMON,
) -> None:
    """List the service instances of the registry and their health.

    Args:
        name: Only instances of this service.
        type: Only instances of this type.
        capability: Only instances with this capability.
        status: Only instances with this status; can be repeated.
    """
    async with connected(common) as client:
        found = [
            instance
            async for instance in client.services(
                name=name, type=type, capability=capability, statuses=status or ()
            )
        ]
        if common.structured:
            output.document(
                [
                    output.members(
                        instance, "id name type status endpoint capabilities heartbeat_at version"
                    )
                    for instance in found
                ]
            )
            return
        rows = [
            (
                each.name,
                each.id,
                each.status,
                each.endpoint or "-",
                output.age(each.heartbeat_at),
                each.version or "-",
                each.type,
                " ".join(map(_short, each.capabilities)) or "-",
            )
            for each in found
        ]
        none = (
            "No such service is registered in this namespace; those of the suite are shown to its"
            " operators."
        )
        output.columns(HEADER, rows, none=none, only_wide=ONLY_WIDE)


def _short(capability: str) -> str:
    """Return the capability; for a gRPC service of the suite without its package."""
    return capability.rpartition(".")[2] if capability.startswith("flowmesh.api.") else capability
