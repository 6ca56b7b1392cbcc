"""Values that only the holder of a key can read, each bound to its place.

AES-256-GCM with one key for both sides; HPKE (RFC 9180) where another installation seals.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

NONCE_BYTES = 12
_HPKE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class SealBroken(ValueError):
    """A sealed value was changed, moved, or sealed with another key."""


class Sealer:
    """Seals and opens values with one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, value: bytes, place: str) -> bytes:
        """Return the value encrypted; `place` has to be the same to open it."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        nonce, body = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, body, place.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken(f"the sealed value of {place} cannot be opened") from error


class ReceivingKey:
    """A private key: all that have the public one can seal, and only its holder can open."""

    def __init__(self, private: bytes | None = None) -> None:
        """`private` is that of another instance; without one, a new key is made."""
        made = X25519PrivateKey.generate() if private is None else None
        self._key = made or X25519PrivateKey.from_private_bytes(private or b"")

    @property
    def private(self) -> bytes:
        return self._key.private_bytes_raw()

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def open(self, sealed: bytes, place: str) -> bytes:
        """Return a value that was sealed for this key and place. Raises SealBroken."""
        try:
            return _HPKE.decrypt(sealed, self._key, place.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken(f"the sealed value of {place} cannot be opened") from error


def seal_for(public: bytes, value: bytes, place: str) -> bytes:
    """Return a value sealed for the holder of a key. Raises ValueError for one that is none."""
    return _HPKE.encrypt(value, X25519PublicKey.from_public_bytes(public), place.encode())
