"""`audit evidence`: the files that an auditor asks for."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowmesh.api.identity.v1 import audit_service_pb2 as pb
from flowmesh.api.identity.v1.audit_service_pb2_grpc import AuditServiceStub
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.levels import Tenants
from flowmesh.cli.arguments import CompanyOption
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import Client

EXPORT_S = 600.0


@command
async def export(
    *,
    to: Path,
    company: CompanyOption = "",
    installation: bool = False,
    common: Common = COMMON,
) -> int:
    """Write controls, the audit log with its proof, the review of access, retention, versions, the
    bill of materials and the report of the last backup drill into a new folder.

    Args:
        to: The folder, which must not exist.
        installation: Export the evidence of all companies, with the log of users and logins.
    """
    _create(to)
    async with connected(common) as client:
        id = "" if installation else (await Tenants(client).company(company)).id
        request = pb.ExportEvidenceRequest(company_id=id)
        names = await client.caller.retried(lambda: _export(client, request, to), total_s=0)
        output.result({"folder": str(to), "files": names}, f"wrote {len(names)} files to {to}")
        return exit_codes.DONE


async def _export(client: "Client", request: pb.ExportEvidenceRequest, to: Path) -> list[str]:
    """Write the files; return their names."""
    stub: Any = AuditServiceStub(client.caller.channel)
    names: dict[str, None] = {}
    async for part in stub.ExportEvidence(request, timeout=EXPORT_S):
        _append(to, part)
        names[part.name] = None
    return list(names)


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, mode=0o700)
    except OSError as error:
        text = f"cannot create {folder}: {error.strerror}"
        raise Refused(text, "name a new folder", exit_codes.USAGE) from error


def _append(folder: Path, part: pb.ExportEvidenceResponse) -> None:
    # The service chooses the name; it does not lead out of the folder.
    with (folder / Path(part.name).name).open("ab") as file:
        file.write(part.content)
