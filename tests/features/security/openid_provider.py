"""An OpenID provider on this machine whose answers a test can falsify, and a browser."""

import base64
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from flowmesh.contract.json_value import Json
from flowmesh.testing.polling import pause

CLIENT, SECRET = "flowmesh", "s3cret of the client"
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


def _as_is(value: Any) -> Any:
    return value


@dataclass
class OpenIdProvider:
    """One user, and functions through which answers pass."""

    issuer: str = ""
    user: dict[str, Json] = field(
        default_factory=lambda: {
            "sub": "u-1",
            "email": "ada@corp.example",
            "email_verified": True,
            "name": "Ada",
            "groups": ["staff", "builders"],
        }
    )
    disabled: bool = False
    claims: Callable[[dict[str, Json]], Any] = _as_is
    sign: Callable[[dict[str, Json]], str] | None = None
    metadata: Callable[[dict[str, Json]], Any] = _as_is
    keys: Callable[[dict[str, Json]], Any] = _as_is
    answer: Callable[[dict[str, str]], Any] = _as_is
    delay_s: float = 0.0
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        self._codes: dict[str, dict[str, str]] = {}
        self._refresh: set[str] = set()

    def restore(self) -> None:
        """Answer truthfully again."""
        self.claims = self.metadata = self.keys = self.answer = _as_is
        self.sign, self.delay_s, self.disabled = None, 0.0, False

    def signed(self, claims: dict[str, Json]) -> str:
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": "k1"})

    def id_token(self, nonce: str, access: str) -> str:
        now = int(time.time())
        half = hashlib.sha256(access.encode()).digest()[:16]
        claims: dict[str, Json] = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "sid": "s-1",
            "at_hash": base64.urlsafe_b64encode(half).decode().rstrip("="),
            **self.user,
        }
        return (self.sign or self.signed)(self.claims(claims))

    def logout_token(self, **other: Json) -> str:
        now = int(time.time())
        events: dict[str, Json] = {LOGOUT_EVENT: {}}
        claims: dict[str, Json] = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 60}
        return self.signed(
            {**claims, "jti": secrets.token_hex(8), "events": events, "sid": "s-1", **other}
        )

    async def _discovery(self, request: web.Request) -> web.StreamResponse:
        self.asked.append("discovery")
        await pause(self.delay_s)
        found = self.metadata(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "end_session_endpoint": f"{self.issuer}/end",
                "authorization_response_iss_parameter_supported": True,
            }
        )
        return found if isinstance(found, web.StreamResponse) else web.json_response(found)

    async def _keys_of(self, request: web.Request) -> web.StreamResponse:
        self.asked.append("keys")
        jwk = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        found = self.keys({"keys": [{**jwk, "kid": "k1", "use": "sig"}]})
        return found if isinstance(found, web.StreamResponse) else web.json_response(found)

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        assert query["code_challenge_method"] == "S256"
        assert query["response_type"] == "code"
        code = secrets.token_hex(8)
        self._codes[code] = query
        answer = {"code": code, "state": query["state"], "iss": self.issuer}
        location = f"{query['redirect_uri']}?{urlencode(self.answer(answer))}"
        raise web.HTTPFound(location)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        self.asked.append(str(form["grant_type"]))
        given = aiohttp.BasicAuth.decode(request.headers["authorization"])
        if form["grant_type"] == "refresh_token":
            token = str(form["refresh_token"])
            if self.disabled or token not in self._refresh:
                return web.json_response({"error": "invalid_grant"}, status=400)
            self._refresh.remove(token)
            nonce = ""
        else:
            begun = self._codes.pop(str(form["code"]), None)
            digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            right = begun is not None and begun["code_challenge"] == challenge
            if not right or given.password.replace("%20", " ") != SECRET or begun is None:
                return web.json_response({"error": "invalid_grant"}, status=400)
            nonce = begun["nonce"]
        access, refresh = secrets.token_hex(8), secrets.token_hex(8)
        self._refresh.add(refresh)
        return web.json_response(
            {
                "access_token": access,
                "id_token": self.id_token(nonce, access),
                "refresh_token": refresh,
                "token_type": "Bearer",
            }
        )

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/keys", self._keys_of)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        return app


@asynccontextmanager
async def openid_provider() -> AsyncIterator[OpenIdProvider]:
    """Serve a provider until the end of the block."""
    provider = OpenIdProvider()
    runner = web.AppRunner(provider.app(), shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        await runner.cleanup()


class Browser:
    """Keeps cookies of one server and follows no redirects by itself."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.cookies: dict[str, str] = {}

    async def get(self, address: str, **headers: str) -> tuple[int, str]:
        """Return the status and the location of a page."""
        return await self._send("GET", address, None, headers)

    async def post(self, address: str, form: dict[str, str], **headers: str) -> tuple[int, str]:
        """Post a form as a page of another site does."""
        return await self._send("POST", address, form, {"origin": "https://idp.example", **headers})

    async def _send(
        self, method: str, address: str, form: dict[str, str] | None, headers: dict[str, str]
    ) -> tuple[int, str]:
        own = address.startswith((self.url, "/"))
        if own and self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        url = f"{self.url}{address}" if address.startswith("/") else address
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(
                method, url, data=form, headers=headers, allow_redirects=False
            ) as response,
        ):
            for text in response.headers.getall("set-cookie", []) if own else ():
                for name, morsel in SimpleCookie(text).items():
                    self.cookies[name] = morsel.value
                    if not morsel.value:
                        del self.cookies[name]
            return response.status, response.headers.get("location", "")

    async def log_in(self, provider_id: str, page: str = "/apps") -> str:
        """Log in at a provider; return the page that is shown then."""
        status, location = await self.get(f"/login/{provider_id}?{urlencode({'next': page})}")
        assert status == 303, location
        if location.startswith("/"):
            return location
        status, location = await self.get(location)
        assert status == 302, location
        status, location = await self.get(location)
        assert status == 303, location
        return location


def reason_of(location: str) -> str:
    """Return the reason that a page of a refused login shows."""
    return parse_qs(urlsplit(location).query).get("error", [""])[0]
