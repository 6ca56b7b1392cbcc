"""End-to-end encryption: values that are sealed and opened by clients and workers only.

A sealed value is the JSON object `{"$sealed": {"kid": ..., "data": ...}}`. `data` is the base64 of
the nonce (12 bytes) and the AES-256-GCM of the value's JSON, with `kid` as associated data. The
nonce is an HMAC-SHA-256 of the JSON, so that equal values have equal forms: a repeated request id,
a result cache and a durable handler see the same value again.
"""

import binascii
import hmac
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Protocol, Self

import msgspec

from flowmesh.contract.json_value import SEALED, Json
from flowmesh.errors import Invalid
from flowmesh.extras import needed_by

KEY_BYTES = 32
NONCE_BYTES = 12
_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NONCE_LABEL = b"flowmesh sealed nonce"
_MARK = f'"{SEALED}"'.encode()


class Codec(Protocol):
    """The last step before values leave a client or worker, and the first after they arrive.

    Both methods take and return JSON. `decode` raises a `FlowmeshError` for what it cannot open.
    """

    def encode(self, data: bytes) -> bytes: ...
    def decode(self, data: bytes) -> bytes: ...


class SealingKeys:
    """A codec that seals values by AES-256-GCM: `Client(codec=SealingKeys.read("values.keys"))`.

    The first key seals, all of them open, so a new key is put first. With `only`, the members of
    these names are sealed, at any depth, and the rest stays readable for templates and filters;
    without it whole values are sealed.
    """

    def __init__(self, keys: Mapping[str, bytes], only: Collection[str] = ()) -> None:
        if not keys:
            raise Invalid("SEALING_KEY_INVALID", "there is no key to seal with")
        for kid, key in keys.items():
            if not _KEY_ID.fullmatch(kid):
                text = f"the key id {kid[:80]!r} is not 1 to 64 of A-Z a-z 0-9 _ . -"
                raise Invalid("SEALING_KEY_INVALID", text)
            if len(key) != KEY_BYTES:
                text = f"the key {kid!r} has {len(key)} bytes, not {KEY_BYTES}"
                raise Invalid("SEALING_KEY_INVALID", text)
        self._keys = {kid: _Key(kid, key) for kid, key in keys.items()}
        self._first = next(iter(self._keys.values()))
        self._only = frozenset(only)

    @classmethod
    def read(cls, path: str | Path, only: Collection[str] = ()) -> Self:
        """Read a file with a line per key: its id, and the base64 of its 32 bytes."""
        keys: dict[str, bytes] = {}
        for number, line in enumerate(Path(path).read_text().splitlines(), 1):
            if not (words := line.split()):
                continue
            try:
                kid, text = words
                key = b64decode(text, validate=True)
            except (ValueError, binascii.Error):
                text = (
                    f"line {number} of {path} is not a key id and the base64 of {KEY_BYTES} bytes"
                )
                raise Invalid("SEALING_KEY_INVALID", text) from None
            if kid in keys:
                text = f"line {number} of {path} has the id {kid!r} of another key"
                raise Invalid("SEALING_KEY_INVALID", text)
            keys[kid] = key
        return cls(keys, only)

    def encode(self, data: bytes) -> bytes:
        """Seal a JSON value, or its members of the names of `only`."""
        if not self._only:
            return _text(self._first.seal(data))
        return _text(_mapped(_value(data), self._seal_member))

    def decode(self, data: bytes) -> bytes:
        """Open the sealed values in a JSON value, at any depth.

        Raises `SEALED_UNREADABLE` for a key that is not there, and for a changed value.
        """
        if _MARK not in data:
            return data
        return _text(_mapped(_value(data), self._open_member))

    def seal(self, value: Json) -> Json:
        """Return a value sealed, for a place that the codec does not seal by itself."""
        return self._first.seal(_text(value))

    def _seal_member(self, name: str, value: Json) -> tuple[bool, Json]:
        if name not in self._only or _parts(value) is not None:
            return False, value
        return True, self._first.seal(_text(value))

    def _open_member(self, _: str, value: Json) -> tuple[bool, Json]:
        parts = _parts(value)
        if parts is None:
            return False, value
        kid, data = parts
        key = self._keys.get(kid)
        if key is None:
            text = f"the value is sealed by the key {kid[:80]!r}, which is not among the keys here"
            raise Invalid("SEALED_UNREADABLE", text)
        # A sealed value may hold sealed members.
        return True, _mapped(_value(key.open(data)), self._open_member)


class _Key:
    """One key: an AES-256-GCM and the key of its nonces. Needs the package `cryptography`."""

    def __init__(self, kid: str, key: bytes) -> None:
        with needed_by("a key of sealed values"):
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        self._changed = InvalidTag
        self._kid = kid
        self._nonces = hmac.digest(key, _NONCE_LABEL, sha256)
        self._aead = AESGCM(key)

    def seal(self, data: bytes) -> Json:
        nonce = hmac.digest(self._nonces, data, sha256)[:NONCE_BYTES]
        sealed = nonce + self._aead.encrypt(nonce, data, self._kid.encode())
        return {SEALED: {"kid": self._kid, "data": b64encode(sealed).decode()}}

    def open(self, text: str) -> bytes:
        try:
            sealed = b64decode(text, validate=True)
            return self._aead.decrypt(
                sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._kid.encode()
            )
        except (self._changed, ValueError, binascii.Error):
            text = f"the value sealed by the key {self._kid!r} was changed, or the key is another"
            raise Invalid("SEALED_UNREADABLE", text) from None


def _parts(value: Json) -> tuple[str, str] | None:
    """Return key id and data of a sealed value; None for another value."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    inner = value.get(SEALED)
    if not isinstance(inner, dict):
        return None
    kid, data = inner.get("kid"), inner.get("data")
    return (kid, data) if isinstance(kid, str) and isinstance(data, str) else None


_Change = Callable[[str, Json], tuple[bool, Json]]


def _mapped(value: Json, change: _Change, name: str = "") -> Json:
    """Return a value in which members, and the value itself, are replaced by `change`."""
    done, value = change(name, value)
    if done:
        return value
    if isinstance(value, dict):
        return {key: _mapped(each, change, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_mapped(each, change) for each in value]
    return value


def _value(data: bytes) -> Json:
    return msgspec.json.decode(data)


def _text(value: Json) -> bytes:
    """Write JSON; integers of any size are kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
