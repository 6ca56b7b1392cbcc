"""Values that only the holder of a key can read, each bound to its place.

AES-256-GCM with one key for both sides; HPKE (RFC 9180) where another installation seals.
"""

import os
import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from flowmesh.errors import Invalid, WrongState

NONCE_BYTES = 12
IMPORT_ID_BYTES = 16
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
    """Return a value sealed for the holder of a key. Raises Invalid for one that is none."""
    try:
        return _HPKE.encrypt(value, X25519PublicKey.from_public_bytes(public), place.encode())
    except ValueError:
        text = "public_key: it is no public key of X25519, in 32 bytes"
        raise Invalid("REQUEST_INVALID", text) from None


@dataclass(frozen=True, slots=True)
class Import:
    """A key for one import from another cell; `sealed` is its private half."""

    id: str
    public: bytes
    sealed: bytes


class Imports:
    """Keys whose private halves only this installation can use; `refused` is a reason."""

    def __init__(self, installation: Sealer, content: str, *, refused: str) -> None:
        self._installation, self._content, self._refused = installation, content, refused

    def prepare(self, namespace: str) -> Import:
        id, key = secrets.token_hex(IMPORT_ID_BYTES), ReceivingKey()
        sealed = self._installation.seal(key.private, self._place(namespace, id))
        return Import(id, key.public, sealed)

    def opened(self, namespace: str, id: str, key: bytes, sealed: bytes, place: str) -> bytes:
        """Return what another cell sealed, by the sealed key of its import. Raises WrongState."""
        try:
            private = self._installation.open(key, self._place(namespace, id))
            return ReceivingKey(private).open(sealed, place)
        except SealBroken:
            text = f"this cannot be opened as {place}: it was changed, is that of another place,"
            text = f"{text} or was sealed for another project or import"
            raise WrongState(self._refused, text) from None

    def _place(self, namespace: str, id: str) -> str:
        return f"key of import {id} of the {self._content} of {namespace}"
