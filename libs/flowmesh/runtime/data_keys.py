"""Data keys of namespaces, as the services that encrypt know them."""

import asyncio
from collections.abc import Callable
from typing import Any

from flowmesh.access.encryption import DataKey, DataKeys
from flowmesh.access.principal import acting_as
from flowmesh.access.sealing import Sealer
from flowmesh.api.identity.v1 import encryption_service_pb2 as pb
from flowmesh.api.identity.v1.encryption_service_pb2_grpc import EncryptionServiceStub
from flowmesh.bus import Bus, Message
from flowmesh.errors import Overloaded, Timeout, Unavailable
from flowmesh.runtime.loop import Loop
from flowmesh.runtime.runtime import Runtime

# The subject of changed keys, below the prefix of the bus.
DATA_KEYS = "identity.data_keys"
RETRY_MS = 200
# A new key seals values once all processes have read it.
USED_AFTER_S = 2.0
# The reason of an identity service whose wrapping key was away for too long.
UNUSABLE = "WRAPPING_KEY_UNAVAILABLE"
ListKeys = Callable[[pb.ListDataKeysRequest], Any]


def key_place(namespace: str, number: int) -> str:
    """Return the place that a sealed data key is bound to."""
    return f"payload key {number} of {namespace}"


def secrets_place(namespace: str) -> str:
    """Return the place that the wrapped key of the secrets of a namespace is bound to."""
    return f"data key of {namespace}"


class DataKeysUnknown(Exception):
    """The data keys were not read since the start; nothing is sealed or opened before."""


class DataKeyLoop(Loop):
    """Reads the keys from the identity service; a change arrives at once, another within 30 s.

    `destroyed` is called with the namespaces whose keys are gone.
    """

    interval_ms = 30_000

    def __init__(
        self,
        keys: DataKeys,
        *,
        list_keys: ListKeys,
        installation: Sealer,
        destroyed: Callable[[frozenset[str]], None],
    ) -> None:
        self._keys = keys
        self._list = list_keys
        self._installation = installation
        self._destroyed = destroyed

    async def listen(self, bus: Bus, prefix: str) -> None:
        """Read the keys when the bus announces a change."""

        async def announced(_message: Message) -> None:
            self.wake()

        await bus.subscribe_core(f"{prefix}.{DATA_KEYS}", announced)

    def pause_ms(self) -> float:
        return self.interval_ms if self._keys.known.is_set() else RETRY_MS

    async def run_once(self) -> int:
        """Read the keys; while the identity service is away, the last ones hold."""
        if not await self._read():
            return 0
        if self._keys.known.is_set():
            asyncio.get_running_loop().call_later(USED_AFTER_S, self._keys.use)
        else:
            self._keys.use()
            self._keys.known.set()
        return 1

    async def _read(self) -> bool:
        try:
            with acting_as(None):
                answer = await self._list(pb.ListDataKeysRequest())
        except (Unavailable, Overloaded, Timeout) as error:
            if error.reason == UNUSABLE:
                self._keys.lock(error.message)
            return False
        self._keys.lock("")
        self._destroyed(self._keys.replace(map(self._unsealed, answer.keys)))
        return True

    def _unsealed(self, key: pb.DataKey) -> DataKey:
        secret = b""
        if key.sealed_key:
            place = key_place(key.namespace, key.number)
            secret = self._installation.open(key.sealed_key, place)
        return DataKey(key.namespace, key.number, secret)


async def encrypting(
    runtime: Runtime,
    keys: DataKeys,
    destroyed: Callable[[frozenset[str]], None] = lambda _namespaces: None,
    list_keys: ListKeys | None = None,
) -> None:
    """Keep the keys of a closed process up to date; they are `known` after the first answer."""
    if runtime.keys is None:
        return
    keys.known.clear()
    loop = DataKeyLoop(
        keys,
        list_keys=list_keys or runtime.stub(EncryptionServiceStub, "identity").ListDataKeys,
        installation=Sealer(runtime.keys.wrapping),
        destroyed=destroyed,
    )
    await loop.listen(runtime.bus, runtime.settings.bus_prefix)
    runtime.add_loop(loop)

    async def known() -> None:
        if not keys.known.is_set():
            raise DataKeysUnknown

    runtime.add_check("data_keys", known)
