"""Translates AuditService messages."""

from collections.abc import AsyncIterator
from typing import Any

from flowmesh.api.identity.v1 import audit_service_pb2 as pb
from flowmesh.api.identity.v1 import audit_service_pb2_grpc
from flowmesh.identity.api.messages import page_size
from flowmesh.identity.auditing.appending import AuditAppender
from flowmesh.identity.auditing.log import AuditLog
from flowmesh.identity.evidence.bundle import Evidence
from flowmesh.identity.limits import AUDIT_SEQUENCE_LAST, FILE_PIECE_BYTES
from flowmesh.identity.storage.audit import AuditEntry, AuditFilter, AuditHead
from flowmesh.records import message_of
from flowmesh.rpc.pages import invalid_page_token, last_of_token, list_key, page_token


class AuditServer(audit_service_pb2_grpc.AuditServiceServicer):
    """The audit log."""

    def __init__(self, log: AuditLog, appender: AuditAppender, evidence: Evidence) -> None:
        self._log = log
        self._appender = appender
        self._evidence = evidence

    async def SearchAudit(
        self, request: pb.SearchAuditRequest, context: Any
    ) -> pb.SearchAuditResponse:
        count = page_size(request.page_size)
        before = _sequence(last_of_token(request.page_token, list_key(request)))
        wanted = AuditFilter(
            company=request.company_id,
            actor=request.by_actor,
            method=request.method,
            target=request.target,
            from_us=request.from_us,
            until_us=request.until_us,
        )
        found = await self._log.search(wanted, before, count + 1)
        token = ""
        if len(found) > count:
            token = page_token(list_key(request), str(found[count - 1].sequence))
        return pb.SearchAuditResponse(
            entries=[_message(each) for each in found[:count]], next_page_token=token
        )

    async def VerifyAudit(
        self, request: pb.VerifyAuditRequest, context: Any
    ) -> pb.VerifyAuditResponse:
        check = await self._log.verify(request.company_id)
        return message_of(
            pb.VerifyAuditResponse, check, intact=not check.problem, head_hash=check.last_hash.hex()
        )

    async def ExportAudit(
        self, request: pb.ExportAuditRequest, context: Any
    ) -> AsyncIterator[pb.ExportAuditResponse]:
        async for part in self._log.export(request.company_id):
            if isinstance(part, AuditHead):
                yield pb.ExportAuditResponse(head=self._head(part))
            else:
                yield pb.ExportAuditResponse(entries=[_message(each) for each in part])

    async def ExportEvidence(
        self, request: pb.ExportEvidenceRequest, context: Any
    ) -> AsyncIterator[pb.ExportEvidenceResponse]:
        async for name, content in self._evidence.export(request.company_id):
            for start in range(0, len(content), FILE_PIECE_BYTES):
                piece = content[start : start + FILE_PIECE_BYTES]
                yield pb.ExportEvidenceResponse(name=name, content=piece)

    async def RecordAudit(
        self, request: pb.RecordAuditRequest, context: Any
    ) -> pb.RecordAuditResponse:
        await self._appender.record(list(request.records))
        return pb.RecordAuditResponse()

    def _head(self, head: AuditHead) -> pb.AuditHead:
        return pb.AuditHead(
            company_id=head.company,
            sequence=head.sequence,
            hash=head.hash.hex(),
            signed_at_us=head.signed_at_us,
            signature=head.signature.hex(),
            public_key=self._log.public_key().hex(),
        )


def _sequence(last: str) -> int:
    """Return the sequence that a page begins below."""
    if not last:
        return AUDIT_SEQUENCE_LAST
    if not last.isdecimal() or int(last) > AUDIT_SEQUENCE_LAST:
        raise invalid_page_token()
    return int(last)


def _message(entry: AuditEntry) -> pb.AuditEntry:
    return message_of(pb.AuditEntry, entry, hash=entry.hash.hex())
