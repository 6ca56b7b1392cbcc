"""The way of committed changes from a service to the audit log."""

from typing import Any, Protocol

from flowmesh.api.identity.v1.audit_service_pb2 import RecordAuditRequest, RecordAuditResponse
from flowmesh.api.identity.v1.audit_service_pb2_grpc import AuditServiceStub
from flowmesh.audit.loop import OutboxLoop
from flowmesh.audit.outbox import AuditOutbox
from flowmesh.audit.records import records_of
from flowmesh.runtime import Runtime

ROWS = 200
RECORDS_MAX = 1_000


class AuditCalls(Protocol):
    """The used calls of AuditService."""

    async def RecordAudit(self, request: RecordAuditRequest) -> RecordAuditResponse: ...


class AuditRelay(OutboxLoop):
    """Sends the rows of an outbox and deletes them once they are recorded.

    A row that is sent again after a crash is recorded once, because each record has its source.
    """

    def __init__(self, *, outbox: AuditOutbox, audit: Any) -> None:
        super().__init__()
        self._outbox = outbox
        self._audit: AuditCalls = audit

    async def run_once(self) -> int:
        """Empty the outbox. Return the number of recorded changes."""
        count = 0
        while rows := await self._outbox.oldest(ROWS):
            records = records_of(rows)
            for start in range(0, len(records), RECORDS_MAX):
                part = records[start : start + RECORDS_MAX]
                await self._audit.RecordAudit(RecordAuditRequest(records=part))
            await self._outbox.delete([row.id for row in rows])
            count += len(records)
        return count


def audit_relay(runtime: Runtime, pool: Any) -> AuditRelay:
    """Relay the changes of a schema while the process serves."""
    relay = AuditRelay(outbox=AuditOutbox(pool), audit=runtime.stub(AuditServiceStub, "identity"))
    runtime.add_loop(relay)
    return relay
