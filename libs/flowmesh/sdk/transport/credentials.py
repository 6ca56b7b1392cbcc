"""The credential of a client: an API key, or an access token that is renewed before it expires.

It is sent as `authorization: Bearer …` with every call, and appears in no text of this package.
"""

import asyncio
import base64
import binascii
import inspect
import os
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
import orjson

from flowmesh.errors import FlowmeshError, Invalid
from flowmesh.sdk.values import limits

_CREDENTIAL = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a session."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    # Time from which the access token is renewed, in seconds since 1970 on the local clock.
    renew_at: float = 0.0

    @classmethod
    def received(cls, access_token: str, refresh_token: str) -> "Tokens":
        """Return tokens that were issued just now."""
        issued, expires = (_claim(access_token, name) for name in ("iat", "exp"))
        lifetime_s = max(0.0, expires - issued)
        margin_s = min(limits.TOKEN_MARGIN_S, lifetime_s / 2)
        return cls(access_token, refresh_token, time.time() + lifetime_s - margin_s)


# Exchanges a refresh token for new tokens.
Refresh = Callable[[str], Awaitable[Tokens]]


class Login:
    """The session of a user, kept by its refresh token: `Client(token=Login(tokens))`."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    async def newest(self, refresh: Refresh, rejected: str = "") -> Tokens:
        """Return tokens that are valid now; `rejected` is an access token that is not."""
        tokens = self.tokens
        if tokens.access_token == rejected or time.time() >= tokens.renew_at:
            self.tokens = await refresh(tokens.refresh_token)
        return self.tokens


# An access token, a function that returns one, or a session.
TokenSource = str | Callable[[], str | Awaitable[str]] | Login


class Credential:
    """The credential that calls carry now. `source` names it in errors."""

    def __init__(self, text: str, source: str, *, renew: "Renew | None" = None) -> None:
        self.source = source
        self._renew = renew
        self._lock = asyncio.Lock()
        self._text = ""
        # Metadata of each call.
        self.metadata: tuple[tuple[str, str], ...] = ()
        self._renew_at = 0.0 if renew is not None else float("inf")
        self._rejected_at = -float("inf")
        if text:
            self._set(text)

    @property
    def is_due(self) -> bool:
        """True if the token is about to expire."""
        return time.time() >= self._renew_at

    async def ensure(self) -> None:
        """Renew the token if it is about to expire."""
        if not self.is_due:
            return
        async with self._lock:
            if self.is_due:
                await self._renewed("")

    async def rejected(self) -> bool:
        """Renew a token that the server refused. Return False if that does not help."""
        used = self._text
        if self._renew is None or not used:
            return False
        async with self._lock:
            if self._text != used:
                return True
            now = time.monotonic()
            if now - self._rejected_at < limits.TOKEN_REJECTED_S:
                return False
            self._rejected_at = now
            try:
                await self._renewed(used)
            except (FlowmeshError, grpc.aio.AioRpcError):
                return False
            return self._text != used

    async def _renewed(self, rejected: str) -> None:
        assert self._renew is not None
        text, renew_at = await self._renew(rejected)
        self._set(text)
        self._renew_at = max(renew_at, time.time() + limits.TOKEN_RENEWAL_S_MIN)

    def _set(self, text: str) -> None:
        if not _CREDENTIAL.fullmatch(text):
            raise Invalid(
                "CREDENTIAL_MALFORMED",
                f"the credential of {self.source} is empty or holds spaces or line breaks",
            )
        if len(text) > limits.CREDENTIAL_BYTES_MAX:
            most = limits.CREDENTIAL_BYTES_MAX
            raise Invalid(
                "CREDENTIAL_MALFORMED",
                f"the credential of {self.source} has more than {most} bytes",
            )
        self._text = text
        self.metadata = (("authorization", f"Bearer {text}"),)


# Returns a token and the time from which to renew it; takes a token that the server refused.
Renew = Callable[[str], Awaitable[tuple[str, float]]]


def credential_of(token: TokenSource | None, api_key: str, refresh: Refresh) -> Credential | None:
    """Return the credential of a client's options, or else of the environment; None for none.

    An empty token stands for none, even if the environment has one.
    """
    if token == "" and not api_key:
        return None
    if token and api_key:
        raise Invalid("CREDENTIAL_MALFORMED", "a client takes `token` or `api_key`, not both")
    if api_key:
        return Credential(api_key.strip(), "`api_key`")
    if isinstance(token, str) and token:
        return Credential(token.strip(), "`token`")
    if isinstance(token, Login):
        return Credential("", "the login", renew=_login(token, refresh))
    if token:
        return Credential("", "`token`", renew=_called(token))
    for variable in ("FLOWMESH_TOKEN", "FLOWMESH_API_KEY"):
        if text := os.environ.get(variable, "").strip():
            return Credential(text, variable)
    return None


def _login(login: Login, refresh: Refresh) -> Renew:
    async def renew(rejected: str) -> tuple[str, float]:
        tokens = await login.newest(refresh, rejected)
        return tokens.access_token, tokens.renew_at

    return renew


def _called(function: Callable[[], str | Awaitable[str]]) -> Renew:
    async def renew(_rejected: str) -> tuple[str, float]:
        found = function()
        text = (await found if inspect.isawaitable(found) else found).strip()
        expires = _claim(text, "exp")
        return text, expires - limits.TOKEN_MARGIN_S if expires else float("inf")

    return renew


def _claim(token: str, name: str) -> float:
    """Return a numeric claim of a JWT, unverified; 0 if it has none."""
    try:
        payload = token.split(".")[1]
        claims: Any = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims[name])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return 0.0
