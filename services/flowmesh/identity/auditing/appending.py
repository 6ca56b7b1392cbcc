"""Appends to the chains of the audit log."""

from collections.abc import Iterable, Sized

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flowmesh.api.identity.v1.audit_service_pb2 import AuditRecord
from flowmesh.audit import OutboxLoop, records_of
from flowmesh.errors import Invalid
from flowmesh.identity.auditing.chain import BEGINNING, linked, signed
from flowmesh.identity.limits import AUDIT_RECORDS_MAX
from flowmesh.identity.storage.audit import AuditEntry, AuditStore
from flowmesh.runtime import Clock


class AuditAppender:
    """Adds records to the chains of their companies, and signs their ends."""

    def __init__(self, *, store: AuditStore, key: Ed25519PrivateKey, clock: Clock) -> None:
        self._store = store
        self._key = key
        self._clock = clock

    async def record(self, records: list[AuditRecord]) -> None:
        """Append the changes of another service; known ones are left out."""
        check_records(records)
        async with self._store.appending() as store:
            await self._append(store, records)

    async def take_own(self) -> int:
        """Append the changes of this service; return their number."""
        async with self._store.appending() as store:
            rows = await store.outbox.oldest(AUDIT_RECORDS_MAX)
            if rows:
                await self._append(store, records_of(rows))
                await store.outbox.delete([row.id for row in rows])
            return len(rows)

    async def _append(self, store: AuditStore, records: list[AuditRecord]) -> None:
        known = await store.known([each.source for each in records])
        new = {each.source: each for each in records if each.source not in known}
        companies = await store.companies(
            list({each.namespace for each in new.values() if each.namespace})
        )
        by_company: dict[str, list[AuditRecord]] = {}
        for each in new.values():
            company = companies.get(each.namespace, "") if each.namespace else each.company_id
            by_company.setdefault(company, []).append(each)
        for company, found in by_company.items():
            await self._extend(store, company, found)

    async def _extend(
        self, store: AuditStore, company: str, records: Iterable[AuditRecord]
    ) -> None:
        head = await store.head(company)
        sequence, previous = (head.sequence, head.hash) if head else (0, BEGINNING)
        entries = []
        for record in records:
            sequence += 1
            entry = linked(_entry(record, sequence), company, previous)
            previous = entry.hash
            entries.append(entry)
        await store.insert(company, entries)
        await store.set_head(signed(company, entries[-1], self._clock.now_us(), self._key))


class AuditLoop(OutboxLoop):
    """Appends the changes of this service to the chains."""

    def __init__(self, appender: AuditAppender) -> None:
        super().__init__()
        self._appender = appender

    async def run_once(self) -> int:
        """Empty the outbox; return the number of its rows."""
        count = 0
        while taken := await self._appender.take_own():
            count += taken
        return count


def check_records(records: Sized) -> None:
    """Raise Invalid for more records than a call may have."""
    if len(records) > AUDIT_RECORDS_MAX:
        text = f"a call has at most {AUDIT_RECORDS_MAX:,} records, not {len(records):,}"
        raise Invalid("REQUEST_INVALID", text)


def _entry(record: AuditRecord, sequence: int) -> AuditEntry:
    return AuditEntry(
        sequence=sequence,
        at_us=record.at_us,
        actor=record.actor,
        method=record.method,
        scope=record.namespace or record.company_id,
        target=record.target,
        outcome=record.outcome,
        before=record.before,
        after=record.after,
        details=record.details,
        address=record.address,
        source=record.source,
    )
