"""`audit`: the log of changes and refusals, its check and its export."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from flowmesh.api.identity.v1 import audit_service_pb2 as pb
from flowmesh.api.identity.v1.audit_service_pb2_grpc import AuditServiceStub
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.access.levels import Tenants, pages
from flowmesh.cli.arguments import CompanyOption, ListLimit
from flowmesh.cli.common import COMMON, Common, collect, command, connected
from flowmesh.contract.nouns import counted

if TYPE_CHECKING:
    from flowmesh.sdk import Client

EXPORT_S = 600.0
LIMIT = 100
PAGE = 1_000


@command
async def search(
    *,
    company: CompanyOption = "",
    installation: bool = False,
    actor: str = "",
    method: str = "",
    target: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    limit: ListLimit = LIMIT,
    common: Common = COMMON,
) -> None:
    """Show entries of the audit log, newest first.

    Args:
        installation: Show users, logins and refusals without a company instead.
        actor: Name of a caller.
        method: Method, such as DefinitionService.Apply.
        target: Part of the target.
        since: Not before this time.
        until: Before this time.
    """
    async with connected(common) as client:
        request = pb.SearchAuditRequest(
            company_id=await _company(client, company, installation),
            by_actor=actor,
            method=method,
            target=target,
            from_us=_us(since),
            until_us=_us(until),
            page_size=min(limit or PAGE, PAGE),
        )
        entries = pages(client, _stub(client).SearchAudit, request, "entries")
        found = await collect(entries, limit)
        output.table(
            found,
            _document,
            "ENTRY=sequence TIME CALLER=actor METHOD TARGET OUTCOME",
            none="There are no such entries.",
            TIME=lambda each: output.moment(_moment(each.at_us)),
            TARGET=lambda each: _short(each.target),
        )


@command
async def verify(
    *, company: CompanyOption = "", installation: bool = False, common: Common = COMMON
) -> int:
    """Check the chain of hashes; fail with the first entry that does not fit.

    Args:
        installation: Check the chain of users, logins and refusals without a company instead.
    """
    async with connected(common) as client:
        request = pb.VerifyAuditRequest(company_id=await _company(client, company, installation))
        found = await client.caller.call(_stub(client).VerifyAudit, request, timeout_s=EXPORT_S)
        checked = counted(found.entries, "entry")
        text = f"intact: {checked}; the last hash is {found.head_hash}"
        output.result(document_of(found), text if found.intact else found.problem)
        return exit_codes.DONE if found.intact else exit_codes.FAILED


@command
async def export(
    *, company: CompanyOption = "", installation: bool = False, common: Common = COMMON
) -> None:
    """Write all entries as JSON lines, oldest first, and the signed head in the last line.

    Args:
        installation: Write the chain of users, logins and refusals without a company instead.
    """
    async with connected(common) as client:
        request = pb.ExportAuditRequest(company_id=await _company(client, company, installation))
        await client.caller.retried(lambda: _export(client, request), total_s=0)


async def _export(client: "Client", request: pb.ExportAuditRequest) -> None:
    async for part in _stub(client).ExportAudit(request, timeout=EXPORT_S):
        for each in part.entries:
            output.line(output.compact(_document(each)))
        if part.HasField("head"):
            output.line(output.compact({"head": document_of(part.head)}))


async def _company(client: "Client", name: str, installation: bool) -> str:
    return "" if installation else (await Tenants(client).company(name)).id


def _stub(client: "Client") -> Any:
    return AuditServiceStub(client.caller.channel)


def _document(entry: pb.AuditEntry) -> dict[str, Any]:
    details = orjson.loads(entry.details) if entry.details else None
    return document_of(entry) | {"details": details}


def _moment(us: int) -> datetime | None:
    from flowmesh.records import moment

    return moment(us)


def _us(at: datetime | None) -> int:
    return int(at.timestamp() * 1_000_000) if at is not None else 0


def _short(target: str) -> str:
    """Return the first of several targets, and the number of the others."""
    first, *others = target.split(" ")
    return f"{first} and {len(others)} more" if others else target
