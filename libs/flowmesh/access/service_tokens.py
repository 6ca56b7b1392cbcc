"""Tokens by which services of one installation recognize each other.

A JWT of a minute, signed with the key of the service that calls, which is derived from the secret
of the installation. It names that service, the gRPC service that is called, and the principal on
whose behalf, whose permissions the callee looks up itself. It proves nothing on a connection that
callers from outside can open: `Authenticator` asks for the sender of each connection.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from flowmesh.access.principal import Principal
from flowmesh.access.recent import Recent

METADATA_KEY = "flowmesh-principal"
# The address that a forwarded call came from.
PEER = "flowmesh-peer"
# Marks a call that one orchestrator passes to another.
FORWARDED = "flowmesh-forwarded"
INTERNAL_METADATA = frozenset({METADATA_KEY, PEER, FORWARDED})
"""Metadata and headers that only services of the suite may send."""
ALGORITHM = "EdDSA"
LIFETIME_S = 60
# A token is used for half of its life, so that it does not expire on its way.
REUSE_S = 30
TOKENS_MAX = 20_000
TOKEN_BYTES_MAX = 8_192
SERVICE_CHARACTERS_MAX = 256
KEYS_MAX = 256
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class ServiceCall:
    """The verified content of a token."""

    service: str
    # The gRPC service that it is for.
    audience: str
    # Empty for a call of the service itself.
    principal_id: str
    session: str
    # In seconds since 1970.
    expires: float


class ServiceTokens:
    """Mints and verifies the tokens of one process."""

    def __init__(
        self,
        *,
        key: bytes,
        service: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._secret = key
        self._key = service_key(key, service)
        self._service = service
        self._now = now
        self._minted: Recent[tuple[str, str, str], tuple[float, str]] = Recent(TOKENS_MAX)
        self._verified: Recent[str, ServiceCall] = Recent(TOKENS_MAX)
        self._public: Recent[str, Ed25519PublicKey] = Recent(KEYS_MAX)

    def token(self, principal: Principal | None, audience: str) -> str:
        """Return a token for calls of a gRPC service, for a principal or the service itself."""
        about = ("", "") if principal is None else (principal.id, principal.session)
        key = (audience, *about)
        now = self._now()
        found = self._minted.get(key)
        if found is not None and now < found[0]:
            return found[1]
        claims = {
            "iss": self._service,
            "aud": audience,
            "exp": int(now) + LIFETIME_S,
            "sub": about[0],
            "sid": about[1],
        }
        token = jwt.encode(claims, self._key, algorithm=ALGORITHM)
        self._minted.put(key, (now + REUSE_S, token))
        return token

    def verified(self, token: str, audience: str) -> ServiceCall | None:
        """Return the content of a valid token; None if it is forged, too old or for another."""
        found = self._verified.get(token)
        if found is None:
            found = self._decoded(token)
            if found is None:
                return None
            self._verified.put(token, found)
        is_valid = found.audience == audience and self._now() < found.expires
        return found if is_valid else None

    def _decoded(self, token: str) -> ServiceCall | None:
        if len(token) > TOKEN_BYTES_MAX:
            return None
        try:
            unverified = jwt.decode(token, options={"verify_signature": False})
            claims = jwt.decode(
                token,
                self._public_key(str(unverified.get("iss", ""))),
                algorithms=[ALGORITHM],
                # Both are checked at each use, as verified tokens are kept.
                options={
                    "require": ["iss", "aud", "exp", "sub"],
                    "verify_exp": False,
                    "verify_aud": False,
                },
            )
        except jwt.InvalidTokenError:
            return None
        return ServiceCall(
            service=str(claims["iss"]),
            audience=str(claims["aud"]),
            principal_id=str(claims["sub"]),
            session=str(claims.get("sid", "")),
            expires=float(claims["exp"]),
        )

    def _public_key(self, service: str) -> Ed25519PublicKey:
        """Return the key of a service; raise jwt.InvalidTokenError for a name that is none."""
        if not service or len(service) > SERVICE_CHARACTERS_MAX:
            raise jwt.InvalidIssuerError
        found = self._public.get(service)
        if found is None:
            found = service_key(self._secret, service).public_key()
            self._public.put(service, found)
        return found


def service_key(secret: bytes, service: str) -> Ed25519PrivateKey:
    """Return the key by which a service signs its tokens."""
    info = b"flowmesh service " + service.encode()
    derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret)
    return Ed25519PrivateKey.from_private_bytes(derived)
