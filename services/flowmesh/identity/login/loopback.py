"""Logins of the command by a browser of the same machine (RFC 8252).

A user approves in the console; the browser brings the code to a port on which the command listens.
The code is bound to that address and to a verifier that only the command has (RFC 7636).
"""

import base64
import hashlib
import hmac
import re
import secrets

import msgspec

from flowmesh.access.sealing import SealBroken, Sealer
from flowmesh.errors import Forbidden, Invalid
from flowmesh.identity.accounts import Accounts, TokenPair
from flowmesh.identity.credentials import one_time
from flowmesh.identity.limits import LOOPBACK_CODE_S
from flowmesh.identity.openid.errors import LoginRefused
from flowmesh.identity.permissions import caller
from flowmesh.identity.storage.logins import LoginStore
from flowmesh.identity.storage.records import User
from flowmesh.identity.storage.sessions import Opening
from flowmesh.runtime import Clock

# The only client: its redirect URIs are those of this machine, on any port (RFC 8252, 7.3).
CLIENT = "flowmesh-cli"
_REDIRECT_URI = re.compile(r"http://(?:127\.0\.0\.1|\[::1\]):[1-9][0-9]{0,4}/callback")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_PLACE = "login by loopback redirect"


class _Code(msgspec.Struct):
    """An approval, sealed as the code that the browser brings."""

    nonce: str
    redirect_uri: str
    challenge: str
    begun_us: int


class LoopbackLogins:
    """Approves and completes logins of the command."""

    def __init__(
        self, *, store: LoginStore, accounts: Accounts, sealer: Sealer, clock: Clock
    ) -> None:
        self._store, self._accounts = store, accounts
        self._sealer, self._clock = sealer, clock

    async def approve(self, client_id: str, redirect_uri: str, challenge: str) -> str:
        """Return the code with which the command logs in as the caller."""
        principal = caller()
        if principal.kind != "user":
            raise Forbidden("ROLE_REQUIRED", "only users let the command log in")
        if client_id != CLIENT:
            raise Invalid("REQUEST_INVALID", f"the client is not `{CLIENT}`")
        if not _REDIRECT_URI.fullmatch(redirect_uri):
            text = "the redirect URI is not one like http://127.0.0.1:50000/callback"
            raise Invalid("REQUEST_INVALID", text)
        if not _CHALLENGE.fullmatch(challenge):
            raise Invalid("REQUEST_INVALID", "the code challenge is not of S256 (RFC 7636)")
        approved = _Code(secrets.token_urlsafe(16), redirect_uri, challenge, self._clock.now_us())
        sealed = self._sealer.seal(msgspec.json.encode(approved), _PLACE)
        code = base64.urlsafe_b64encode(sealed).decode()
        await self._store.approve_device(_name(code), principal.id, principal.session)
        return code

    async def complete(
        self, client_id: str, redirect_uri: str, code: str, verifier: str, address: str
    ) -> tuple[User, TokenPair]:
        """Open the session of the command. Any use of a code is its last. Raise LOGIN_REFUSED."""
        approved = self._opened(code)
        login = one_time.digest(code)
        if not await self._store.use(login, 2 * LOOPBACK_CODE_S):
            await self._accounts.end_replayed(login)
        taken = await self._store.take_device(_name(code))
        if taken is None:
            raise LoginRefused("the code is unknown; log in again")
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if not hmac.compare_digest(challenge, approved.challenge):
            raise LoginRefused("the code is that of another program; log in again")
        if client_id != CLIENT or redirect_uri != approved.redirect_uri:
            raise LoginRefused("the code is for another address; log in again")
        user = await self._store.users.user(taken.user_id)
        if user is None or user.disabled:
            raise LoginRefused("the user is disabled")
        await self._store.users.note_login(user.id)
        opening = Opening(address=address, parent=taken.parent, login=login)
        return user, await self._accounts.opened(user.id, opening)

    def _opened(self, code: str) -> _Code:
        try:
            sealed = base64.urlsafe_b64decode(code)
            approved = msgspec.json.decode(self._sealer.open(sealed, _PLACE), type=_Code)
        except (SealBroken, ValueError):
            raise LoginRefused("the code is unknown; log in again") from None
        if self._clock.now_us() - approved.begun_us > LOOPBACK_CODE_S * 1_000_000:
            raise LoginRefused("the code is older than a minute; log in again")
        return approved


def _name(code: str) -> str:
    """Return the name by which an approval is stored, so that no reader of it can log in."""
    return hashlib.sha256(code.encode()).hexdigest()
