"""Bridges: what a source reads is written to a sink, at least once, in order."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

from flowmesh.connectors.plugins import created
from flowmesh.connectors.records import Batch, ConnectorError, Context, Sink, Source
from flowmesh.sdk.client.client import Client

PAUSE_FIRST_S: Final = 0.5
PAUSE_MAX_S: Final = 30.0
BRIDGES_MAX: Final = 100
_MEMBERS: Final = {"name", "source", "sink"}
_log = logging.getLogger("flowmesh.connectors")


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge of a file."""

    name: str
    source: Mapping[str, Any]
    sink: Mapping[str, Any]


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
    if not isinstance(item, dict) or item.keys() != _MEMBERS:
        raise ConnectorError(f"{place}: a bridge has a name, a source and a sink")
    name, source, sink = item["name"], item["source"], item["sink"]
    if not isinstance(name, str) or not isinstance(source, dict) or not isinstance(sink, dict):
        raise ConnectorError(f"{place}: `name` is text, `source` and `sink` are mappings")
    return Bridge(name, source, sink)


async def run_bridges(bridges: Sequence[Bridge], client: Client) -> None:
    """Run bridges until canceled, or until all sources end. Raises ConnectorError."""
    ends = []
    for bridge in bridges:
        context = Context(bridge.name, client)
        source = created("Source", bridge.source, context)
        ends.append((bridge, source, created("Sink", bridge.sink, context)))
    try:
        async with asyncio.TaskGroup() as group:
            for bridge, source, sink in ends:
                group.create_task(_run(bridge.name, source, sink))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        for _, source, sink in ends:
            await asyncio.gather(source.close(), sink.close(), return_exceptions=True)


async def _run(name: str, source: Source, sink: Sink) -> None:
    """Run a bridge; after an error it reads again from the stored position."""
    pause_s = PAUSE_FIRST_S
    while True:
        try:
            async with aclosing(source.read(await sink.position())) as batches:
                async for batch in batches:
                    await _written(name, sink, _named(name, batch))
                    await source.stored(batch)
                    pause_s = PAUSE_FIRST_S
            return
        except ConnectorError as error:
            raise ConnectorError(f"bridge {name!r}: {error}") from error
        except Exception as error:  # noqa: BLE001 the other side may be back later
            _log.warning("bridge %s: %s: %s", name, type(error).__name__, error)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, PAUSE_MAX_S)


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
