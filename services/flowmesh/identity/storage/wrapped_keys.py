"""Data keys of values and of secrets as rows, with the keys that wrap them."""

from dataclasses import dataclass

from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.records import Wrapped
from flowmesh.runtime.data_keys import key_place, secrets_place


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key; the number of the one of secrets is 0."""

    namespace: str
    number: int
    wrapped: Wrapped

    @property
    def place(self) -> str:
        if self.number:
            return key_place(self.namespace, self.number)
        return secrets_place(self.namespace)


class WrappedKeyStore:
    """Reads of data keys by their wrapping key, and changes of it."""

    def __init__(self, database: Database) -> None:
        self._sql, self._pool = database.sql, database.pool

    async def wrapped_otherwise(
        self, by: str, after: tuple[str, int], count: int
    ) -> list[WrappedKey]:
        """Return the next keys, by namespace and number, that another key wraps."""
        namespace, number = after
        rows = self._sql.wrapped_otherwise(
            self._pool, wrapped_by=by, namespace=namespace, number=number, count=count
        )
        return [
            WrappedKey(
                row["namespace"], row["number"], Wrapped(row["wrapped_by"], row["sealed_key"])
            )
            async for row in rows
        ]

    async def rewrap(self, key: WrappedKey, wrapped: Wrapped) -> bool:
        """Replace a wrapped key unless it was changed or destroyed; return whether it was."""
        values = {"namespace": key.namespace, "former": key.wrapped.value}
        values |= {"sealed_key": wrapped.value, "wrapped_by": wrapped.by}
        if key.number:
            done = await self._sql.rewrap_payload_key(self._pool, number=key.number, **values)
        else:
            done = await self._sql.rewrap_secrets_key(self._pool, **values)
        return done is not None

    async def uses(self) -> dict[str, int]:
        """Return the number of data keys by the name of the key that wraps them."""
        return {row["wrapped_by"]: row["keys"] async for row in self._sql.wrapping_uses(self._pool)}
