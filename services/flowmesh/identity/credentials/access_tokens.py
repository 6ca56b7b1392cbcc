"""Access tokens: JWT (RFC 7519) signed with Ed25519, and the keys that sign them."""

import base64
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from flowmesh.access.sealing import SealBroken, Sealer
from flowmesh.identity.limits import ACCESS_TOKEN_S
from flowmesh.identity.storage.records import SigningKey
from flowmesh.identity.storage.sessions import SessionStore

ISSUER = "flowmesh"
AUDIENCE = "flowmesh"
ALGORITHM = "EdDSA"
TOKEN_BYTES_MAX = 8_192
# Keys are read again after this time, or at once for a key id that is not known.
KEYS_KEPT_S = 60.0
KEYS_READ_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Claims:
    """The verified content of an access token."""

    user_id: str
    session: str
    expires_us: int


class AccessTokens:
    """Issues and verifies access tokens with the keys of the database."""

    def __init__(
        self, *, sessions: SessionStore, sealer: Sealer, now: Callable[[], float] = time.time
    ) -> None:
        self._sessions = sessions
        self._sealer = sealer
        self._now = now
        self._keys: dict[str, SigningKey] = {}
        self._private: dict[str, Ed25519PrivateKey] = {}
        self._read_at = 0.0

    async def issue(self, user_id: str, session: str) -> tuple[str, int]:
        """Return a token and the time of its expiry in microseconds."""
        await self._refresh(KEYS_KEPT_S)
        key = next(key for key in self._keys.values() if key.signs)
        issued = int(self._now())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "sid": session,
            "iat": issued,
            "exp": issued + ACCESS_TOKEN_S,
            "jti": secrets.token_urlsafe(12),
        }
        private = self._private[key.kid]
        token = jwt.encode(claims, private, algorithm=ALGORITHM, headers={"kid": key.kid})
        return token, (issued + ACCESS_TOKEN_S) * 1_000_000

    async def verified(self, token: str) -> Claims | None:
        """Return the content of a token; None if it is malformed, forged or expired."""
        if len(token) > TOKEN_BYTES_MAX:
            return None
        try:
            kid = str(jwt.get_unverified_header(token).get("kid", ""))
        except jwt.InvalidTokenError:
            return None
        await self._refresh(KEYS_KEPT_S if kid in self._keys else KEYS_READ_AGAIN_S)
        key = self._keys.get(kid)
        if key is None:
            return None
        try:
            claims = jwt.decode(
                token,
                Ed25519PublicKey.from_public_bytes(key.public),
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": ["iss", "aud", "sub", "sid", "iat", "exp", "jti"]},
            )
        except jwt.InvalidTokenError:
            return None
        return Claims(str(claims["sub"]), str(claims["sid"]), int(claims["exp"]) * 1_000_000)

    async def key_set(self) -> str:
        """Return the public keys as a JSON Web Key Set (RFC 7517, RFC 8037)."""
        await self._refresh(KEYS_KEPT_S)
        keys = [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "use": "sig",
                "alg": ALGORITHM,
                "kid": key.kid,
                "x": base64.urlsafe_b64encode(key.public).decode().rstrip("="),
            }
            for key in self._keys.values()
        ]
        return json.dumps({"keys": keys})

    async def rotate(self) -> bool:
        """Add a signing key if the newest ends within a day; return whether one was added."""
        async with self._sessions.changing() as sessions:
            await sessions.lock_signing_keys()
            known = await sessions.signing_keys()
            if any(key.signs and not key.ends_soon and self._opened(key) for key in known):
                return False
            kid = secrets.token_urlsafe(9)
            private = Ed25519PrivateKey.generate()
            sealed = self._sealer.seal(private.private_bytes_raw(), _place(kid))
            await sessions.insert_signing_key(kid, private.public_key().public_bytes_raw(), sealed)
        self._read_at = 0.0
        return True

    async def _refresh(self, kept_s: float) -> None:
        if self._now() - self._read_at < kept_s:
            return
        found = await self._sessions.signing_keys()
        opened = {key.kid: self._opened(key) for key in found}
        self._private = {kid: private for kid, private in opened.items() if private is not None}
        self._keys = {key.kid: key for key in found if key.kid in self._private}
        self._read_at = self._now()

    def _opened(self, key: SigningKey) -> Ed25519PrivateKey | None:
        """Return the private part; None if another key file sealed it, so that it is not used."""
        try:
            return Ed25519PrivateKey.from_private_bytes(
                self._sealer.open(key.sealed, _place(key.kid))
            )
        except SealBroken:
            return None


def _place(kid: str) -> str:
    return f"signing key {kid}"
