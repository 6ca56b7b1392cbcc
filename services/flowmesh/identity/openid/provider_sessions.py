"""Sessions that an identity provider opened, looked after there and ended on either side."""

import hashlib
import secrets
from collections.abc import Collection
from urllib.parse import parse_qsl

import msgspec

from flowmesh.access.sealing import SealBroken, Sealer
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError, Unauthenticated
from flowmesh.identity.limits import LOGIN_S, PROVIDER_SESSION_S
from flowmesh.identity.openid.client import Client, OpenIdConnect, ProviderTokens
from flowmesh.identity.openid.errors import LoginRefused, ProviderUnavailable
from flowmesh.identity.openid.hooks import LoginHooks
from flowmesh.identity.openid.mapping import Claims, profile_of, rules_of, values_of
from flowmesh.identity.revocations import Revocations
from flowmesh.identity.saml.client import Saml
from flowmesh.identity.storage.logins import LoginStore
from flowmesh.identity.storage.records import Provider, User
from flowmesh.identity.storage.sessions import Opening, ProviderSession, SessionStore


class _Kept(msgspec.Struct):
    """The tokens of a provider that a session keeps, sealed."""

    refresh_token: str
    id_token: str


class ProviderSessions:
    """Compares sessions with those at their providers."""

    def __init__(
        self,
        *,
        store: LoginStore,
        sessions: SessionStore,
        oidc: OpenIdConnect,
        saml: Saml,
        hooks: LoginHooks,
        revocations: Revocations,
        sealer: Sealer,
        public_url: str,
    ) -> None:
        self._store, self._sessions = store, sessions
        self._oidc, self._saml, self._hooks = oidc, saml, hooks
        self._revocations = revocations
        self._sealer = sealer
        self._public_url = public_url.rstrip("/")

    def client(self, provider: Provider) -> Client:
        """Return Flowmesh as a client of a provider; raise ProviderUnavailable."""
        if provider.sealed_secret is None:
            return Client(provider, "")
        try:
            secret = self._sealer.open(provider.sealed_secret, secret_place(provider.id))
        except SealBroken as error:
            raise ProviderUnavailable("the secret of the provider cannot be read") from error
        return Client(provider, secret.decode())

    def opening(self, provider: Provider, claims: Claims, tokens: ProviderTokens) -> Opening:
        """Return the opening of a session by the answer of an OpenID provider."""
        looked_after = bool(tokens.refresh_token)
        subject = str(claims["sub"])
        sid = claims.get("sid")
        return Opening(
            provider=provider.id,
            subject=subject,
            provider_session=sid if isinstance(sid, str) else None,
            sealed_tokens=self._sealed(provider, subject, tokens) if looked_after else None,
            lifetime_s=None if looked_after else PROVIDER_SESSION_S,
        )

    async def check(self, refresh_digest: bytes) -> None:
        """Refresh at the provider before a session is refreshed here.

        A session that has ended there ends here, and roles become those of the new claims. While
        the provider does not respond, no session of it is refreshed. Raises Unauthenticated.
        """
        session = await self._sessions.claim_check(refresh_digest)
        if session is None:
            return
        try:
            await self._refresh(session)
        except LoginRefused as error:
            await self._revocations.announce(*await self._sessions.revoke(session.id))
            text = f"the session at the identity provider has ended: {error}"
            raise Unauthenticated("CREDENTIALS_INVALID", text) from error
        except ProviderUnavailable:
            await self._sessions.forget_check(session.id)
            raise

    async def _refresh(self, session: ProviderSession) -> None:
        provider = await self._store.provider(session.provider)
        if provider is None or provider.disabled:
            raise LoginRefused("the provider is no longer offered")
        kept = self._opened(session)
        tokens = await self._oidc.refresh(self.client(provider), kept.refresh_token)
        if tokens.id_token:
            claims = await self._oidc.id_claims(provider, tokens, "")
            if claims.get("sub") != session.subject:
                raise LoginRefused("the provider refreshed the session of another user")
            claims = await self._hooks.applied(provider, claims)
            await self.remap(session.user_id, provider, claims)
        renewed = ProviderTokens(
            tokens.id_token or kept.id_token, "", tokens.refresh_token or kept.refresh_token
        )
        sealed = self._sealed(provider, session.subject, renewed)
        await self._sessions.set_provider_tokens(session.id, sealed)

    async def remap(self, user_id: str, provider: Provider, claims: Claims) -> None:
        """Let a user have the roles of its claims now."""
        if not await self._mapped(user_id, provider, claims):
            raise LoginRefused("no rule of the provider gives the user a role")

    async def map_groups(self, user_id: str, provider: Provider) -> None:
        """Let a provisioned user have the roles of its groups now.

        Roles where no rule reads the groups stay: they are of claims that only a login shows.
        """
        rules = rules_of(provider)
        places = {(each.level, each.level_id) for each in rules if each.claim in ("", "groups")}
        await self._mapped(user_id, provider, {}, places)

    async def _mapped(
        self,
        user_id: str,
        provider: Provider,
        claims: Claims,
        places: Collection[tuple[int, str]] | None = None,
    ) -> bool:
        """Give the roles of claims and provisioned groups; return whether the user has any.

        With `places`, former roles elsewhere stay.
        """
        async with self._store.changing() as store:
            if groups := await store.groups_of(provider, user_id):
                named: list[Json] = [*values_of(claims, "groups"), *groups]
                claims = {**claims, "groups": named}
            await store.map(user_id, provider, profile_of(provider, claims).grants, places)
            left = await store.users.grants(user_id)
        await self._revocations.announce(user_id)
        return bool(left)

    async def taken_over(self, store: LoginStore, provider: Provider, email: str) -> User | None:
        """Return the user with a verified address, from now on without its password.

        The administrators of a provider can log in as its users, so a user that has a role outside
        of the company does not move.
        """
        found = await store.users.user_of_email(email) if provider.link_by_email else None
        if found is None or not found.password_hash or found.disabled:
            return None
        if await store.users.has_role_outside(found.id, provider.company):
            return None
        await store.users.set_password(found.id, "")
        await self.end_of_user(found.id)
        return found

    async def end(self, session_id: str) -> str:
        """Revoke the tokens of a session at its provider; return the page that ends it there."""
        session = await self._sessions.provider_session(session_id)
        if session is None:
            return ""
        provider = await self._store.provider(session.provider)
        if provider is None:
            return ""
        if provider.kind == "saml":
            id = f"_{secrets.token_hex(16)}"
            return self._saml.logout_url(provider, id, session.subject, session.provider_session)
        if not session.sealed_tokens:
            return ""
        try:
            kept = self._opened(session)
            await self._oidc.revoke(self.client(provider), kept.refresh_token)
            back_to = f"{self._public_url}/login" if self._public_url else ""
            return await self._oidc.logout_url(provider, kept.id_token, back_to)
        except FlowmeshError:
            # The logout here does not depend on the provider.
            return ""

    async def end_by_token(self, provider: Provider, logout_token: str) -> None:
        """End the sessions that a logout token names; a repeated token ends none."""
        claims = await self._oidc.logout_claims(provider, logout_token)
        used = hashlib.sha256(f"{provider.id}\n{claims['jti']}".encode()).digest()
        if not await self._store.use(used, LOGIN_S):
            raise LoginRefused("the logout token was used before")
        ended = await self._sessions.revoke_of_provider(
            provider.id,
            subject=_text(claims.get("sub")),
            provider_session=_text(claims.get("sid")),
        )
        await self._revocations.announce(*ended)

    async def end_by_request(self, provider: Provider, address: str, message: str) -> str:
        """End the sessions that a SAML logout request names; return the page that says so."""
        request = await self._saml.logout_request(provider, address, message)
        used = hashlib.sha256(f"{provider.id}\n{request.id}".encode()).digest()
        if not await self._store.use(used, LOGIN_S):
            raise LoginRefused("the logout request was used before")
        sessions: list[str | None] = [*request.sessions]
        for session in sessions or [None]:
            ended = await self._sessions.revoke_of_provider(
                provider.id, subject=request.subject, provider_session=session
            )
            await self._revocations.announce(*ended)
        state = dict(parse_qsl(message)).get("RelayState", "")
        id = f"_{secrets.token_hex(16)}"
        return self._saml.logout_answer_url(provider, id, request.id, state)

    async def end_of_user(self, user_id: str) -> None:
        """End the sessions of a user at once, and ask again for the rights of its keys."""
        await self._revocations.announce(user_id, *await self._sessions.revoke_all(user_id))

    async def end_all(self, provider_id: str) -> None:
        """End the sessions of a provider that is deleted."""
        await self._revocations.announce(*await self._sessions.revoke_of_provider(provider_id))

    def _sealed(self, provider: Provider, subject: str, tokens: ProviderTokens) -> bytes:
        kept = msgspec.json.encode(_Kept(tokens.refresh_token, tokens.id_token))
        return self._sealer.seal(kept, _tokens_place(provider.id, subject))

    def _opened(self, session: ProviderSession) -> _Kept:
        try:
            place = _tokens_place(session.provider, session.subject)
            return msgspec.json.decode(self._sealer.open(session.sealed_tokens, place), type=_Kept)
        except SealBroken as error:
            raise LoginRefused("the tokens of the provider cannot be read") from error


def secret_place(provider_id: str) -> str:
    return f"secret of identity provider {provider_id}"


def _tokens_place(provider_id: str, subject: str) -> str:
    return f"tokens of {subject} at {provider_id}"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
