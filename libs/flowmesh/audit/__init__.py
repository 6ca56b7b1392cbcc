"""Committed changes of a service on their way to the audit log.

Triggers of the database write each change into the table `audit_outbox` of the service, in the
transaction of the change. A loop sends the rows to the identity service and deletes them.
"""

from flowmesh.audit.loop import OutboxLoop
from flowmesh.audit.outbox import AuditOutbox, OutboxRow
from flowmesh.audit.records import records_of
from flowmesh.audit.relay import AuditRelay, audit_relay

__all__ = ["AuditOutbox", "AuditRelay", "OutboxLoop", "OutboxRow", "audit_relay", "records_of"]
