"""A connector of another package: lists in memory, and errors in their order."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from flowmesh.connectors.records import Batch, Context


class Source:
    """Reads the batches of its option; an error among them is raised once."""

    def __init__(self, given: Mapping[str, Any], context: Context) -> None:
        self._batches: list[Batch | Exception] = given["batches"]
        self._log: list[str] = given["log"]
        self._endless = given.get("endless", False)

    async def read(self, position: str) -> AsyncGenerator[Batch, None]:
        self._log.append(f"read {position!r}")
        for each in list(self._batches):
            if isinstance(each, Exception):
                self._batches.remove(each)
                raise each
            yield each
        if self._endless:
            await asyncio.Event().wait()

    async def stored(self, batch: Batch) -> None:
        self._log.append(f"stored {batch.position}")

    async def close(self) -> None:
        self._log.append("closed")


class Sink:
    """Writes into the list of its option; its errors are raised first, one a write."""

    def __init__(self, given: Mapping[str, Any], context: Context) -> None:
        self._written: list[Batch] = given["written"]
        self._errors: list[Exception] = given.get("errors", [])
        self.name = context.bridge

    async def position(self) -> str:
        return self._written[-1].position if self._written else ""

    async def write(self, batch: Batch) -> None:
        if self._errors:
            raise self._errors.pop(0)
        self._written.append(batch)

    async def close(self) -> None:
        raise OSError("it is closed already")
