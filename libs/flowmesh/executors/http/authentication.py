"""Authentication of `http.request`: basic, bearer, API key, OAuth 2.

Credentials can hold templates, so they are carried in internal headers until these are rendered;
`Authenticating` replaces them by the headers that the service expects. OAuth 2 tokens are fetched
with client credentials and used until shortly before they expire.
"""

import asyncio
import hashlib
import re
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus, urlencode

import orjson

from flowmesh.contract.json_value import Json
from flowmesh.egress import Response
from flowmesh.egress.bodies import RESPONSE_BYTES_MAX
from flowmesh.executors import failures
from flowmesh.executors.base import Sender
from flowmesh.executors.failures import TaskFailure, invalid
from flowmesh.executors.http.answers import NowUs, failure_of

TOKENS_MAX = 1_000
TOKEN_RESPONSE_BYTES_MAX = 64 * 1024
# The lifetime of a token without `expires_in`, and the margin before an expiry.
TOKEN_LIFE_US = 300 * 1_000_000
TOKEN_MARGIN_US = 10 * 1_000_000
_OURS = "flowmesh-authentication-"
_TEMPLATE = re.compile(r"(\{\{.*?\}\})", re.DOTALL)
_DEFAULT_KEY = "X-API-Key"


def with_authentication(config: dict[str, Json]) -> dict[str, Json]:
    """Return the configuration with its `authentication` moved into the URL and headers."""
    said = config.get("authentication") or {}
    headers = dict(config.get("headers") or {})
    url = str(config.get("url") or "")
    match said.get("type"):
        case "bearer":
            headers["Authorization"] = f"Bearer {said['token']}"
        case "apiKey" if said.get("in") == "query":
            url += "&" if "?" in url else "?"
            url += quote_plus(str(said.get("name") or _DEFAULT_KEY)) + "="
            # Templates in the key are encoded when they are rendered.
            parts = _TEMPLATE.split(str(said["value"]))
            url += "".join(p if p.startswith("{{") else quote_plus(p) for p in parts)
        case "apiKey":
            headers[str(said.get("name") or _DEFAULT_KEY)] = said["value"]
        case "basic" | "oauth2":
            headers |= internal_headers(said)
    return {**config, "url": url, "headers": headers}


def internal_headers(said: Mapping[str, Json]) -> dict[str, Json]:
    """Return the internal headers for `Authenticating`."""
    return {_OURS + key: value for key, value in said.items()}


@dataclass(slots=True)
class _Token:
    """A token and its replacement time; the lock makes one caller fetch it for all."""

    value: str = ""
    until_us: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Authenticating:
    """A Sender that authenticates requests; all steps share one, and so its tokens."""

    def __init__(self, sender: Sender, now_us: NowUs) -> None:
        self._sender = sender
        self._now_us = now_us
        self._tokens: OrderedDict[bytes, _Token] = OrderedDict()

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_ms: int,
        response_bytes_max: int = RESPONSE_BYTES_MAX,
    ) -> Response:
        said = {key[len(_OURS) :]: v for key, v in headers.items() if key.startswith(_OURS)}
        given = {key: value for key, value in headers.items() if not key.startswith(_OURS)}
        end_us = self._now_us() + timeout_ms * 1_000

        async def sent(authorization: str) -> Response:
            proof = {"Authorization": authorization} if authorization else {}
            return await self._sender.send(
                method,
                url,
                headers=given | proof,
                body=body,
                timeout_ms=self._left_ms(end_us),
                response_bytes_max=response_bytes_max,
            )

        if said.get("type") != "oauth2":
            return await sent(basic_credentials(said["username"], said["password"]) if said else "")
        token, fetched = await self._token(said, end_us, "")
        response = await sent(f"Bearer {token}")
        if response.status != 401 or fetched:
            return response
        # The token may have been revoked.
        token, _ = await self._token(said, end_us, token)
        return await sent(f"Bearer {token}")

    def _left_ms(self, end_us: int) -> int:
        return max(1, (end_us - self._now_us()) // 1_000)

    async def _token(self, said: Mapping[str, str], end_us: int, refused: str) -> tuple[str, bool]:
        """Return a token other than the rejected one, and whether this call fetched it."""
        key = hashlib.sha256(orjson.dumps(sorted(said.items()))).digest()
        token = self._tokens.setdefault(key, _Token())
        self._tokens.move_to_end(key)
        while len(self._tokens) > TOKENS_MAX:
            self._tokens.popitem(last=False)
        async with token.lock:
            if token.value not in ("", refused) and self._now_us() < token.until_us:
                return token.value, False
            token.value, life_us = await self._fetch(said, end_us)
            token.until_us = self._now_us() + life_us
            return token.value, True

    async def _fetch(self, said: Mapping[str, str], end_us: int) -> tuple[str, int]:
        """Fetch a token and its lifetime, by RFC 6749, 4.4."""
        form = {"grant_type": "client_credentials"}
        form |= {key: said[key] for key in ("scope", "audience") if said.get(key)}
        url = said.get("tokenUrl") or await self._discovered(said["discoveryUrl"], end_us)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        if said.get("clientAuthentication") == "client_secret_post":
            form |= {"client_id": said["clientId"], "client_secret": said["clientSecret"]}
        else:
            # Each part is form-encoded before it is joined: RFC 6749, 2.3.1.
            client = (quote(said[key], safe="") for key in ("clientId", "clientSecret"))
            headers["Authorization"] = basic_credentials(*client)
        response = await self._sender.send(
            "POST",
            url,
            headers=headers,
            body=urlencode(form).encode(),
            timeout_ms=self._left_ms(end_us),
            response_bytes_max=TOKEN_RESPONSE_BYTES_MAX,
        )
        self._require_success(response, "no token")
        try:
            answer = orjson.loads(response.body)
            value, seconds = answer["access_token"], answer.get("expires_in")
        except (ValueError, TypeError, KeyError, AttributeError):
            value, seconds = None, None
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise TaskFailure(failures.AUTHENTICATION, "the authorization server gave no token")
        life_us = TOKEN_LIFE_US
        if isinstance(seconds, int | float) and not isinstance(seconds, bool):
            life_us = int(min(max(seconds, 0), 10**9) * 1_000_000)
        return value, max(0, life_us - TOKEN_MARGIN_US)

    async def _discovered(self, url: str, end_us: int) -> str:
        """Return the token endpoint of an authority, by OpenID Connect Discovery 1.0."""
        response = await self._sender.send(
            "GET",
            url,
            headers={"Accept": "application/json"},
            timeout_ms=self._left_ms(end_us),
            response_bytes_max=TOKEN_RESPONSE_BYTES_MAX,
        )
        self._require_success(response, "no configuration")
        try:
            endpoint = orjson.loads(response.body)["token_endpoint"]
        except (ValueError, TypeError, KeyError):
            endpoint = None
        if not isinstance(endpoint, str):
            message = f"the configuration of the authority at {url} has no token_endpoint"
            raise TaskFailure(failures.AUTHENTICATION, message)
        return endpoint

    def _require_success(self, response: Response, what: str) -> None:
        if response.status < 400:
            return
        failure = failure_of(response, self._now_us)
        failure.message = f"{what}: the authorization server answered {response.status}"
        if failure.class_ == failures.CLIENT:
            failure.class_ = failures.AUTHENTICATION
        raise failure


def basic_credentials(username: str, password: str) -> str:
    """Return the value of the Authorization header. Raises TaskFailure."""
    if ":" in username:
        raise invalid("a username of basic authentication must not contain a colon")
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()
