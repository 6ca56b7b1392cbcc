"""The audit log: appends to chains, and reads for the callers that may."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sized
from contextlib import aclosing

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flowmesh.access.roles import MANAGE, OWN
from flowmesh.api.identity.v1.audit_service_pb2 import AuditRecord
from flowmesh.audit import records_of
from flowmesh.errors import Invalid, Violation
from flowmesh.identity.auditing.chain import BEGINNING, ChainCheck, linked, signed
from flowmesh.identity.limits import (
    AUDIT_FILTER_CHARS_MAX,
    AUDIT_PAGE,
    AUDIT_RECORDS_MAX,
    AUDIT_SEQUENCE_LAST,
)
from flowmesh.identity.permissions import Permissions, caller
from flowmesh.identity.storage.audit import AuditEntry, AuditFilter, AuditHead, AuditStore
from flowmesh.identity.storage.records import Level
from flowmesh.runtime import Clock, Loop


class AuditLog:
    """Chains of entries, one per company."""

    def __init__(
        self,
        *,
        store: AuditStore,
        permissions: Permissions,
        key: Ed25519PrivateKey,
        clock: Clock,
    ) -> None:
        self._store = store
        self._permissions = permissions
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

    async def search(self, wanted: AuditFilter, before: int, count: int) -> list[AuditEntry]:
        """Return entries of a company, newest first."""
        check_filter(wanted)
        await self._check(wanted.company, MANAGE)
        return await self._store.search(wanted, before, count)

    async def verify(self, company: str) -> ChainCheck:
        """Recompute a chain and compare its end with its signed head."""
        await self._check(company, MANAGE)
        # Read first: entries may follow meanwhile.
        head = await self._store.head(company)
        check = ChainCheck(company)
        last = head.sequence if head is not None else 0
        async with aclosing(self._pages(company, last)) as pages:
            async for page in pages:
                if not check.add(page):
                    return check
        beyond = await self._store.page(company, last, AUDIT_SEQUENCE_LAST, AUDIT_PAGE)
        if beyond and not await self._is_newer(company, last):
            check.add(beyond)
        check.end(head, self._key)
        return check

    async def export(self, company: str) -> AsyncIterator[list[AuditEntry] | AuditHead]:
        """Yield all entries of a company in pages, and then the signed head."""
        await self._check(company, OWN)
        await self._note_export(company)
        head = await self._store.head(company)
        last = head.sequence if head is not None else AUDIT_SEQUENCE_LAST
        async with aclosing(self._pages(company, last)) as pages:
            async for page in pages:
                yield page
        if head is not None:
            yield head

    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    async def _is_newer(self, company: str, last: int) -> bool:
        """Return whether the chain has grown, by its signed head, since it had this sequence."""
        head = await self._store.head(company)
        return head is not None and head.sequence > last

    async def _pages(self, company: str, last: int) -> AsyncGenerator[list[AuditEntry], None]:
        """Yield the entries up to a sequence; the database reads the next page meanwhile."""
        reading = self._reading(company, 0, last)
        try:
            while page := await reading:
                reading = self._reading(company, page[-1].sequence, last)
                # The query is sent.
                await asyncio.sleep(0)
                yield page
        finally:
            reading.cancel()

    def _reading(self, company: str, after: int, last: int) -> asyncio.Task[list[AuditEntry]]:
        return asyncio.create_task(self._store.page(company, after, last, AUDIT_PAGE))

    async def _check(self, company: str, bits: int) -> None:
        """Raise unless the caller has a permission on the company, or on the installation.

        The chain of a deleted company is for callers with a role on the installation.
        """
        if company and caller().everywhere & bits and await self._store.head(company):
            return
        level = Level.COMPANY if company else Level.INSTALLATION
        await self._permissions.place(level, company, bits)

    async def _note_export(self, company: str) -> None:
        now_us = self._clock.now_us()
        record = AuditRecord(
            source=f"export/{company}/{now_us}/{caller().id}",
            at_us=now_us,
            actor=caller().name,
            method="AuditService.ExportAudit",
            company_id=company,
            target=company,
            outcome="ok",
        )
        await self.record([record])

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


def check_records(records: Sized) -> None:
    """Raise Invalid for more records than a call may have."""
    if len(records) > AUDIT_RECORDS_MAX:
        text = f"a call has at most {AUDIT_RECORDS_MAX:,} records, not {len(records):,}"
        raise Invalid("REQUEST_INVALID", text)


def check_filter(wanted: AuditFilter) -> None:
    """Raise Invalid for a text that no entry has, because it is longer."""
    texts = {"by_actor": wanted.actor, "method": wanted.method, "target": wanted.target}
    for field, text in texts.items():
        if len(text) > AUDIT_FILTER_CHARS_MAX:
            message = f"{field} has at most {AUDIT_FILTER_CHARS_MAX} characters, not {len(text):,}"
            raise Invalid("REQUEST_INVALID", message, violations=(Violation(field, message),))


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


class AuditLoop(Loop):
    """Appends the changes of this service to the chains."""

    interval_ms = 1_000

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    async def run_once(self) -> int:
        """Empty the outbox; return the number of its rows."""
        count = 0
        while taken := await self._log.take_own():
            count += taken
        return count
