"""The key file of an installation, and the keys that are derived from it.

One file of 32 random bytes in hexadecimal, readable by its owner only, is shared by the processes
of an installation. HKDF-SHA-256 (RFC 5869) derives a key for each purpose, so that none reveals
another.
"""

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class KeyFileError(ValueError):
    """The key file is missing, malformed, or readable by other users."""


@dataclass(frozen=True, slots=True)
class InstallationKeys:
    """The keys of an installation."""

    # The secret of the keys by which services sign the tokens between them.
    services: bytes
    # Pepper of the digests of API keys.
    pepper: bytes
    # Wraps the keys of projects and the signing keys of access tokens.
    wrapping: bytes
    # Signs bootstrap tokens.
    bootstrap: bytes
    # Signs the ends of the chains of the audit log.
    audit: Ed25519PrivateKey
    # Encrypts the bodies of messages.
    messages: bytes
    # Seals the signing secrets of subscriptions.
    subscriptions: bytes

    @classmethod
    def derived(cls, secret: bytes) -> "InstallationKeys":
        return cls(
            services=_derived(secret, b"flowmesh services"),
            pepper=_derived(secret, b"flowmesh api keys"),
            wrapping=_derived(secret, b"flowmesh wrapping"),
            bootstrap=_derived(secret, b"flowmesh bootstrap"),
            audit=Ed25519PrivateKey.from_private_bytes(_derived(secret, b"flowmesh audit")),
            messages=_derived(secret, b"flowmesh messages"),
            subscriptions=_derived(secret, b"flowmesh subscriptions"),
        )


def create_key_file(path: Path) -> None:
    """Write a new key file; raise KeyFileError if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    except FileExistsError:
        raise KeyFileError(f"{path} exists; remove it only if nothing uses its keys") from None
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_bytes(KEY_BYTES).hex() + "\n")


def read_key_file(path: Path) -> InstallationKeys:
    """Return the keys of a file that `flowmesh identity init` wrote."""
    try:
        mode = path.stat().st_mode
        text = path.read_text().strip()
    except FileNotFoundError:
        raise KeyFileError(
            f"there is no key file {path}; make one with `flowmesh identity init`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"cannot read the key file {path}: {error}") from error
    if mode & _OTHERS:
        raise KeyFileError(f"other users can read {path}: chmod 600 it")
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise KeyFileError(f"{path} does not hold {KEY_BYTES} bytes in hexadecimal")
    return InstallationKeys.derived(secret)


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(secret)


OPEN_KEYS = InstallationKeys.derived(bytes(KEY_BYTES))
"""Keys of an open installation. They are known to everyone and protect nothing."""
