"""Ed25519 signatures of wheels and indexes; a key signs what it names, so neither is the other."""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from flowmesh.errors import WrongState
from flowmesh.plugins.manifest import invalid

Subject = Literal["wheel", "index"]
SUFFIX: Final = ".sig"
_KEY_BYTES: Final = 32


def new_key() -> tuple[str, str]:
    """Return a secret key and its public key, both as text."""
    key = Ed25519PrivateKey.generate()
    return _text(key.private_bytes_raw()), public_of(key)


def read_key(file: Path) -> Ed25519PrivateKey:
    """Return the secret key of a file. Raises PLUGIN_INVALID."""
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise invalid("key", f"{file} cannot be read: {error}") from None
    return Ed25519PrivateKey.from_private_bytes(_bytes("key", text))


def public_of(key: Ed25519PrivateKey) -> str:
    return _text(key.public_key().public_bytes_raw())


def public_keys(texts: Sequence[str]) -> tuple[Ed25519PublicKey, ...]:
    """Return public keys. Raises PLUGIN_INVALID."""
    return tuple(Ed25519PublicKey.from_public_bytes(_bytes("public key", each)) for each in texts)


def sign(key: Ed25519PrivateKey, subject: Subject, digest: str) -> str:
    """Return the signature of a digest."""
    return _text(key.sign(_message(subject, digest)))


def check(
    keys: Sequence[Ed25519PublicKey], subject: Subject, digest: str, signature: str, title: str
) -> None:
    """Raise PLUGIN_UNTRUSTED unless one of the keys signed the digest."""
    try:
        raw = base64.b64decode(signature.strip(), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    for key in keys:
        try:
            key.verify(raw, _message(subject, digest))
        except InvalidSignature:
            continue
        return
    text = f"none of the trusted keys ({len(keys)}) made the signature of {title}"
    raise WrongState("PLUGIN_UNTRUSTED", text)


def _message(subject: Subject, digest: str) -> bytes:
    return f"flowmesh plugin {subject} {digest}".encode()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(place: str, text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise invalid(place, f"is not {_KEY_BYTES} bytes in base64")
    return raw
