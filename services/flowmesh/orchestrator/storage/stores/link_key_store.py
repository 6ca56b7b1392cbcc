"""Keys that sign approval links."""

from __future__ import annotations

from typing import NamedTuple

from flowmesh.orchestrator.storage.database import Queries


class SigningKey(NamedTuple):
    """The newest key with its secret."""

    id: int
    secret: bytes


class RotatedKey(NamedTuple):
    """A new key; `older` is the number of keys whose validity was shortened."""

    id: int
    older: int


class LinkKeyRow(NamedTuple):
    """A key without its secret. `good_until_us` is 0 as long as it has no end."""

    id: int
    actor: str
    reason: str
    created_at_us: int
    good_until_us: int


class LinkKeyStore:
    """Signing keys of all namespaces; a key number is never used twice."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def newest(self) -> SigningKey | None:
        """Return the newest key; None before the first one is made."""
        return await self._queries.record(SigningKey, "newest_link_key")

    async def make_first(self, secret: bytes) -> None:
        """Store the first key, unless there is one."""
        await self._queries.one("make_link_key", secret=secret)

    async def secret(self, key_id: int) -> bytes | None:
        """Return the secret of a valid key."""
        found: bytes | None = await self._queries.one("link_key", id=key_id)
        return found

    async def rotate(
        self, *, secret: bytes, actor: str, reason: str, request_id: str, good_ms: int
    ) -> RotatedKey | None:
        """Make a new key; older ones stay valid for `good_ms` at most.

        Returns None if the request made one before, or another request made one just now.
        """
        return await self._queries.record(
            RotatedKey,
            "rotate_link_key",
            secret=secret,
            actor=actor,
            reason=reason,
            request_id=request_id,
            good_ms=good_ms,
        )

    async def id_by_request(self, request_id: str) -> int | None:
        """Return the number of the key that a request made."""
        key_id: int | None = await self._queries.one("link_key_under", request_id=request_id)
        return key_id

    async def page(self, *, most_id: int, rows_max: int) -> list[LinkKeyRow]:
        """Return the newest keys up to a number; 0 is no bound."""
        return await self._queries.records(
            LinkKeyRow, "link_keys", most_id=most_id, rows_max=rows_max
        )
