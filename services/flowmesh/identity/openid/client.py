"""OpenID Connect: the documents of a provider, its token endpoint, and the tokens that it signs.

All calls go through the egress client, without redirects and with bounds. The issuer of a provider
is fixed by its settings; its documents have to name the same.
"""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

import jwt
import orjson

from flowmesh.access.recent import Recent
from flowmesh.contract.json_value import Json
from flowmesh.egress import Egress, EgressFailure, Response
from flowmesh.errors import FlowmeshError
from flowmesh.identity.limits import (
    CLOCK_SKEW_S,
    PROVIDER_CALL_MS,
    PROVIDER_DOCUMENT_BYTES_MAX,
    PROVIDER_KEPT_S,
    PROVIDER_KEYS_MAX,
    PROVIDER_READ_AGAIN_S,
    PROVIDER_TOKEN_BYTES_MAX,
)
from flowmesh.identity.openid.errors import LoginRefused, ProviderUnavailable
from flowmesh.identity.openid.mapping import Claims
from flowmesh.identity.storage.records import Provider

# Asymmetric only: with a symmetric one, the public key or the secret would sign.
_HASHES = {
    f"{family}{bits}": f"sha{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)
}
ALGORITHMS = [*_HASHES, "EdDSA", "Ed25519"]
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
PROVIDERS_KNOWN_MAX = 1_000
_DISCOVERY = "/.well-known/openid-configuration"
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Client:
    """Flowmesh as a client of a provider; the secret is empty for a public client."""

    provider: Provider
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProviderTokens:
    """The answer of a token endpoint; absent tokens are empty."""

    id_token: str = field(repr=False)
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass(slots=True)
class _Known:
    """The documents of an issuer, and the times at which they were read."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    metadata: dict[str, Json] = field(default_factory=dict)
    keys: dict[str, dict[str, Json]] = field(default_factory=dict)
    metadata_at: float = float("-inf")
    keys_at: float = float("-inf")


class OpenIdConnect:
    """The client side of OpenID Connect for all providers of an installation."""

    def __init__(self, egress: Egress, now: Callable[[], float] = time.monotonic) -> None:
        self._egress = egress
        self._now = now
        self._issuers: Recent[str, _Known] = Recent(PROVIDERS_KNOWN_MAX)

    async def metadata(self, issuer: str) -> Mapping[str, Json]:
        """Return the discovery document of an issuer; raise ProviderUnavailable."""
        known = self._known(issuer)
        async with known.lock:
            if self._now() - known.metadata_at > PROVIDER_KEPT_S:
                found = await self._document(issuer + _DISCOVERY)
                if found.get("issuer") != issuer:
                    raise ProviderUnavailable(
                        f"the discovery document of {issuer} names another issuer"
                    )
                for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                    _check_endpoint(issuer, name, found.get(name))
                known.metadata, known.metadata_at = found, self._now()
            return known.metadata

    async def authorization_url(self, provider: Provider, **query: str) -> str:
        endpoint = str((await self.metadata(provider.issuer))["authorization_endpoint"])
        scopes = " ".join(["openid", *(provider.scopes or ("profile", "email"))])
        query = {
            "response_type": "code",
            "client_id": provider.client_id,
            "scope": scopes,
            "code_challenge_method": "S256",
            **query,
        }
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"

    async def exchange(
        self, client: Client, code: str, verifier: str, redirect_uri: str
    ) -> ProviderTokens:
        """Exchange the code of an answer; raise LoginRefused and ProviderUnavailable."""
        return await self._tokens(
            client,
            grant_type="authorization_code",
            code=code,
            code_verifier=verifier,
            redirect_uri=redirect_uri,
        )

    async def refresh(self, client: Client, refresh_token: str) -> ProviderTokens:
        """Refresh the tokens of a session; raise LoginRefused if it has ended."""
        return await self._tokens(client, grant_type="refresh_token", refresh_token=refresh_token)

    async def revoke(self, client: Client, refresh_token: str) -> None:
        """Revoke the tokens of a session (RFC 7009), if the provider can."""
        endpoint = (await self.metadata(client.provider.issuer)).get("revocation_endpoint")
        if isinstance(endpoint, str):
            form = {"token": refresh_token, "token_type_hint": "refresh_token"}
            await self._post(client, endpoint, form)

    async def logout_url(self, provider: Provider, id_token: str, back_to: str) -> str:
        """Return the page at which a browser ends the session of a provider; empty for none."""
        endpoint = (await self.metadata(provider.issuer)).get("end_session_endpoint")
        if not isinstance(endpoint, str):
            return ""
        _check_endpoint(provider.issuer, "end_session_endpoint", endpoint)
        query = {"client_id": provider.client_id, "id_token_hint": id_token}
        if back_to:
            query["post_logout_redirect_uri"] = back_to
        return f"{endpoint}?{urlencode(query)}"

    async def id_claims(self, provider: Provider, tokens: ProviderTokens, nonce: str) -> Claims:
        """Return the claims of a verified ID token; raise LoginRefused.

        `nonce` is that of the login; empty for a refreshed token, which has none or the same.
        """
        claims, algorithm = await self._verified(provider, tokens.id_token, ("sub", "exp"))
        if nonce and not hmac.compare_digest(str(claims.get("nonce", "")), nonce):
            raise LoginRefused("the nonce of the ID token is not that of the login")
        audience, party = claims.get("aud"), claims.get("azp")
        several = isinstance(audience, list) and len(audience) > 1
        if (several or party is not None) and party != provider.client_id:
            raise LoginRefused("the ID token was issued to another client")
        stated = claims.get("at_hash")
        if stated is not None and stated != _half_hash(tokens.access_token, algorithm):
            raise LoginRefused("the access token is not the one of the ID token")
        return claims

    async def logout_claims(self, provider: Provider, token: str) -> Claims:
        """Return the claims of a verified logout token; raise LoginRefused."""
        claims, _ = await self._verified(provider, token, ("jti",))
        events = claims.get("events")
        if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
            raise LoginRefused("the token is no logout token")
        if "nonce" in claims or not (claims.get("sub") or claims.get("sid")):
            raise LoginRefused("the logout token names no session, or is an ID token")
        return claims

    async def check(self, provider: Provider) -> None:
        """Read the documents and keys of a provider; raise ProviderUnavailable."""
        self._issuers.put(provider.issuer, _Known())
        await self._keys(provider.issuer, "")

    async def _verified(
        self, provider: Provider, token: str, required: tuple[str, ...]
    ) -> tuple[Claims, str]:
        """Return the claims of a token of a provider, and its algorithm."""
        if len(token) > PROVIDER_TOKEN_BYTES_MAX:
            raise LoginRefused("the token of the provider is too long")
        try:
            head = jwt.get_unverified_header(token)
            algorithm, kid = str(head.get("alg", "")), str(head.get("kid", ""))
            if algorithm not in ALGORITHMS:
                raise LoginRefused(f"the algorithm {algorithm[:20]!r} of the token is not accepted")
            keys = await self._keys(provider.issuer, kid)
            key = keys.get(kid) or (next(iter(keys.values())) if not kid and len(keys) == 1 else {})
            claims: dict[str, Json] = jwt.decode(
                token,
                jwt.PyJWK(key, algorithm).key,
                algorithms=[algorithm],
                audience=provider.client_id,
                issuer=provider.issuer,
                leeway=CLOCK_SKEW_S,
                options={"require": ["iss", "aud", "iat", *required]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            text = f"the token of the provider is not valid: {str(error)[:100]}"
            raise LoginRefused(text) from None
        return claims, algorithm

    async def _keys(self, issuer: str, kid: str) -> dict[str, dict[str, Json]]:
        """Return the keys of an issuer by id; an unknown id has them read again, once a minute."""
        address = str((await self.metadata(issuer))["jwks_uri"])
        known = self._known(issuer)
        async with known.lock:
            age = self._now() - known.keys_at
            if age > PROVIDER_KEPT_S or (kid not in known.keys and age > PROVIDER_READ_AGAIN_S):
                # Also counts if it fails: the provider is not asked in turn.
                known.keys_at = self._now()
                found = (await self._document(address)).get("keys")
                if not isinstance(found, list) or len(found) > PROVIDER_KEYS_MAX:
                    text = f"the key set of {issuer} has not 1 to {PROVIDER_KEYS_MAX} keys"
                    raise ProviderUnavailable(text)
                known.keys = {
                    str(each.get("kid", "")): each
                    for each in found
                    if isinstance(each, dict) and each.get("use", "sig") == "sig"
                }
            return known.keys

    async def _tokens(self, client: Client, **form: str) -> ProviderTokens:
        endpoint = str((await self.metadata(client.provider.issuer))["token_endpoint"])
        answer = await self._post(client, endpoint, form)
        body = _object(answer)
        if answer.status in (400, 401):
            error = str(body.get("error", ""))
            if error in ("invalid_grant", "access_denied"):
                raise LoginRefused("the provider refused the login, or has ended it")
            # Settings that are wrong here or there are no reason to end a session.
            raise ProviderUnavailable(f"the provider refused the client: {error[:100] or 'error'}")
        if answer.status != 200:
            raise ProviderUnavailable(f"the provider answered with status {answer.status}")
        names = ("id_token", "access_token", "refresh_token")
        return ProviderTokens(*(str(body.get(name) or "") for name in names))

    async def _post(self, client: Client, endpoint: str, form: Mapping[str, str]) -> Response:
        metadata = await self.metadata(client.provider.issuer)
        methods = metadata.get("token_endpoint_auth_methods_supported")
        headers = {"content-type": _FORM, "accept": "application/json"}
        form = {**form, "client_id": client.provider.client_id}
        if client.secret and isinstance(methods, list) and "client_secret_basic" not in methods:
            form["client_secret"] = client.secret
        elif client.secret:
            parts = (quote(client.provider.client_id, safe=""), quote(client.secret, safe=""))
            encoded = base64.b64encode(":".join(parts).encode()).decode()
            headers["authorization"] = f"Basic {encoded}"
        return await self._send("POST", endpoint, headers, urlencode(form).encode())

    async def _document(self, address: str) -> dict[str, Json]:
        answer = await self._send("GET", address, {"accept": "application/json"}, None)
        if answer.status != 200:
            raise ProviderUnavailable(f"{address} answered with status {answer.status}")
        return _object(answer)

    async def _send(
        self, method: str, address: str, headers: dict[str, str], body: bytes | None
    ) -> Response:
        try:
            return await self._egress.send(
                method,
                address,
                headers=headers,
                body=body,
                timeout_ms=PROVIDER_CALL_MS,
                redirects_max=0,
                response_bytes_max=PROVIDER_DOCUMENT_BYTES_MAX,
            )
        except (EgressFailure, FlowmeshError) as error:
            raise ProviderUnavailable(f"the provider cannot be asked: {error}") from error

    def _known(self, issuer: str) -> _Known:
        known = self._issuers.get(issuer)
        if known is None:
            known = _Known()
            self._issuers.put(issuer, known)
        return known


def _object(answer: Response) -> dict[str, Json]:
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise ProviderUnavailable(f"{answer.url} answered with no JSON object")
    return found


def _check_endpoint(issuer: str, name: str, endpoint: Json) -> None:
    """Raise ProviderUnavailable for an address that is not as safe as that of the issuer."""
    scheme = urlsplit(endpoint).scheme if isinstance(endpoint, str) else ""
    if scheme not in ("https", urlsplit(issuer).scheme):
        raise ProviderUnavailable(f"`{name}` of {issuer} is missing or no https:// address")


def _half_hash(token: str, algorithm: str) -> str:
    """Return the left half of the hash of a token (OpenID Connect Core, 3.1.3.6)."""
    made = hashlib.new(_HASHES.get(algorithm, "sha512"), token.encode()).digest()
    return base64.urlsafe_b64encode(made[: len(made) // 2]).decode().rstrip("=")
