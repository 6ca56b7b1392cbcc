"""Encryption at rest: stored values of a namespace, sealed by its key and bound to their place.

A sealed value begins with a mark that no encoded message has, so reading a plain one costs one
comparison. Where a namespace has no key, values stay as they are.
"""

import asyncio
import base64
import hmac
import os
from collections.abc import Iterable
from typing import NamedTuple

from flowmesh.access.sealing import SealBroken, Sealer
from flowmesh.errors import Unavailable, WrongState

MARK = b"\0fms1"
# The beginning of sealed and of hashed texts: a character for private use, which no text has.
TEXT_MARK = "\uf8ff"
_SEALED_TEXT = f"{TEXT_MARK}sealed:"
_HASHED_TEXT = f"{TEXT_MARK}hashed:"
_NUMBER_BYTES = 4
_LENGTH_BYTES = 2
_KEY_BYTES = 32


class DataKey(NamedTuple):
    """A key of a namespace; without a secret it was destroyed."""

    namespace: str
    number: int
    secret: bytes


class DataKeys:
    """The keys that a process knows. They are replaced as a whole and used without waiting."""

    def __init__(self, keys: Iterable[DataKey] = ()) -> None:
        self._current: dict[str, tuple[int, Sealer]] = {}
        self._next: dict[str, tuple[int, Sealer]] = {}
        self._sealers: dict[tuple[str, int], Sealer] = {}
        # By namespace, of the first key: a rotation changes no hash.
        self._hashing: dict[str, bytes] = {}
        self._destroyed: frozenset[str] = frozenset()
        # Why the wrapping key of all keys cannot be used; empty if it can.
        self._locked = ""
        # Set while the keys are known: nothing is sealed or opened before.
        self.known = asyncio.Event()
        self.known.set()
        self.replace(keys)
        self.use()

    def replace(self, keys: Iterable[DataKey]) -> frozenset[str]:
        """Open values with these keys; `use` seals new ones with them.

        Returns the namespaces whose keys were destroyed since the last time. Their values are
        sealed by a key that no one keeps, until nothing writes any.
        """
        current: dict[str, tuple[int, Sealer]] = {}
        sealers: dict[tuple[str, int], Sealer] = {}
        destroyed = set()
        for namespace, number, secret in keys:
            if number == 1:
                self._hashing[namespace] = secret or os.urandom(_KEY_BYTES)
            known = self._sealers.get((namespace, number)) if secret else None
            sealer = known or Sealer(secret or os.urandom(_KEY_BYTES))
            current[namespace] = number, sealer
            if secret:
                sealers[namespace, number] = sealer
            else:
                destroyed.add(namespace)
        new = frozenset(destroyed) - self._destroyed
        self._next, self._sealers = current, sealers
        self._destroyed = frozenset(destroyed)
        self._current |= {each: current[each] for each in destroyed}
        return new

    def use(self) -> None:
        """Seal new values with the last key of each namespace: every process knows it by now."""
        self._current = self._next

    def covers(self, namespace: str) -> bool:
        """Return whether new values of a namespace are encrypted."""
        return namespace in self._current

    def is_destroyed(self, namespace: str) -> bool:
        return namespace in self._destroyed

    def lock(self, problem: str) -> None:
        """Refuse new work of encrypted namespaces while there is a problem; empty ends that."""
        self._locked = problem

    def require(self, namespace: str) -> None:
        """Raise DATA_UNREADABLE or WRAPPING_KEY_UNAVAILABLE if the keys cannot be used."""
        if namespace in self._destroyed:
            raise unreadable(f"the data keys of namespace `{namespace}` were destroyed")
        if self._locked and namespace in self._current:
            text = f"the data keys of namespace `{namespace}` cannot be used: {self._locked}"
            raise Unavailable("WRAPPING_KEY_UNAVAILABLE", text, retry_after_ms=5_000)

    def seal(self, namespace: str, value: bytes, place: str) -> bytes:
        """Return a value as it is stored; `place` has to be the same to open it."""
        if not self._current or (key := self._current.get(namespace)) is None:
            return value
        number, sealer = key
        name = namespace.encode()
        head = (
            MARK + number.to_bytes(_NUMBER_BYTES, "big") + len(name).to_bytes(_LENGTH_BYTES, "big")
        )
        return head + name + sealer.seal(value, f"{namespace}\n{place}")

    def open(self, stored: bytes, place: str) -> bytes:
        """Return a stored value; raise DATA_UNREADABLE if its bytes, key or place are others."""
        if stored[: len(MARK)] != MARK:
            return stored
        at = len(MARK)
        number = int.from_bytes(stored[at : at + _NUMBER_BYTES], "big")
        at += _NUMBER_BYTES + _LENGTH_BYTES
        length = int.from_bytes(stored[at - _LENGTH_BYTES : at], "big")
        namespace = stored[at : at + length].decode("utf-8", "replace")
        sealer = self._sealers.get((namespace, number))
        if sealer is None:
            raise unreadable(
                f"key {number} of namespace `{namespace}` is not here or was destroyed"
            )
        try:
            return sealer.open(stored[at + length :], f"{namespace}\n{place}")
        except SealBroken as error:
            raise unreadable(f"{place}: its bytes were changed, or moved from elsewhere") from error

    def seal_text(self, namespace: str, text: str, place: str) -> str:
        """Return a text as it is stored."""
        plain = text.encode()
        sealed = self.seal(namespace, plain, place)
        if sealed is plain:
            return text.replace(TEXT_MARK, "\ufffd")
        return _SEALED_TEXT + base64.b64encode(sealed).decode()

    def open_text(self, stored: str, place: str) -> str:
        """Return a stored text; raise DATA_UNREADABLE as `open` does."""
        if not stored.startswith(_SEALED_TEXT):
            return stored
        return self.open(base64.b64decode(stored.removeprefix(_SEALED_TEXT)), place).decode()

    def hashed(self, namespace: str, text: str) -> str:
        """Return a keyed hash of a text, by which equal texts of a namespace are found."""
        digest = hmac.digest(self._hashing[namespace], f"search\n{text}".encode(), "sha256")
        return _HASHED_TEXT + digest.hex()


NO_KEYS = DataKeys()
"""Those of an open installation: everything is stored as it is."""


def unreadable(message: str) -> WrongState:
    """Return the one error of values that cannot be opened."""
    return WrongState("DATA_UNREADABLE", message)


def history_place(execution_id: str) -> str:
    return f"history {execution_id}"


def snapshot_place(execution_id: str) -> str:
    return f"snapshot {execution_id}"


def message_place(message_id: str) -> str:
    return f"message {message_id}"


def signal_place(request_id: str) -> str:
    return f"signal {request_id}"


def payload_place(digest: str) -> str:
    return f"payload {digest}"


def archive_place(execution_id: str, piece: int) -> str:
    return f"archive {execution_id} {piece}"


def error_place(execution_id: str) -> str:
    return f"error {execution_id}"


def events_place(execution_id: str) -> str:
    """Return the place of events on the bus."""
    return f"events {execution_id}"
