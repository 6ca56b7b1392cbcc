"""Sessions, refresh tokens and signing keys as rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from flowmesh.identity.limits import (
    REFRESH_GRACE_S,
    REFRESH_TOKEN_DAYS,
    SIGNING_KEY_DAYS,
    SIGNING_KEY_KEPT_S,
    SIGNING_KEY_KNOWN_S,
)
from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.records import SigningKey

EXPIRED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A valid refresh token; `reused` after the grace period since its first use."""

    session: str
    user_id: str
    reused: bool


class SessionStore:
    """Reads and changes of sessions. Inside `changing` all changes are one transaction."""

    def __init__(self, database: Database, connection: object | None = None) -> None:
        self._database = database
        self._sql = database.sql
        self._at = connection or database.pool

    @asynccontextmanager
    async def changing(self) -> AsyncIterator["SessionStore"]:
        """Commit all changes of the block, or none."""
        async with self._database.transaction() as connection:
            yield SessionStore(self._database, connection)

    async def insert(self, id: str, user_id: str) -> None:
        await self._sql.insert_session(self._at, id=id, user_id=user_id)

    async def user_of(self, id: str) -> str | None:
        """Return the user of a session; None if it is revoked."""
        found: str | None = await self._sql.session_user(self._at, id=id)
        return found

    async def revoke(self, id: str) -> None:
        await self._sql.revoke_session(self._at, id=id)

    async def revoke_all(self, user_id: str, *, except_id: str = "") -> list[str]:
        """Revoke the sessions of a user; return their ids."""
        rows = self._sql.revoke_sessions_of(self._at, user_id=user_id, except_id=except_id)
        return [row["id"] async for row in rows]

    async def insert_refresh_token(self, digest: bytes, session: str) -> None:
        await self._sql.insert_refresh_token(
            self._at, digest=digest, session=session, days=REFRESH_TOKEN_DAYS
        )

    async def lock_refresh_token(self, digest: bytes, successor: bytes) -> RefreshToken | None:
        row = await self._sql.lock_refresh_token(
            self._at, digest=digest, successor=successor, grace_s=REFRESH_GRACE_S
        )
        return row and RefreshToken(row["session"], row["user_id"], row["reused"])

    async def use_refresh_token(self, digest: bytes) -> None:
        await self._sql.use_refresh_token(self._at, digest=digest)

    async def delete_expired(self) -> int:
        """Delete expired refresh tokens, and sessions without any; return their number."""
        found: int = await self._sql.delete_expired_sessions(self._at, count=EXPIRED_AT_ONCE)
        return found

    async def signing_keys(self) -> list[SigningKey]:
        """Return the keys that verify, the one to sign with first."""
        rows = self._sql.signing_keys(
            self._at, kept_s=SIGNING_KEY_KEPT_S, known_s=SIGNING_KEY_KNOWN_S
        )
        return [SigningKey.of(row) async for row in rows]

    async def lock_signing_keys(self) -> None:
        await self._sql.lock_signing_keys(self._at)

    async def insert_signing_key(self, kid: str, public: bytes, sealed: bytes) -> None:
        await self._sql.insert_signing_key(
            self._at, kid=kid, public_key=public, sealed_key=sealed, days=SIGNING_KEY_DAYS
        )
