"""Sessions, refresh tokens and signing keys as rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

from flowmesh.identity.limits import (
    REFRESH_GRACE_S,
    REFRESH_TOKEN_DAYS,
    SIGNING_KEY_DAYS,
    SIGNING_KEY_KEPT_S,
    SIGNING_KEY_KNOWN_S,
)
from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.records import Columns, SigningKey

EXPIRED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A valid refresh token; `reused` after the grace period since its first use."""

    session: str
    user_id: str
    reused: bool


@dataclass(frozen=True, slots=True)
class Opening:
    """The login of a session: the address, and the session at an identity provider if there is one.

    `lifetime_s` ends a session that is not looked after at its provider.
    """

    address: str = ""
    provider: str | None = None
    subject: str | None = None
    provider_session: str | None = None
    sealed_tokens: bytes | None = None
    lifetime_s: float | None = None
    # The session of a provider with which this one ends.
    parent: str | None = None
    # The digest of the code that opened it, whose second use ends it.
    login: bytes | None = None


BY_PASSWORD = Opening()


@dataclass(frozen=True, slots=True)
class ProviderSession:
    """A session with the sealed tokens of its identity provider, empty if it gave none."""

    id: str
    user_id: str
    provider: str
    subject: str
    provider_session: str
    sealed_tokens: bytes


@dataclass(frozen=True, slots=True)
class OpenSession(Columns):
    """A session as its user sees it."""

    id: str
    created_at_us: int
    last_used_at_us: int
    address: str
    provider_name: str


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

    async def insert(self, id: str, user_id: str, opening: Opening = BY_PASSWORD) -> None:
        await self._sql.insert_session(self._at, id=id, user_id=user_id, **asdict(opening))

    async def user_of(self, id: str) -> str | None:
        """Return the user of a session; None if it is revoked."""
        found: str | None = await self._sql.session_user(self._at, id=id)
        return found

    async def revoke(self, id: str) -> list[str]:
        """Revoke a session and those that end with it; return their ids."""
        return [row["id"] async for row in self._sql.revoke_session(self._at, id=id)]

    async def revoke_all(self, user_id: str, *, except_id: str = "") -> list[str]:
        """Revoke the sessions of a user; return their ids."""
        rows = self._sql.revoke_sessions_of(self._at, user_id=user_id, except_id=except_id)
        return [row["id"] async for row in rows]

    async def is_replayed(self, login: bytes) -> bool:
        """Return whether a code was used again; other uses wait for the end of the transaction."""
        return bool(await self._sql.lock_login(self._at, digest=login))

    async def revoke_of_login(self, login: bytes) -> list[str]:
        """Revoke the session of a code that is used again, also one that is opened later."""
        await self._sql.note_replay(self._at, digest=login)
        rows = self._sql.revoke_sessions_of_login(self._at, login=login)
        return [row["id"] async for row in rows]

    async def revoke_of_provider(
        self, provider: str, *, subject: str | None = None, provider_session: str | None = None
    ) -> list[str]:
        """Revoke the sessions of a provider, of one of its subjects or of its sessions."""
        rows = self._sql.revoke_provider_sessions(
            self._at, provider=provider, subject=subject, provider_session=provider_session
        )
        return [row["id"] async for row in rows]

    async def open_sessions(self, user_id: str) -> list[OpenSession]:
        """Return the sessions of a user, newest first."""
        return [
            OpenSession.of(row) async for row in self._sql.sessions_of(self._at, user_id=user_id)
        ]

    async def provider_session(self, id: str) -> ProviderSession | None:
        row = await self._sql.provider_session(self._at, id=id)
        return row and ProviderSession(**row)

    async def claim_check(self, digest: bytes) -> ProviderSession | None:
        """Return the session of a refresh token if it is to be looked after at its provider now."""
        row = await self._sql.claim_check(self._at, digest=digest, every_s=REFRESH_GRACE_S)
        return row and ProviderSession(**row)

    async def forget_check(self, id: str) -> None:
        await self._sql.forget_check(self._at, id=id)

    async def set_provider_tokens(self, id: str, sealed: bytes) -> None:
        await self._sql.set_provider_tokens(self._at, id=id, sealed_tokens=sealed)

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
