"""The audit log: entries of a company, the check of their chain, and an export."""

from codecs import getincrementaldecoder
from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from flowmesh.api.identity.v1 import audit_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies.answers import Answer as Value
from flowmesh.gateway.bodies.answers import Instant
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Operation, Route
from flowmesh.gateway.http.parameters import INSTANT, OPTIONAL_ID, Query
from flowmesh.gateway.http.requests import Request, Response, StreamResponse
from flowmesh.gateway.routes.common import PAGING, json_response
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.records import Source, reader

LINES = "application/x-ndjson"
EXPORT_S = 600.0
_COMPANY = Query("companyId", "The company; the chain of the installation without it.", OPTIONAL_ID)


def _details(text: str) -> Any:
    return msgspec.Raw(text.encode()) if text else None


class AuditEntryValue(Value, kw_only=True):
    """A change or a refusal. `before` and `after` are digests of the object."""

    sequence: int
    at: Instant
    actor: str
    method: str
    scope: str
    target: str
    outcome: str
    before: str
    after: str
    details: Annotated[Any, Source(read=_details)]
    address: str
    source: str
    hash: str


class AuditEntryList(Value, kw_only=True):
    """Entries, newest first."""

    entries: list[AuditEntryValue]
    next_page_token: str | UnsetType = UNSET


class AuditVerification(Value, kw_only=True):
    """The check of a chain; `brokenSequence` is the first entry that does not fit."""

    entries: int
    intact: bool
    broken_sequence: int | UnsetType = UNSET
    problem: str | UnsetType = UNSET
    head_hash: str


async def verify_audit(backends: Backends, request: Request) -> Response:
    found = await backends.audit.VerifyAudit(
        pb.VerifyAuditRequest(company_id=request.text("companyId")), timeout=EXPORT_S
    )
    return json_response(_verification(found))


async def export_audit(backends: Backends, request: Request) -> StreamResponse:
    call = backends.audit.ExportAudit(
        pb.ExportAuditRequest(company_id=request.text("companyId")), timeout=EXPORT_S
    )
    parts = aiter(call)
    # A refusal is an answer, not the end of a stream.
    first = await anext(parts, pb.ExportAuditResponse())
    return StreamResponse(_lines(call, first, parts), LINES)


class EvidencePart(Value, kw_only=True):
    """A part of a file; parts of one file follow each other."""

    name: str
    content: str


async def export_evidence(backends: Backends, request: Request) -> StreamResponse:
    call = backends.audit.ExportEvidence(
        pb.ExportEvidenceRequest(company_id=request.text("companyId")), timeout=EXPORT_S
    )
    parts = aiter(call)
    first = await anext(parts, pb.ExportEvidenceResponse())
    return StreamResponse(_files(call, first, parts), LINES)


async def _files(
    call: Any, first: pb.ExportEvidenceResponse, parts: Any
) -> AsyncGenerator[bytes, None]:
    # A character may be cut between two parts.
    decode = getincrementaldecoder("utf-8")().decode
    try:
        yield _file(first, decode)
        async for part in parts:
            yield _file(part, decode)
    finally:
        call.cancel()


def _file(part: pb.ExportEvidenceResponse, decode: Callable[[bytes], str]) -> bytes:
    value = EvidencePart(name=part.name, content=decode(part.content))
    return msgspec.json.encode(value) + b"\n"


async def _lines(
    call: Any, first: pb.ExportAuditResponse, parts: Any
) -> AsyncGenerator[bytes, None]:
    try:
        yield _part(first)
        async for part in parts:
            yield _part(part)
    finally:
        call.cancel()


def _part(part: pb.ExportAuditResponse) -> bytes:
    lines = [msgspec.json.encode(_entry(each)) for each in part.entries]
    if part.HasField("head"):
        head = part.head
        lines.append(
            msgspec.json.encode(
                {
                    "head": {
                        "companyId": head.company_id,
                        "sequence": head.sequence,
                        "hash": head.hash,
                        "signedAtUs": head.signed_at_us,
                        "signature": head.signature,
                        "publicKey": head.public_key,
                    }
                }
            )
        )
    return b"".join(line + b"\n" for line in lines)


_entry = reader(AuditEntryValue, pb.AuditEntry)
_verification = reader(AuditVerification, pb.VerifyAuditResponse)

ROUTES = (
    rpc_route(
        "GET",
        "/api/v1/audit",
        pb.SearchAuditRequest,
        names={"actor": "by_actor"},
        tag=ADMINISTER,
        summary="Search the audit log of a company",
        query=(
            _COMPANY,
            Query("actor", "The name of a caller."),
            Query("method", "A method, such as `DefinitionService.Apply`."),
            Query("target", "A part of the target."),
            Query("from", "Not before this time.", INSTANT),
            Query("until", "Before this time.", INSTANT),
            *PAGING,
        ),
        answers=(Answer(200, "Entries, newest first.", AuditEntryList),),
        errors=(404,),
    ),
    Route(
        "GET",
        "/api/v1/audit:verify",
        verify_audit,
        Operation(
            tag=ADMINISTER,
            summary="Check the chain of a company's audit log",
            query=(_COMPANY,),
            answers=(Answer(200, "The first bad entry, if any.", AuditVerification),),
            errors=(404,),
        ),
    ),
    Route(
        "GET",
        "/api/v1/audit:export",
        export_audit,
        Operation(
            tag=ADMINISTER,
            summary="Export the audit log of a company",
            description="One entry per line, oldest first, and the signed head in the last line.",
            query=(_COMPANY,),
            answers=(Answer(200, "JSON lines.", AuditEntryValue, media_type=LINES),),
            errors=(404,),
        ),
    ),
    Route(
        "GET",
        "/api/v1/evidence:export",
        export_evidence,
        Operation(
            tag=ADMINISTER,
            summary="Export the evidence for an audit of a company",
            description="Files in parts, one per line: controls, the audit log with its proof, the"
            " review of access, retention, versions, the bill of materials, and the last line the"
            " manifest with the digests.",
            query=(_COMPANY,),
            answers=(Answer(200, "JSON lines.", EvidencePart, media_type=LINES),),
            errors=(404,),
        ),
    ),
)
