"""The contract of connectors."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flowmesh.sdk.client.client import Client


class ConnectorError(Exception):
    """A connector cannot go on: its options are invalid, or a record is refused for good."""


class RecordsRefused(ConnectorError):
    """Records of a batch are refused for good; all others are stored, the position is not.

    `refused` is the reason of each, by its place in the batch.
    """

    def __init__(self, refused: Mapping[int, str]) -> None:
        first = min(refused)
        super().__init__(refused[first])
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Record:
    """A message, a line, a row. A repeated `id` is stored once where the sink supports it."""

    body: bytes
    key: str = ""
    id: str = ""
    content_type: str = "application/json"
    headers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in order, and the position of the source after them."""

    records: tuple[Record, ...]
    position: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """The name of the bridge, and the client of the suite that it runs beside."""

    bridge: str
    client: Client


class Source(Protocol):
    """Reads records. Created with the options of the bridge file and the context."""

    def read(self, position: str) -> AsyncGenerator[Batch, None]:
        """Yield the batches after a position; empty is the beginning. Ends at the end."""

    async def stored(self, batch: Batch) -> None:
        """Handle that the sink holds a batch, such as by an acknowledgment."""

    async def close(self) -> None: ...


class Sink(Protocol):
    """Writes records. Created with the options of the bridge file and the context."""

    async def position(self) -> str:
        """Return the position of the last stored batch; empty without one."""

    async def write(self, batch: Batch) -> None:
        """Store the records, then the position of the batch, which may have no records.

        Raises RecordsRefused for records that are refused for good; after any error that is no
        ConnectorError the batch is written again.
        """

    async def close(self) -> None: ...
