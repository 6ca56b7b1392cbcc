"""The text form of API keys: `fm_`, 12 characters of id, 43 of secret, 6 of checksum.

The checksum finds typing errors, and secrets in places where they should not be, without asking
the database. Only a digest of the secret is stored.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass

PREFIX = "fm_"
ID_CHARS = 12
SECRET_BYTES = 32
_ALPHABET = string.ascii_lowercase + string.digits
_FORM = re.compile(r"fm_([a-z0-9]{12})_([A-Za-z0-9_-]{43})([0-9a-f]{6})")


@dataclass(frozen=True, slots=True)
class KeyText:
    """An API key in parts; the id is that of the row without its prefix."""

    id: str
    secret: str

    def __str__(self) -> str:
        body = f"{PREFIX}{self.id}_{self.secret}"
        return body + _checksum(body)


def new_id() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(ID_CHARS))


def new_key(id: str) -> KeyText:
    """Return a key with a new secret."""
    return KeyText(id, secrets.token_urlsafe(SECRET_BYTES))


def parsed(text: str) -> KeyText | None:
    """Return the parts of a well-formed key; None for any other text."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    key = KeyText(found[1], found[2])
    return key if hmac.compare_digest(str(key), text) else None


def digest(secret: str, pepper: bytes) -> bytes:
    """Return the digest under which a secret is stored."""
    return hmac.new(pepper, secret.encode(), hashlib.sha256).digest()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"[:6]
