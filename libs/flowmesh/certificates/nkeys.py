"""Nkeys of NATS: Ed25519 keys of users, of which the server knows the public part only."""

import base64
import binascii
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# The first five bits of a seed, and those of a user.
_SEED = 18 << 3
_USER = 20 << 3
_SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class Nkey:
    """The key of a user: `public` is the name that the server knows."""

    public: str
    key: "Ed25519PrivateKey"

    @classmethod
    def read(cls, path: str) -> "Nkey":
        """Read the seed of a user (`SU…`) from a file; raise ValueError without the seed."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        try:
            text = Path(path).read_text().strip()
            raw = base64.b32decode(text + "=" * (-len(text) % 8))
        except (OSError, ValueError) as error:
            kind = type(error).__name__
            raise ValueError(f"the nkey of the NATS address cannot be read: {kind}") from None
        # The kind of the key spans the first two bytes.
        prefix = (raw[0] & 0xF8, (raw[0] & 0x07) << 5 | raw[1] >> 3) if len(raw) == 36 else ()
        if prefix != (_SEED, _USER) or binascii.crc_hqx(raw[:-2], 0) != _number(raw[-2:]):
            raise ValueError("the nkey of the NATS address is not the seed of a user (SU…)")
        key = Ed25519PrivateKey.from_private_bytes(raw[2 : 2 + _SEED_BYTES])
        return cls(_encoded(bytes([_USER]) + key.public_key().public_bytes_raw()), key)

    def sign(self, nonce: str) -> bytes:
        """Return the answer to the challenge of a server."""
        return base64.b64encode(self.key.sign(nonce.encode()))


def new_seed() -> str:
    """Return the seed of a new user."""
    seed = bytes((_SEED | _USER >> 5, (_USER & 0x1F) << 3)) + secrets.token_bytes(_SEED_BYTES)
    return _encoded(seed)


def inbox_prefix(public: str) -> str:
    """Return the first words of the subjects of replies: a server can keep them to their user."""
    return f"_INBOX.{public}"


def _encoded(data: bytes) -> str:
    checked = data + binascii.crc_hqx(data, 0).to_bytes(2, "little")
    return base64.b32encode(checked).decode().rstrip("=")


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
