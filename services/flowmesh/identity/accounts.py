"""Users register, log in, refresh their tokens and log out."""

import secrets
from dataclasses import dataclass

from flowmesh.access.bootstrap import is_bootstrap_token
from flowmesh.access.keys import InstallationKeys
from flowmesh.access.roles import Role
from flowmesh.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated, Violation
from flowmesh.identity.attempts import Attempts, network_of
from flowmesh.identity.credentials import one_time
from flowmesh.identity.credentials.access_tokens import AccessTokens
from flowmesh.identity.credentials.passwords import Passwords, check_password
from flowmesh.identity.emails import is_email
from flowmesh.identity.limits import EMAIL_CHARS_MAX, NAME_CHARS_MAX, REFRESH_TOKEN_DAYS
from flowmesh.identity.openid.errors import LoginRefused
from flowmesh.identity.openid.provider_sessions import ProviderSessions
from flowmesh.identity.permissions import caller
from flowmesh.identity.revocations import Revocations
from flowmesh.identity.storage.records import Grant, Level, User
from flowmesh.identity.storage.sessions import Opening, OpenSession, SessionStore
from flowmesh.identity.storage.users import UserStore
from flowmesh.runtime import Clock

_DAY_US = 86_400 * 1_000_000
REPLAYED = "the login was completed before, and its session has ended; log in again"


@dataclass(frozen=True, slots=True)
class TokenPair:
    access: str
    access_expires_at_us: int
    refresh: str
    refresh_expires_at_us: int


class Accounts:
    """Registration and sessions of users."""

    def __init__(
        self,
        *,
        users: UserStore,
        sessions: SessionStore,
        tokens: AccessTokens,
        passwords: Passwords,
        attempts: Attempts,
        revocations: Revocations,
        provider_sessions: ProviderSessions,
        keys: InstallationKeys,
        registration: str,
        clock: Clock,
    ) -> None:
        self._users, self._sessions = users, sessions
        self._tokens, self._passwords = tokens, passwords
        self._attempts, self._revocations = attempts, revocations
        self._provider_sessions = provider_sessions
        self._pepper, self._bootstrap_key = keys.pepper, keys.bootstrap
        self._registration = registration
        self._clock = clock

    async def register(
        self, email: str, name: str, password: str, invitation: str, address: str
    ) -> tuple[User, TokenPair]:
        """Create a user, with the role of its invitation if there is one."""
        closed = self._registration == "off"
        if closed or (not invitation and self._registration != "open"):
            text = "registration is off" if closed else "registration needs an invitation"
            raise Forbidden("REGISTRATION_CLOSED", text)
        email = valid_email(email)
        if invitation and not await self._users.invitations.is_valid(
            one_time.digest(invitation), email
        ):
            raise _not_invited()
        hashed = await self._hashed(password, email, name)
        async with self._users.changing() as users:
            granted = None
            if invitation:
                granted = await users.invitations.take(one_time.digest(invitation), email)
                if granted is None:
                    raise _not_invited()
            user = await created(users, email, name, hashed)
            if granted is not None:
                await users.set_grant(user.id, granted.grant, granted.created_by)
        return user, await self.opened(user.id, Opening(address))

    async def bootstrap(
        self, token: str, email: str, name: str, password: str, address: str
    ) -> tuple[User, TokenPair]:
        """Create the first owner of the installation."""
        email = valid_email(email)
        refused = Unauthenticated(
            "CREDENTIALS_INVALID", "the bootstrap token is unknown, used or older than an hour"
        )
        if not is_bootstrap_token(token, self._bootstrap_key, self._clock.now_us()):
            raise refused
        hashed = await self._hashed(password, email, name)
        async with self._users.changing() as users:
            if not await users.use_bootstrap(one_time.digest(token)):
                raise refused
            user = await created(users, email, name, hashed)
            owner = Grant(Level.INSTALLATION, "", Role.OWNER)
            await users.set_grant(user.id, owner, "bootstrap")
        return user, await self.opened(user.id, Opening(address))

    async def login(self, email: str, password: str, address: str) -> tuple[User, TokenPair]:
        """Open a session; a wrong password and an unknown user have the same answer and time."""
        account = email.strip().lower()[:EMAIL_CHARS_MAX]
        user = await self._users.user_of_email(account)
        hashed = None if user is None or user.disabled else user.password_hash
        if not await self._is_right(account, address, password, hashed) or user is None:
            raise Unauthenticated("CREDENTIALS_INVALID", "the email address or password is wrong")
        await self._users.note_login(user.id)
        return user, await self.opened(user.id, Opening(address))

    async def refresh(self, token: str, address: str) -> TokenPair:
        """Exchange a refresh token; one that was used before revokes its session."""
        await self._attempts.begin("", address)
        await self._provider_sessions.check(one_time.digest(token))
        successor, ended = one_time.successor(token, self._pepper), list[str]()
        async with self._sessions.changing() as sessions:
            found = await sessions.lock_refresh_token(
                one_time.digest(token), one_time.digest(successor)
            )
            if found is not None and found.reused:
                ended = await sessions.revoke(found.session)
            elif found is not None:
                await sessions.use_refresh_token(one_time.digest(token))
                await sessions.insert_refresh_token(one_time.digest(successor), found.session)
        if found is None or found.reused:
            await self._revocations.announce(*ended)
            text = "the refresh token is unknown, expired, used or revoked; log in again"
            raise Unauthenticated("CREDENTIALS_INVALID", text)
        await self._attempts.succeeded("", address)
        return await self._pair(found.user_id, found.session, successor)

    async def _is_right(self, account: str, source: str, password: str, hashed: str | None) -> bool:
        """Verify a password, an attempt that is counted first. Raise LOGIN_DELAYED."""
        async with self._passwords.turn(network_of(source) or source):
            await self._attempts.begin(account, source)
            right = await self._passwords.is_right(password, hashed)
        if right:
            await self._attempts.succeeded(account, source)
        return right

    async def _hashed(self, password: str, email: str, name: str) -> str:
        """Return the hash of the password of a new user. Raise PASSWORD_WEAK."""
        check_password(password, email, name)
        async with self._passwords.turn("new users"):
            return await self._passwords.hashed(password)

    async def logout(self, *, all_sessions: bool) -> str:
        """End the session of the caller, or all sessions of its user.

        Return the page at which its identity provider ends its own; empty for none.
        """
        principal = caller()
        if principal.kind != "user":
            return ""
        page = await self._provider_sessions.end(principal.session)
        if all_sessions:
            ended = await self._sessions.revoke_all(principal.id)
        else:
            ended = await self._sessions.revoke(principal.session)
        await self._revocations.announce(*ended)
        return page

    async def sessions(self) -> list[OpenSession]:
        """Return the sessions of the caller, newest first."""
        return await self._sessions.open_sessions(caller().id)

    async def end_session(self, session: str) -> None:
        """End a session of the caller."""
        if await self._sessions.user_of(session) != caller().id:
            raise NotFound("SESSION_NOT_FOUND", f"you have no open session `{session}`")
        await self._revocations.announce(*await self._sessions.revoke(session))

    async def change_password(self, current: str, new: str) -> None:
        """Change the password of the caller, and end its other sessions."""
        principal = caller()
        user = await self._users.user(principal.id)
        if user is None:
            raise Invalid("REQUEST_INVALID", "only users have a password")
        if not await self._is_right(user.email, principal.session, current, user.password_hash):
            raise Unauthenticated("CREDENTIALS_INVALID", "the current password is wrong")
        await self._users.set_password(user.id, await self._hashed(new, user.email, user.name))
        ended = await self._sessions.revoke_all(user.id, except_id=principal.session)
        await self._revocations.announce(*ended)

    async def disable(self, user_id: str, *, disabled: bool) -> bool:
        """Disable or enable a user; return whether there is one."""
        if not await self._users.set_disabled(user_id, disabled):
            return False
        if disabled:
            ended = await self._sessions.revoke_all(user_id)
            await self._revocations.announce(user_id, *ended)
        return True

    async def opened(self, user_id: str, opening: Opening) -> TokenPair:
        """Open a session of a user that has proved itself."""
        session, refresh = f"ses_{secrets.token_hex(10)}", one_time.new_token()
        async with self._sessions.changing() as sessions:
            if opening.login is not None and await sessions.is_replayed(opening.login):
                raise LoginRefused(REPLAYED)
            await sessions.insert(session, user_id, opening)
            await sessions.insert_refresh_token(one_time.digest(refresh), session)
        return await self._pair(user_id, session, refresh)

    async def end_replayed(self, login: bytes) -> None:
        """End the session of a code that is used again, which is a sign of theft. Raise."""
        async with self._sessions.changing() as sessions:
            ended = await sessions.revoke_of_login(login)
        await self._revocations.announce(*ended)
        raise LoginRefused(REPLAYED)

    async def _pair(self, user_id: str, session: str, refresh: str) -> TokenPair:
        access, expires_at_us = await self._tokens.issue(user_id, session)
        refresh_until = self._clock.now_us() + REFRESH_TOKEN_DAYS * _DAY_US
        return TokenPair(access, expires_at_us, refresh, refresh_until)


async def created(users: UserStore, email: str, name: str, hashed: str) -> User:
    """Insert a user; raise USER_EXISTS. The hash is empty for a user of an identity provider."""
    name = name.strip() or email.partition("@")[0]
    if len(name) > NAME_CHARS_MAX:
        raise _wrong("name", f"the name has more than {NAME_CHARS_MAX} characters")
    user = await users.insert(f"usr_{secrets.token_hex(10)}", email, name, hashed)
    if user is None:
        raise Conflict("USER_EXISTS", f"the email address {email} is registered; log in instead")
    return user


def _not_invited() -> Forbidden:
    text = "the invitation is unknown, used, expired or for another address"
    return Forbidden("REGISTRATION_CLOSED", text)


def valid_email(text: str) -> str:
    """Return an email address in lower case; raise REQUEST_INVALID if it is none."""
    email = text.strip().lower()
    if not is_email(email):
        raise _wrong("email", f"{text[:100]!r} is no email address; expected name@example.com")
    return email


def _wrong(field: str, message: str) -> Invalid:
    return Invalid(
        "REQUEST_INVALID", message, violations=(Violation(field, message, "REQUEST_INVALID"),)
    )
