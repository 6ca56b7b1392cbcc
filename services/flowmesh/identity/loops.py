"""Background tasks of the identity service."""

from flowmesh.identity.credentials.access_tokens import AccessTokens
from flowmesh.identity.limits import FILE_ABANDONED_S
from flowmesh.identity.storage.files import FileStore
from flowmesh.identity.storage.logins import LoginStore
from flowmesh.identity.storage.secrets import SecretStore
from flowmesh.identity.storage.sessions import SessionStore
from flowmesh.identity.storage.tenants import TenantStore
from flowmesh.runtime.loop import Loop

_HOUR_MS = 3_600_000


class SigningKeyLoop(Loop):
    """Adds a signing key before the newest ends."""

    interval_ms = _HOUR_MS

    def __init__(self, tokens: AccessTokens) -> None:
        self._tokens = tokens

    async def run_once(self) -> bool:
        return await self._tokens.rotate()


class ExpiryLoop(Loop):
    """Deletes expired sessions, abandoned uploads, and old tombstones with their secrets."""

    interval_ms = _HOUR_MS

    def __init__(
        self,
        *,
        sessions: SessionStore,
        tenants: TenantStore,
        files: FileStore,
        secrets: SecretStore,
        logins: LoginStore,
    ) -> None:
        self._sessions, self._tenants = sessions, tenants
        self._files, self._secrets = files, secrets
        self._logins = logins

    async def run_once(self) -> int:
        await self._secrets.erase()
        await self._tenants.erase()
        await self._logins.delete_used()
        await self._files.discard_abandoned(FILE_ABANDONED_S)
        return await self._sessions.delete_expired()
