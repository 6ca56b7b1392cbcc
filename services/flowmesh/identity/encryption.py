"""Keys that encrypt the values of executions, sealed by the key of the installation."""

import secrets

from flowmesh.access.encryption import unreadable
from flowmesh.access.sealing import Sealer
from flowmesh.bus import Bus
from flowmesh.errors import Unavailable, WrongState
from flowmesh.identity.storage.payload_keys import PayloadKeyStore
from flowmesh.identity.storage.records import PayloadKey
from flowmesh.runtime.data_keys import DATA_KEYS, key_place

_KEY_BYTES = 32


class Encryption:
    """Makes, rotates and destroys keys; announces each change to the services that encrypt."""

    def __init__(
        self, *, store: PayloadKeyStore, installation: Sealer | None, bus: Bus, prefix: str
    ) -> None:
        """`installation` is None in an open installation, which has no key file."""
        self._store = store
        self._installation = installation
        self._bus = bus
        self._subject = f"{prefix}.{DATA_KEYS}"

    async def keys(self, namespace: str) -> list[PayloadKey]:
        return await self._store.keys(namespace)

    async def every(self) -> list[PayloadKey]:
        return await self._store.every()

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
        sealed = self._installation.seal(secret, key_place(namespace, number))
        await self._store.insert(namespace, number, sealed)
        return await self._announced(namespace)

    async def _announced(self, namespace: str) -> list[PayloadKey]:
        """Announce a change; without the bus, services read the keys within half a minute."""
        try:
            await self._bus.publish_core(self._subject, b"")
            await self._bus.flush()
        except Unavailable:
            pass
        return await self._store.keys(namespace)
