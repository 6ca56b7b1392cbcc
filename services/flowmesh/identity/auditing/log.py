"""The audit log for the callers that may read it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flowmesh.access.roles import MANAGE, OWN
from flowmesh.api.identity.v1.audit_service_pb2 import AuditRecord
from flowmesh.errors import Invalid, Violation
from flowmesh.identity.auditing.appending import AuditAppender
from flowmesh.identity.auditing.chain import ChainCheck
from flowmesh.identity.limits import (
    AUDIT_FILTER_CHARS_MAX,
    AUDIT_PAGE,
    AUDIT_SEQUENCE_LAST,
)
from flowmesh.identity.permissions import Permissions, caller
from flowmesh.identity.storage.audit import AuditEntry, AuditFilter, AuditHead, AuditStore
from flowmesh.identity.storage.records import Level
from flowmesh.runtime import Clock


class AuditLog:
    """Searches, checks and exports of chains, one per company."""

    def __init__(
        self,
        *,
        store: AuditStore,
        appender: AuditAppender,
        permissions: Permissions,
        key: Ed25519PrivateKey,
        clock: Clock,
    ) -> None:
        self._store = store
        self._appender = appender
        self._permissions = permissions
        self._key = key
        self._clock = clock

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

    async def export(
        self, company: str, method: str = "AuditService.ExportAudit"
    ) -> AsyncIterator[list[AuditEntry] | AuditHead]:
        """Yield all entries of a company in pages, and then the signed head."""
        await self._check(company, OWN)
        await self._note_export(company, method)
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

    async def _note_export(self, company: str, method: str) -> None:
        now_us = self._clock.now_us()
        record = AuditRecord(
            source=f"export/{company}/{now_us}/{caller().id}",
            at_us=now_us,
            actor=caller().name,
            method=method,
            company_id=company,
            target=company,
            outcome="ok",
        )
        await self._appender.record([record])


def check_filter(wanted: AuditFilter) -> None:
    """Raise Invalid for a text that no entry has, because it is longer."""
    texts = {"by_actor": wanted.actor, "method": wanted.method, "target": wanted.target}
    for field, text in texts.items():
        if len(text) > AUDIT_FILTER_CHARS_MAX:
            message = f"{field} has at most {AUDIT_FILTER_CHARS_MAX} characters, not {len(text):,}"
            raise Invalid("REQUEST_INVALID", message, violations=(Violation(field, message),))
