"""Opaque tokens: for refreshing, inviting and bootstrapping. Only digests are stored."""

import base64
import hashlib
import hmac
import secrets

TOKEN_BYTES = 32


def new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def successor(token: str, pepper: bytes) -> str:
    """Return the refresh token after this one.

    It is derived, so that a client whose answer was lost gets the same one again.
    """
    made = hmac.new(pepper, b"refresh " + token.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
