"""Logins at identity providers, from the first redirect to the session.

All that a login has to remember is sealed in a cookie of the browser that began it, so an answer
counts in that browser only. The verifier and the nonce are derived from the state.
"""

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import replace

import msgspec

from flowmesh.access.sealing import SealBroken, Sealer
from flowmesh.errors import Invalid, NotFound
from flowmesh.identity.accounts import Accounts, TokenPair, created
from flowmesh.identity.attempts import Attempts
from flowmesh.identity.credentials import one_time
from flowmesh.identity.limits import LOGIN_S, PROVIDER_SESSION_S
from flowmesh.identity.openid.client import OpenIdConnect
from flowmesh.identity.openid.errors import LoginRefused
from flowmesh.identity.openid.hooks import LoginHooks
from flowmesh.identity.openid.mapping import Claims, Profile, profile_of
from flowmesh.identity.openid.provider_sessions import ProviderSessions
from flowmesh.identity.saml.client import Saml, claims_of, metadata
from flowmesh.identity.storage.logins import LoginStore
from flowmesh.identity.storage.records import Provider, User
from flowmesh.identity.storage.sessions import Opening
from flowmesh.runtime import Clock

_PLACE = "login at an identity provider"
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:_]{1,255}")
# A path of this server: no other host, and nothing that a browser reads as one.
_NEXT = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,1999}")
_ERROR = re.compile(r"[a-z_]{1,40}")


class _Begun(msgspec.Struct):
    """A login between its two redirects."""

    provider: str
    state: str
    next: str
    redirect_uri: str
    begun_us: int


class Started(msgspec.Struct, frozen=True):
    """The page of a provider, and the cookie of the login."""

    location: str
    binding: str
    answered_by_post: bool


class Answer(msgspec.Struct, frozen=True):
    """The answer of a provider, as the browser brings it."""

    state: str
    code: str
    issuer: str
    error: str
    saml_response: str = ""


class Logins:
    """Starts and completes logins."""

    def __init__(
        self,
        *,
        store: LoginStore,
        oidc: OpenIdConnect,
        saml: Saml,
        hooks: LoginHooks,
        sessions: ProviderSessions,
        accounts: Accounts,
        attempts: Attempts,
        sealer: Sealer,
        pepper: bytes,
        public_url: str,
        clock: Clock,
    ) -> None:
        self._store, self._sessions = store, sessions
        self._oidc, self._saml, self._hooks = oidc, saml, hooks
        self._accounts, self._attempts = accounts, attempts
        self._sealer, self._pepper = sealer, pepper
        self._public_url = public_url.rstrip("/")
        self._clock = clock

    async def offered(self, company: str) -> list[Provider]:
        return await self._store.offered(company or "default")

    async def start(self, provider_id: str, page: str, origin: str) -> Started:
        """Return the page of the provider, and the cookie of the login."""
        provider = await self._provider(provider_id)
        if not _NEXT.fullmatch(page or "/"):
            raise Invalid("REQUEST_INVALID", "`next` is not a path of this server, such as /apps")
        is_saml = provider.kind == "saml"
        path = f"/login/{provider.id}/acs" if is_saml else callback_path(provider.id)
        begun = _Begun(
            provider=provider.id,
            state=secrets.token_urlsafe(24),
            next=page or "/",
            redirect_uri=f"{self._base(origin)}{path}",
            begun_us=self._clock.now_us(),
        )
        if is_saml:
            request_id = self._request_id(begun)
            location = self._saml.login_url(provider, request_id, begun.redirect_uri, begun.state)
        else:
            location = await self._oidc.authorization_url(
                provider,
                redirect_uri=begun.redirect_uri,
                state=begun.state,
                nonce=self._derived("nonce", begun.state),
                code_challenge=_challenge(self._derived("verifier", begun.state)),
            )
        sealed = self._sealer.seal(msgspec.json.encode(begun), _PLACE)
        return Started(location, base64.urlsafe_b64encode(sealed).decode(), is_saml)

    async def complete(
        self, provider_id: str, binding: str, answer: Answer, address: str
    ) -> tuple[User, TokenPair, str]:
        """Open a session from an answer; return the page to show then."""
        await self._attempts.begin("", address)
        begun = self._begun(binding, provider_id, answer.state)
        provider = await self._provider(provider_id)
        if provider.kind == "oidc":
            await self._check_issuer(provider, answer.issuer)
        login = one_time.digest(begun.state)
        if not await self._store.use(login, 2 * LOGIN_S):
            await self._accounts.end_replayed(login)
        if answer.error:
            shown = answer.error if _ERROR.fullmatch(answer.error) else "an error"
            raise LoginRefused(f"the provider answered with {shown}")
        read = self._asserted if provider.kind == "saml" else self._exchanged
        claims, opening = await read(provider, begun, answer)
        claims = await self._hooks.applied(provider, claims)
        user = await self._user(provider, claims)
        await self._sessions.remap(user.id, provider, claims)
        pair = await self._accounts.opened(user.id, replace(opening, address=address, login=login))
        await self._attempts.succeeded("", address)
        return user, pair, begun.next

    async def _exchanged(
        self, provider: Provider, begun: _Begun, answer: Answer
    ) -> tuple[Claims, Opening]:
        """Exchange the code of an OpenID provider."""
        verifier = self._derived("verifier", begun.state)
        tokens = await self._oidc.exchange(
            self._sessions.client(provider), answer.code, verifier, begun.redirect_uri
        )
        nonce = self._derived("nonce", begun.state)
        claims = await self._oidc.id_claims(provider, tokens, nonce)
        return claims, self._sessions.opening(provider, claims, tokens)

    async def _asserted(
        self, provider: Provider, begun: _Begun, answer: Answer
    ) -> tuple[Claims, Opening]:
        """Verify the answer of a SAML provider, which counts once."""
        request_id = self._request_id(begun)
        subject = await self._saml.subject(
            provider, request_id, begun.redirect_uri, answer.saml_response
        )
        used = one_time.digest(f"{provider.id} {subject.message_id}")
        if not await self._store.use(used, 2 * LOGIN_S):
            raise LoginRefused("the answer of the provider was used before; log in again")
        left_s = subject.expires_at - self._clock.now_us() / 1_000_000
        opening = Opening(
            provider=provider.id,
            subject=subject.subject,
            provider_session=subject.session or None,
            lifetime_s=min(left_s, PROVIDER_SESSION_S) if left_s > 0 else PROVIDER_SESSION_S,
        )
        return claims_of(subject), opening

    async def end_by_token(self, provider_id: str, logout_token: str) -> None:
        """End the sessions that a logout token of a provider names."""
        await self._sessions.end_by_token(await self._provider(provider_id), logout_token)

    async def end_by_request(self, provider_id: str, request: str, origin: str) -> str:
        """End the sessions that a SAML logout request names; return the page to show then."""
        provider = await self._saml_provider(provider_id)
        address = f"{self._base(origin)}/login/{provider.id}/logout"
        return await self._sessions.end_by_request(provider, address, request)

    async def metadata(self, provider_id: str, origin: str) -> str:
        """Return the description of Flowmesh that a SAML provider imports."""
        return metadata(await self._saml_provider(provider_id), self._base(origin))

    def _base(self, origin: str) -> str:
        """Return the address of this installation for browsers."""
        if not self._public_url and not _ORIGIN.fullmatch(origin):
            raise Invalid("REQUEST_INVALID", "the origin of the request is no http(s) address")
        return self._public_url or origin

    async def _saml_provider(self, id: str) -> Provider:
        found = await self._provider(id)
        if found.kind != "saml":
            raise NotFound("IDENTITY_PROVIDER_NOT_FOUND", f"the provider `{id}` is not of SAML")
        return found

    async def _provider(self, id: str) -> Provider:
        found = await self._store.provider(id)
        if found is None or found.disabled:
            raise NotFound("IDENTITY_PROVIDER_NOT_FOUND", f"there is no identity provider `{id}`")
        return found

    def _begun(self, binding: str, provider_id: str, state: str) -> _Begun:
        try:
            sealed = base64.urlsafe_b64decode(binding)
            begun = msgspec.json.decode(self._sealer.open(sealed, _PLACE), type=_Begun)
        except (SealBroken, ValueError):
            raise LoginRefused("the login was not begun in this browser; log in again") from None
        if begun.provider != provider_id or not hmac.compare_digest(begun.state, state):
            raise LoginRefused("the login was not begun in this browser; log in again")
        if self._clock.now_us() - begun.begun_us > LOGIN_S * 1_000_000:
            raise LoginRefused("the login took longer than ten minutes; log in again")
        return begun

    async def _check_issuer(self, provider: Provider, issuer: str) -> None:
        """Raise LoginRefused for the answer of another provider (RFC 9207)."""
        metadata = await self._oidc.metadata(provider.issuer)
        names_itself = metadata.get("authorization_response_iss_parameter_supported") is True
        if (issuer or names_itself) and issuer != provider.issuer:
            raise LoginRefused("the answer is not of the provider at which the login began")

    async def _user(self, provider: Provider, claims: Claims) -> User:
        """Return the user of a subject; one that is not known is created if it has a role."""
        profile = profile_of(provider, claims)
        async with self._store.changing() as store:
            user = await store.linked(provider, profile.subject)
            if user is None:
                user = await store.provisioned(provider, profile.subject, profile.email)
                user = user or await self._new_user(store, provider, profile)
                await store.link(provider, profile.subject, user.id)
            if user.disabled:
                raise LoginRefused("the user is disabled")
            await store.users.note_login(user.id)
        return user

    async def _new_user(self, store: LoginStore, provider: Provider, profile: Profile) -> User:
        if not profile.grants:
            raise LoginRefused("no rule of the provider gives the user a role")
        moved = await self._sessions.taken_over(store, provider, profile.email)
        return moved or await created(store.users, profile.email, profile.name, "")

    def _request_id(self, begun: _Begun) -> str:
        return f"_{self._derived('request', begun.state)}"

    def _derived(self, use: str, state: str) -> str:
        made = hmac.new(self._pepper, f"login {use} {state}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(made).decode().rstrip("=")


def callback_path(provider_id: str) -> str:
    """Return the path to which a provider redirects the browser."""
    return f"/login/{provider_id}/callback"


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
