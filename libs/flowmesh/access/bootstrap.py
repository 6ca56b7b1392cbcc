"""Bootstrap tokens: they make the first owner of an installation.

A token is the time of its expiry, signed with a key of the installation, so that it can be made
before there is a database. The identity service accepts each once.
"""

import base64
import binascii
import hashlib
import hmac

LIFETIME_S = 3_600
_TIME_BYTES = 8


def bootstrap_token(key: bytes, now_us: int) -> str:
    """Return a token that is valid for an hour."""
    expires = (now_us // 1_000_000 + LIFETIME_S).to_bytes(_TIME_BYTES, "big")
    return base64.urlsafe_b64encode(expires + _signature(key, expires)).decode().rstrip("=")


def is_bootstrap_token(token: str, key: bytes, now_us: int) -> bool:
    """Return whether a token was signed with the key and has not expired."""
    try:
        decoded = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return False
    expires, signature = decoded[:_TIME_BYTES], decoded[_TIME_BYTES:]
    if not hmac.compare_digest(signature, _signature(key, expires)):
        return False
    return int.from_bytes(expires, "big") * 1_000_000 > now_us


def _signature(key: bytes, expires: bytes) -> bytes:
    return hmac.new(key, expires, hashlib.sha256).digest()
