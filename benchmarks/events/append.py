"""Appends per second of ten writers, and the load of a long stream with a snapshot.

`.venv/bin/python -m benchmarks.events.append [--events 5000] [--stream 100000] [--rounds 3]`;
`--peer` measures the library `eventsourcing` on a PostgreSQL of the same kind, in an environment
that it makes in build/.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from benchmarks.events.common import medians, percentiles, show
from benchmarks.load import Metrics
from flowmesh.embedded import EmbeddedServers
from flowmesh.sdk import Client, NewEvent
from flowmesh.testing.suite import Suite

WRITERS = 10
BATCH = 500
BATCHES_AT_ONCE = 4
LOADS = 50
TAIL = 10
HERE = Path(__file__).resolve().parent
PEER = HERE.parents[1] / "build" / "benchmarks" / "eventsourcing"
PACKAGE = "eventsourcing[postgres]==9.5.6"
DATA = {"amount": 10, "note": "x" * 80}


async def appends(client: Client, count: int, number: int) -> float:
    """Return the events per second of writers that append one event at a time."""

    async def write(writer: int) -> None:
        for version in range(count // WRITERS):
            stream = f"writer{number}-{writer}"
            await client.event_store.append(stream, NewEvent("Written", DATA), expected=version)

    began = time.perf_counter()
    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    return count / (time.perf_counter() - began)


async def loads(client: Client, count: int) -> dict[str, float]:
    """Return the time to load a stream of `count` events with a snapshot near its end."""
    batch = [NewEvent("Written", DATA) for _ in range(BATCH)]
    began = time.perf_counter()
    for _ in range(count // BATCH // BATCHES_AT_ONCE):
        appending = (
            client.event_store.append("long-1", *(NewEvent(each.type, each.data) for each in batch))
            for _ in range(BATCHES_AT_ONCE)
        )
        await asyncio.gather(*appending)
    in_batches = count / (time.perf_counter() - began)
    await client.event_store.put_snapshot("long-1", count - TAIL, {"sum": count})
    took = []
    for _ in range(LOADS):
        began = time.perf_counter()
        _, events = await client.event_store.load("long-1")
        took.append(time.perf_counter() - began)
        assert len(events) == TAIL
    return {"appended_in_batches_per_s": round(in_batches), **percentiles(took, "load")}


def peer_python() -> Path:
    """Return the interpreter of the library's environment; make it at the first call."""
    python = PEER / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", PEER], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", PACKAGE], check=True)
    return python


async def peer_appends(folder: Path, count: int) -> int:
    """Return the events per second of the library with as many writers."""
    python = await asyncio.to_thread(peer_python)
    async with EmbeddedServers(folder, only=("postgres",)) as servers:
        address = urlsplit(servers.postgres)
        given = parse_qs(address.query)
        arguments = (given["host"][0], given["port"][0], address.username, address.password)
        program = await asyncio.create_subprocess_exec(
            python,
            HERE / "peer.py",
            *(unquote(each or "") for each in arguments),
            address.path.strip("/"),
            str(count),
            str(WRITERS),
            stdout=subprocess.PIPE,
        )
        printed, _ = await program.communicate()
    return round(float(printed))


async def main(events: int, stream: int, rounds: int, *, peer: bool) -> Metrics:
    """Print the figures, and return the medians of the rounds."""
    with tempfile.TemporaryDirectory() as folder:
        async with Suite(Path(folder) / "data") as suite, Client(suite.grpc_address) as client:
            found: list[Metrics] = []
            for number in range(rounds):
                found.append({"appended_per_s": round(await appends(client, events, number))})
            loaded = await loads(client, stream)
        for number, each in enumerate(found):
            if peer:
                folder_of = Path(folder) / f"peer{number}"
                each["peer_appended_per_s"] = await peer_appends(folder_of, events)
            show(each)
    show(loaded)
    return medians(found) | loaded


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5_000)
    parser.add_argument("--stream", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", action="store_true")
    given = parser.parse_args()
    asyncio.run(main(given.events, given.stream, given.rounds, peer=given.peer))
