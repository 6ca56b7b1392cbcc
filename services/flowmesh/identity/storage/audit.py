"""Chains of the audit log as rows."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

from flowmesh.audit import AuditOutbox
from flowmesh.identity.storage.database import Database


class AuditEntry(NamedTuple):
    """An entry of a chain; the fields are hashed in this order."""

    sequence: int
    at_us: int
    actor: str
    method: str
    scope: str
    target: str
    outcome: str
    before: str
    after: str
    details: str
    address: str
    source: str
    hash: bytes = b""


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The signed end of a chain."""

    company: str
    sequence: int
    hash: bytes
    signed_at_us: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """A search; empty texts and 0 match everything."""

    company: str
    actor: str = ""
    method: str = ""
    target: str = ""
    from_us: int = 0
    until_us: int = 0


class AuditStore:
    """Reads and appends. Inside `appending` all changes are one transaction."""

    def __init__(self, database: Database, connection: object | None = None) -> None:
        self._database = database
        self._sql = database.sql
        self._at = connection or database.pool

    @asynccontextmanager
    async def appending(self) -> AsyncIterator["AuditStore"]:
        """Commit all changes of the block, or none; other appends wait."""
        async with self._database.transaction() as connection:
            await self._sql.lock_audit(connection)
            yield AuditStore(self._database, connection)

    @property
    def outbox(self) -> AuditOutbox:
        """The changes of this service that are in no chain yet."""
        return AuditOutbox(self._at)

    async def known(self, sources: Sequence[str]) -> set[str]:
        """Return the sources that have an entry."""
        rows = self._sql.known_sources(self._at, sources=sources)
        return {row["source"] async for row in rows}

    async def companies(self, namespaces: Sequence[str]) -> dict[str, str]:
        """Return the companies of namespaces."""
        rows = self._sql.companies_of_namespaces(self._at, namespaces=namespaces)
        return {row["namespace"]: row["company"] async for row in rows}

    async def head(self, company: str) -> AuditHead | None:
        row = await self._sql.audit_head(self._at, company=company)
        return row and AuditHead(**row)

    async def set_head(self, head: AuditHead) -> None:
        await self._sql.set_audit_head(
            self._at,
            company=head.company,
            sequence=head.sequence,
            hash=head.hash,
            signed_at_us=head.signed_at_us,
            signature=head.signature,
        )

    async def insert(self, company: str, entries: Sequence[AuditEntry]) -> None:
        await self._sql.insert_audit_entries(
            self._at,
            company=company,
            sequences=[each.sequence for each in entries],
            at_us=[each.at_us for each in entries],
            actors=[each.actor for each in entries],
            methods=[each.method for each in entries],
            scopes=[each.scope for each in entries],
            targets=[each.target for each in entries],
            outcomes=[each.outcome for each in entries],
            befores=[each.before for each in entries],
            afters=[each.after for each in entries],
            details=[each.details for each in entries],
            addresses=[each.address for each in entries],
            sources=[each.source for each in entries],
            hashes=[each.hash for each in entries],
        )

    async def page(self, company: str, after: int, last: int, count: int) -> list[AuditEntry]:
        """Return entries after a sequence up to another one, in the order of the chain."""
        rows = self._sql.audit_page(self._at, company=company, after=after, last=last, count=count)
        return [AuditEntry._make(row) async for row in rows]

    async def search(self, wanted: AuditFilter, before: int, count: int) -> list[AuditEntry]:
        """Return entries before a sequence, newest first."""
        rows = self._sql.audit_search(
            self._at,
            company=wanted.company,
            actor=wanted.actor,
            method=wanted.method,
            target=wanted.target,
            from_us=wanted.from_us,
            until_us=wanted.until_us,
            before=before,
            count=count,
        )
        return [AuditEntry._make(row) async for row in rows]
