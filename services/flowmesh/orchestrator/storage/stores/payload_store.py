"""Stored payloads by namespace and digest."""

from __future__ import annotations

from typing import NamedTuple

from flowmesh.access.encryption import payload_place
from flowmesh.orchestrator.storage.database import Queries


class StoredPayload(NamedTuple):
    """The encoding and the bytes of a payload."""

    encoding: str
    data: bytes


class PayloadStore:
    """Stores payloads by content and deletes unreferenced ones after a day."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self.keys = queries.keys

    async def put(self, namespace: str, digest: str, encoding: str, data: bytes) -> None:
        """Store a payload; renew it if it is stored already."""
        await self.keys.known.wait()
        await self._queries.one(
            "put_payload",
            namespace=namespace,
            digest=digest,
            encoding=encoding,
            size_bytes=len(data),
            data=self.keys.seal(namespace, data, payload_place(digest)),
        )

    async def get(self, namespace: str, digest: str) -> StoredPayload | None:
        """Return a payload; None if it is not stored."""
        await self.keys.known.wait()
        stored = await self._queries.record(
            StoredPayload, "get_payload", namespace=namespace, digest=digest
        )
        if stored is None:
            return None
        data = self.keys.open(stored.data, payload_place(digest))
        return StoredPayload(stored.encoding, data)

    async def renew(self, namespace: str, digest: str) -> bool:
        """Keep a payload for another day; return False if it is not stored."""
        return bool(await self._queries.one("renew_payload", namespace=namespace, digest=digest))

    async def renew_all(self, namespace: str, digests: list[str]) -> set[str]:
        """Keep payloads for another day; return those that are stored."""
        rows = await self._queries.rows("renew_payloads", namespace=namespace, digests=digests)
        return {row["digest"] for row in rows}

    async def collect(self) -> int:
        """Delete payloads without reference that were unused for a day; return their number."""
        deleted: int = await self._queries.one("collect_payloads")
        return deleted
