"""Keys that encrypt the values of executions, wrapped by the wrapping key."""

import asyncio
import secrets
from dataclasses import replace

from flowmesh.access.encryption import unreadable
from flowmesh.access.sealing import Sealer
from flowmesh.bus import Bus
from flowmesh.errors import Unavailable, WrongState
from flowmesh.identity.storage.payload_keys import PayloadKeyStore
from flowmesh.identity.storage.records import PayloadKey, Wrapped
from flowmesh.identity.storage.wrapped_keys import WrappedKeyStore
from flowmesh.identity.wrapping.loops import AT_ONCE
from flowmesh.identity.wrapping.wrapping import Wrapping
from flowmesh.runtime.data_keys import DATA_KEYS, key_place

_KEY_BYTES = 32


class Encryption:
    """Makes, rotates and destroys keys; announces each change to the services that encrypt."""

    def __init__(
        self,
        *,
        store: PayloadKeyStore,
        wrapped: WrappedKeyStore,
        wrapping: Wrapping,
        installation: Sealer | None,
        bus: Bus,
        prefix: str,
    ) -> None:
        """`installation` is None in an open installation, which has no key file."""
        self._store = store
        self._wrapped = wrapped
        self._wrapping = wrapping
        self._installation = installation
        self._bus = bus
        self._subject = f"{prefix}.{DATA_KEYS}"

    async def keys(self, namespace: str) -> list[PayloadKey]:
        return await self._store.keys(namespace)

    async def every(self) -> list[PayloadKey]:
        """Return the keys of all namespaces, sealed by the key file.

        A process that has no access to the wrapping key can open them. Raises
        WRAPPING_KEY_UNAVAILABLE.
        """
        keys = await self._store.every()
        for start in range(0, len(keys), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            keys[some] = await asyncio.gather(*map(self._resealed, keys[some]))
        return keys

    async def uses(self) -> dict[str, int]:
        """Return the number of data keys by the key that wraps them."""
        return await self._wrapped.uses()

    async def _resealed(self, key: PayloadKey) -> PayloadKey:
        place = key_place(key.namespace, key.number)
        if not key.sealed_key or self._installation is None:
            self._wrapping.forget(place)
            return key
        secret = await self._wrapping.unwrap(Wrapped(key.wrapped_by, key.sealed_key), place)
        return replace(key, sealed_key=self._installation.seal(secret, place))

    async def require(self, namespace: str) -> list[PayloadKey]:
        """Make the first key of a namespace; return its keys."""
        known = await self._store.keys(namespace)
        return await (self._with_key(namespace, 1) if not known else self._usable(namespace))

    async def rotate(self, namespace: str) -> list[PayloadKey]:
        """Make a further key for new values; return the keys."""
        known = await self._usable(namespace)
        return await self._with_key(namespace, known[-1].number + 1)

    async def destroy(self, namespace: str) -> list[PayloadKey]:
        """Destroy the keys of a namespace; return what is left of them."""
        await self._usable(namespace)
        await self._store.destroy(namespace)
        return await self._announced(namespace)

    async def _usable(self, namespace: str) -> list[PayloadKey]:
        known = await self._store.keys(namespace)
        if not known or not known[-1].sealed_key:
            problem = "were destroyed" if known else "were never made"
            raise unreadable(f"the data keys of namespace `{namespace}` {problem}")
        return known

    async def _with_key(self, namespace: str, number: int) -> list[PayloadKey]:
        if self._installation is None:
            text = "encryption needs a closed installation: an open one has no key file"
            raise WrongState("ENCRYPTION_UNAVAILABLE", text)
        secret = secrets.token_bytes(_KEY_BYTES)
        wrapped = await self._wrapping.wrap(secret, key_place(namespace, number))
        await self._store.insert(namespace, number, wrapped)
        return await self._announced(namespace)

    async def _announced(self, namespace: str) -> list[PayloadKey]:
        await self.announce()
        return await self._store.keys(namespace)

    async def announce(self) -> None:
        """Announce a change; without the bus, services read the keys within half a minute."""
        try:
            await self._bus.publish_core(self._subject, b"")
            await self._bus.flush()
        except Unavailable:
            pass
