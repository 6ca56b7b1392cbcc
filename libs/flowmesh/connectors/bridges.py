"""Bridges: what a source reads is written to a sink, at least once, in order.

Records that the sink refuses for good go to the sink `refused` of the bridge; without one they
end it, and stay in the source.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

from flowmesh.connectors.plugins import created
from flowmesh.connectors.records import (
    Batch,
    ConnectorError,
    Context,
    Record,
    RecordsRefused,
    Sink,
    Source,
)
from flowmesh.sdk.client.client import Client

PAUSE_FIRST_S: Final = 0.5
PAUSE_MAX_S: Final = 30.0
BRIDGES_MAX: Final = 100
REASON_CHARS_MAX: Final = 500
_REQUIRED: Final = {"name", "source", "sink"}
_MEMBERS: Final = {*_REQUIRED, "refused"}
_log = logging.getLogger("flowmesh.connectors")


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge of a file."""

    name: str
    source: Mapping[str, Any]
    sink: Mapping[str, Any]
    refused: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Ends:
    """Source and sinks of a bridge; `refused` receives the records that `sink` rejects."""

    name: str
    source: Source
    sink: Sink
    refused: Sink | None

    async def close(self) -> None:
        opened = [each for each in (self.source, self.sink, self.refused) if each is not None]
        await asyncio.gather(*(each.close() for each in opened), return_exceptions=True)


def read_bridges(path: Path) -> tuple[Bridge, ...]:
    """Return the bridges of a YAML file. Raises ConnectorError."""
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConnectorError(f"cannot read {path}: {error}") from error
    items = document.get("bridges") if isinstance(document, dict) else None
    if not isinstance(items, list) or not 1 <= len(items) <= BRIDGES_MAX:
        raise ConnectorError(f"{path}: `bridges` must be a list of 1 to {BRIDGES_MAX} bridges")
    found = tuple(_bridge(item, f"{path}: bridges[{at}]") for at, item in enumerate(items))
    names = [each.name for each in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConnectorError(f"{path}: the name {min(twice)!r} is used twice")
    return found


def _bridge(item: Any, place: str) -> Bridge:
    if not isinstance(item, dict) or not _REQUIRED <= item.keys() <= _MEMBERS:
        text = "a bridge has a name, a source and a sink, and may have `refused`"
        raise ConnectorError(f"{place}: {text}")
    name, source, sink = item["name"], item["source"], item["sink"]
    refused = item.get("refused")
    ends = (source, sink) if refused is None else (source, sink, refused)
    if not isinstance(name, str) or not all(isinstance(each, dict) for each in ends):
        text = "`name` is text; `source`, `sink` and `refused` are mappings"
        raise ConnectorError(f"{place}: {text}")
    return Bridge(name, source, sink, refused)


async def run_bridges(bridges: Sequence[Bridge], client: Client) -> None:
    """Run bridges until canceled, or until all sources end. Raises ConnectorError."""
    ends = [_ends(bridge, client) for bridge in bridges]
    try:
        async with asyncio.TaskGroup() as group:
            for each in ends:
                group.create_task(_run(each))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        for each in ends:
            await each.close()


def _ends(bridge: Bridge, client: Client) -> _Ends:
    context = Context(bridge.name, client)
    source, sink = (
        created("Source", bridge.source, context),
        created("Sink", bridge.sink, context),
    )
    # A client id of its own, where the type has one.
    aside = Context(f"{bridge.name}-refused", client)
    refused = None if bridge.refused is None else created("Sink", bridge.refused, aside)
    return _Ends(bridge.name, source, sink, refused)


async def _run(ends: _Ends) -> None:
    """Run a bridge; after an error it reads again from the stored position."""
    pause_s = PAUSE_FIRST_S
    while True:
        try:
            async with aclosing(ends.source.read(await ends.sink.position())) as batches:
                async for batch in batches:
                    await _stored(ends, _named(ends.name, batch))
                    await ends.source.stored(batch)
                    pause_s = PAUSE_FIRST_S
            return
        except ConnectorError as error:
            raise ConnectorError(f"bridge {ends.name!r}: {error}") from error
        except Exception as error:  # noqa: BLE001 the other side may be back later
            _log.warning("bridge %s: %s: %s", ends.name, type(error).__name__, error)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, PAUSE_MAX_S)


async def _stored(ends: _Ends, batch: Batch) -> None:
    """Write a batch to the sink, and what it refuses for good to the other one."""
    try:
        await _written(ends.name, ends.sink, batch)
    except RecordsRefused as error:
        if ends.refused is None:
            raise
        for reason in error.refused.values():
            _log.warning("bridge %s: %s", ends.name, reason)
        await _written(ends.name, ends.refused, Batch(tuple(_aside(batch, error.refused))))
        if batch.position:
            await _written(ends.name, ends.sink, replace(batch, records=()))


def _aside(batch: Batch, reasons: Mapping[int, str]) -> Iterator[Record]:
    for at, reason in sorted(reasons.items()):
        record = batch.records[at]
        added = {"bridge-error": reason[:REASON_CHARS_MAX], "bridge-key": record.key}
        yield replace(record, headers={**record.headers, **added})


async def _written(name: str, sink: Sink, batch: Batch) -> None:
    """Write a batch, again and again while the sink is away or full."""
    pause_s = PAUSE_FIRST_S
    while True:
        try:
            await sink.write(batch)
            return
        except ConnectorError:
            raise
        except Exception as error:  # noqa: BLE001 the other side may be back later
            _log.warning("bridge %s: %s: %s", name, type(error).__name__, error)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, PAUSE_MAX_S)


def _named(name: str, batch: Batch) -> Batch:
    """Return the batch with ids made of its position, where records have none."""
    if not batch.position:
        return batch
    records = (
        each if each.id else replace(each, id=f"{name}:{batch.position}:{at}"[:128])
        for at, each in enumerate(batch.records)
    )
    return replace(batch, records=tuple(records))
