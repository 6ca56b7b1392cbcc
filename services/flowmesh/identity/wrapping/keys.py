"""The contract of wrapping keys, and the one of a key file."""

import hmac
from typing import Protocol

from flowmesh.access.sealing import SealBroken, Sealer
from flowmesh.identity.storage.records import Wrapped

_FINGERPRINT_BYTES = 4


class WrappingFailed(Exception):
    """A key management service is away or refuses; the message says which one and why."""


class WrappingKey(Protocol):
    """A key that never leaves its place; `place` has to be the same to unwrap."""

    def unwraps(self, by: str) -> bool:
        """Return whether values that were wrapped by this name are its own."""

    async def wrap(self, secret: bytes, place: str) -> Wrapped:
        """Wrap by the newest version. Raises WrappingFailed."""

    async def unwrap(self, wrapped: Wrapped, place: str) -> bytes:
        """Open a wrapped value. Raises WrappingFailed and SealBroken."""


class FileKey:
    """The key of a key file. That of the installation has no name."""

    def __init__(self, secret: bytes, name: str = "") -> None:
        self._sealer = Sealer(secret)
        self._name = name

    @classmethod
    def named(cls, secret: bytes) -> "FileKey":
        """Return the key of a file of its own, which its fingerprint names."""
        print_ = hmac.digest(secret, b"fingerprint", "sha256")[:_FINGERPRINT_BYTES]
        return cls(secret, f"file:{print_.hex()}")

    def unwraps(self, by: str) -> bool:
        return by == self._name

    async def wrap(self, secret: bytes, place: str) -> Wrapped:
        return Wrapped(self._name, self._sealer.seal(secret, place))

    async def unwrap(self, wrapped: Wrapped, place: str) -> bytes:
        return self._sealer.open(wrapped.value, place)


def broken(place: str) -> SealBroken:
    """Return the error of a value that its key does not open at this place."""
    return SealBroken(f"the wrapped value of {place} cannot be opened")


def key_name(by: str) -> str:
    """Return the name of a wrapping key as it is shown."""
    return by or "key file"
