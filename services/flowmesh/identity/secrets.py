"""Secrets of namespaces: versions, sealed with a key of the namespace.

The key of a namespace is wrapped by the wrapping key. A sealed value is bound to its
namespace, name and version, so it cannot stand for another one.
"""

import re
import secrets
from collections.abc import Iterable

from flowmesh.access.sealing import SealBroken, Sealer
from flowmesh.errors import Invalid, NotFound, Violation, WrongState
from flowmesh.identity.limits import (
    SECRET_BYTES_MAX,
    SECRET_REFS_MAX,
    SECRET_VERSIONS_KEPT,
    SECRETS_MAX,
)
from flowmesh.identity.permissions import caller
from flowmesh.identity.storage.records import SecretVersion
from flowmesh.identity.storage.secrets import SecretStore
from flowmesh.identity.wrapping.wrapping import Wrapping
from flowmesh.runtime.data_keys import secrets_place

_KEY_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")

# Above every version, and the largest number of its column.
NO_VERSION = 2**31 - 1


class Secrets:
    """Stores values, and opens them for worker services."""

    def __init__(self, *, store: SecretStore, wrapping: Wrapping) -> None:
        self._store = store
        self._wrapping = wrapping

    async def put(self, namespace: str, name: str, value: bytes) -> SecretVersion:
        """Store a value as the newest version of a secret."""
        check_secret(name, value)
        sealer = await self._sealer(namespace) or await self._new_sealer(namespace)
        async with self._store.changing(namespace) as store:
            newest, others = await store.counts(namespace, name)
            if not newest:
                check_room(others)
            version = newest + 1
            sealed = sealer.seal(value, _place(namespace, name, version))
            await store.delete_versions(namespace, name, version - SECRET_VERSIONS_KEPT)
            return await store.insert(namespace, name, version, sealed, caller().name)

    async def secrets(self, namespace: str, after: str, count: int) -> list[SecretVersion]:
        """Return the newest version of each secret, by name."""
        return await self._store.secrets(namespace, after, count)

    async def delete(self, namespace: str, name: str) -> None:
        if not await self._store.delete(namespace, name):
            raise _missing(namespace, name)

    async def values(self, namespace: str, refs: Iterable[tuple[str, int]]) -> list[bytes]:
        """Return the values of secrets by name and version; version 0 is the newest."""
        wanted = list(refs)
        check_refs(len(wanted))
        sealer = await self._sealer(namespace)
        return [await self._value(sealer, namespace, name, version) for name, version in wanted]

    async def versions(
        self, namespace: str, after: tuple[str, int], count: int
    ) -> list[tuple[SecretVersion, bytes]]:
        """Return the next versions of all secrets with their values, by name and number."""
        found = await self._store.versions(namespace, after, count)
        sealer = await self._sealer(namespace)
        if not found or sealer is None:
            return []
        return [
            (each, _opened(sealer, sealed, _place(namespace, each.name, each.version)))
            for each, sealed in found
        ]

    async def sealed(
        self, namespace: str, copies: Iterable[tuple[SecretVersion, bytes]]
    ) -> list[tuple[SecretVersion, bytes]]:
        """Return versions of another cell with their values sealed for this one."""
        sealer = await self._sealer(namespace) or await self._new_sealer(namespace)
        found = []
        for version, value in copies:
            check_secret(version.name, value)
            place = _place(namespace, version.name, version.version)
            found.append((version, sealer.seal(value, place)))
        return found

    async def _value(self, sealer: Sealer | None, namespace: str, name: str, version: int) -> bytes:
        found = await self._store.sealed(namespace, name, min(version, NO_VERSION))
        if found is None or sealer is None:
            raise _missing(namespace, f"{name}#{version}" if version else name)
        number, sealed = found
        return _opened(sealer, sealed, _place(namespace, name, number))

    async def _sealer(self, namespace: str) -> Sealer | None:
        wrapped = await self._store.key(namespace)
        if wrapped is None:
            return None
        try:
            return Sealer(await self._wrapping.unwrap(wrapped, secrets_place(namespace)))
        except SealBroken as error:
            raise _unreadable(error) from error

    async def _new_sealer(self, namespace: str) -> Sealer:
        """Make the key of a namespace; of two at once, the one that was stored first holds."""
        key = secrets.token_bytes(_KEY_BYTES)
        wrapped = await self._wrapping.wrap(key, secrets_place(namespace))
        await self._store.add_key(namespace, wrapped)
        made = await self._sealer(namespace)
        assert made is not None
        return made


def _opened(sealer: Sealer, sealed: bytes, place: str) -> bytes:
    """Open a sealed value; raise SECRET_UNREADABLE if its bytes or its key were changed."""
    try:
        return sealer.open(sealed, place)
    except SealBroken as error:
        raise _unreadable(error) from error


def _unreadable(error: SealBroken) -> WrongState:
    text = f"{error}: its bytes were changed, or the installation has another key now"
    return WrongState("SECRET_UNREADABLE", text)


def _place(namespace: str, name: str, version: int) -> str:
    return f"secret {namespace}/{name}#{version}"


def check_room(others: int) -> None:
    """Raise SECRET_INVALID if a namespace has no room for another secret."""
    if others >= SECRETS_MAX:
        raise wrong("name", f"the namespace has {SECRETS_MAX:,} secrets; delete one")


def check_refs(count: int) -> None:
    """Raise SECRET_INVALID for more secrets than a call resolves."""
    if count > SECRET_REFS_MAX:
        raise wrong("refs", f"a call resolves at most {SECRET_REFS_MAX} secrets")


def check_secret(name: str, value: bytes) -> None:
    """Raise SECRET_INVALID for a malformed name or value."""
    if not _NAME.fullmatch(name):
        text = f"the name {name[:50]!r} is not 1 to 128 of a-z, A-Z, 0-9, `.`, `_` and `-`"
        raise wrong("name", text)
    if not 1 <= len(value) <= SECRET_BYTES_MAX:
        text = f"the value has {len(value):,} bytes, not 1 to {SECRET_BYTES_MAX:,}"
        raise wrong("value", text)
    try:
        value.decode()
    except UnicodeDecodeError:
        raise wrong("value", "the value is not UTF-8 text; encode it, as with base64") from None


def wrong(field: str, message: str) -> Invalid:
    """Return the error of a field."""
    return Invalid(
        "SECRET_INVALID", message, violations=(Violation(field, message, "SECRET_INVALID"),)
    )


def _missing(namespace: str, name: str) -> NotFound:
    text = f"namespace `{namespace}` has no secret `{name}`; `flowmesh secrets set` stores one"
    return NotFound("SECRET_NOT_FOUND", text)
