"""Login of users of applications at OAuth2 providers: the code flow with PKCE."""

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

import orjson

from flowmesh.apps.http.messages import Request, Response
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.modules.http_client import HttpClient
from flowmesh.apps.modules.sessions import Cookies, cookie_of
from flowmesh.apps.modules.users import User, UserStore, checked_address, new_id
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError

STATE_S = 600
CALL_S = 10.0
_STATE = "oauth-state"


class Sealing(Protocol):
    """Signs claims, and checks them."""

    def sealed(self, kind: str, life_s: int, **claims: Json) -> str: ...

    def check(self, token: str, kind: str = ...) -> dict[str, Json] | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthProvider:
    """A provider and this application as its client."""

    name: str
    client_id: str
    client_secret: str
    auth_url: str
    token_url: str
    user_info_url: str
    # Of this application at the provider; that of the request if empty.
    redirect_url: str
    scopes: tuple[str, ...]
    # The provider has verified all addresses, and does not say so of each.
    trusts_email: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """A user as a provider knows it; `login` names it at this provider for ever."""

    login: str
    address: str
    name: str


class OAuthLogin:
    """Leads browsers to providers and takes them back.

    The browser keeps the verifier of its login in a cookie, and the state has the challenge of it:
    only the browser that began a login can complete it.
    """

    def __init__(
        self,
        *,
        providers: Mapping[str, OAuthProvider],
        tokens: Sealing,
        client: HttpClient,
        log: Callable[[str, str], None],
    ) -> None:
        """`log` takes the level and the message of a call that failed."""
        self._providers = providers
        self._tokens = tokens
        self._client = client
        self._log = log
        self._cookies = Cookies(name="oauth2", max_age_s=STATE_S)

    async def stop(self) -> None:
        await self._client.stop()

    def clearing(self) -> tuple[bytes, bytes]:
        """Return the header that removes the cookie of a login."""
        return self._cookies.clearing()

    async def handle(
        self, request: Request, parts: Sequence[str], users: UserStore
    ) -> Response | User:
        """Lead to the provider that a path names, or return the user that comes back from it.

        Raises HttpProblem.
        """
        if parts[-2] == "oauth2":
            return self.begin(parts[-1], request)
        if parts[-1] != "callback" or parts[-3] != "oauth2":
            raise HttpProblem(404, "ROUTE_NOT_FOUND", "the path ends in oauth2/PROVIDER/callback")
        found = await self.finish(parts[-2], request)
        user = users.find(found.address)
        if user is None:
            user = {
                "id": new_id(),
                "email": checked_address(found.address),
                "name": found.name,
                "role": "user",
                "createdAt": int(time.time()),
                "login": found.login,
            }
            await users.add(user)
        elif user.get("login") != found.login:
            # The user of this address did not prove to own it when it was registered.
            text = "a user with this address already exists; log in as this user did before"
            raise HttpProblem(409, "USER_EXISTS", text)
        return user

    def begin(self, name: str, request: Request) -> Response:
        """Lead to a provider. Raises HttpProblem for an unknown one."""
        provider = self._provider(name)
        verifier = secrets.token_urlsafe(32)
        challenge = _challenge(verifier)
        query = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": _redirect(provider, request, f"{request.path.rstrip('/')}/callback"),
            "scope": " ".join(provider.scopes),
            "state": self._tokens.sealed(_STATE, STATE_S, sub=name, challenge=challenge),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in provider.auth_url else "?"
        place = f"{provider.auth_url}{joint}{urlencode(query)}".encode("latin-1")
        headers = [
            (b"location", place),
            (b"cache-control", b"no-store"),
            self._cookies.setting(verifier),
        ]
        return Response(302, b"", b"", headers)

    async def finish(self, name: str, request: Request) -> Identity:
        """Return the user that a provider sends back. Raises HttpProblem."""
        provider = self._provider(name)
        query = request.query
        verifier = cookie_of(request, self._cookies.name)
        state = self._tokens.check(query.get("state", ""), _STATE)
        begun = state is not None and state.get("sub") == name
        if not begun or state is None or state.get("challenge") != _challenge(verifier):
            raise HttpProblem(403, "LOGIN_FOREIGN", "this browser has not begun this login")
        if not query.get("code"):
            raise HttpProblem(401, "LOGIN_FAILED", f"{name} has not let the user in")
        token = await self._exchanged(provider, request, query["code"], verifier)
        return await self._identity(provider, token)

    async def _exchanged(
        self, provider: OAuthProvider, request: Request, code: str, verifier: str
    ) -> str:
        """Exchange the code for a token of access."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": _redirect(provider, request, request.path),
            "client_id": provider.client_id,
            "client_secret": provider.client_secret,
            "code_verifier": verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(form).encode()
        found = await self._json(provider, "POST", provider.token_url, headers, body)
        token = found.get("access_token")
        if not isinstance(token, str) or not token:
            raise HttpProblem(401, "LOGIN_FAILED", f"{provider.name} gave no token for this code")
        return token

    async def _identity(self, provider: OAuthProvider, token: str) -> Identity:
        headers = {"Authorization": f"Bearer {token}"}
        found = await self._json(provider, "GET", provider.user_info_url, headers, None)
        subject = found.get("sub", found.get("id"))
        address = found.get("email")
        verified = provider.trusts_email or found.get("email_verified") is True
        if subject in (None, "") or not isinstance(address, str) or not verified:
            text = f"{provider.name} names no user with a verified address"
            raise HttpProblem(403, "LOGIN_FAILED", text)
        name = str(found.get("name") or found.get("login") or "")
        return Identity(f"{provider.name}:{subject}", address, name)

    async def _json(
        self,
        provider: OAuthProvider,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> dict[str, Json]:
        given = {"Accept": "application/json", **headers}
        try:
            answer = await self._client.send(method, url, given, body, CALL_S)
            found = orjson.loads(answer.body)
        except (HttpProblem, FlowmeshError, orjson.JSONDecodeError) as error:
            self._log("warn", f"{method} {url} of the provider {provider.name} failed: {error}")
            text = f"{provider.name} cannot be asked now"
            raise HttpProblem(502, "UPSTREAM_FAILED", text) from None
        if answer.status >= 400 or not isinstance(found, dict):
            raise HttpProblem(401, "LOGIN_FAILED", f"{provider.name} refused this login")
        return found

    def _provider(self, name: str) -> OAuthProvider:
        found = self._providers.get(name)
        if found is None:
            known = ", ".join(self._providers)
            text = f"unknown provider {name[:80]!r}; known: {known}"
            raise HttpProblem(404, "PROVIDER_NOT_FOUND", text)
        return found


def _redirect(provider: OAuthProvider, request: Request, path: str) -> str:
    return provider.redirect_url or f"{request.scheme}://{request.header(b'host')}{path}"


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
