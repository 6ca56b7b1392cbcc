"""The goals of messages, events and the mesh in one run, beside their peers.

`.venv/bin/python -m benchmarks.events.main` takes about five minutes: each program starts a suite
of its own. A peer that is not installed (RabbitMQ) is left out. Missed goals are only reported.
"""

import asyncio
import os
import statistics
from collections.abc import Awaitable, Callable
from typing import Final

from rich.console import Console

from benchmarks import broker
from benchmarks.events import append, changes, mesh, outbox, signalr
from benchmarks.goals import Value, Values, at_least, at_most, of, ratio
from benchmarks.load import Metrics
from benchmarks.report import goals_table

SYSTEM: Final = "events"
PEER: Final = "rabbitmq"
MESSAGES: Final = 5_000


async def brokers() -> Metrics:
    """Return the medians of the broker, and those of RabbitMQ under names of its own."""
    found = await broker.measured(MESSAGES, rounds=3)
    print(broker.table(found))
    return {
        name if system == "Flowmesh" else f"{PEER}_{name}": statistics.median(
            each[name] for each in rounds
        )
        for system, rounds in found.items()
        for name in broker.ROWS
    }


PROGRAMS: Final[dict[str, Callable[[], Awaitable[Metrics]]]] = {
    "broker": brokers,
    "append": lambda: append.main(5_000, 100_000, 3, peer=True),
    "outbox": lambda: outbox.main(200, 3),
    "changes": lambda: changes.main(300, 8, 20_000),
    "signalr": lambda: signalr.main(500, 3),
    "mesh": lambda: mesh.main(2_000, 3),
}


def _of(program: str, figure: str) -> Value:
    return of(program, figure, system=SYSTEM)


def _times(program: str, figure: str, peer: str) -> Value:
    return ratio(_of(program, figure), _of(program, peer))


PUBLISHED: Final = "published_per_s"
PEER_PUBLISHED: Final = f"{PEER}_{PUBLISHED}"
GOALS: Final = (
    at_least("confirmed publishes/s", 6_000, _of("broker", PUBLISHED)),
    at_least("the same, times RabbitMQ", 1, _times("broker", PUBLISHED, PEER_PUBLISHED), "×"),
    at_least("published in batches/s", 25_000, _of("broker", "published_in_batches_per_s")),
    at_most("publish to handler, p50", 3, _of("broker", "handler_p50_ms"), "ms"),
    at_most("publish to handler, p99", 10, _of("broker", "handler_p99_ms"), "ms"),
    at_least("appends/s, 10 writers", 1_500, _of("append", "appended_per_s")),
    at_least(
        "the same, times eventsourcing",
        1,
        _times("append", "appended_per_s", "peer_appended_per_s"),
        "×",
    ),
    at_most("load of 100,000 events with a snapshot, p99", 10, _of("append", "load_p99_ms"), "ms"),
    at_most("commit to start, p99", 30, _of("outbox", "commit_to_start_p99_ms"), "ms"),
    at_most("change to start while active, p99", 150, _of("changes", "active_p99_ms"), "ms"),
    at_most("change to start after idling, max", 1_200, _of("changes", "idle_max_ms"), "ms"),
    at_most("event to 500 SignalR clients, p99", 100, _of("signalr", "own_p99_ms"), "ms"),
    at_most("call by the mesh over a plain channel, p50", 60, _of("mesh", "overhead_us"), "µs"),
    at_most(
        "failed reads of 1,000, one of three sick", 3, _of("mesh", "failed_of_1000_GetInvoice")
    ),
    at_most("failed writes of 1,000, one of three sick", 3, _of("mesh", "failed_of_1000_Charge")),
    at_most(
        "the same, times grpcio's outlier detection",
        1,
        _times("mesh", "failed_of_1000_Charge", "failed_of_1000_Charge_grpcio"),
        "×",
    ),
    at_most("discovery from the cache, p50", 50, _of("mesh", "discover_p50_us"), "µs"),
)


async def measured() -> Values:
    """Run the programs one after the other, and return their medians."""
    values: dict[tuple[str, str, str], float] = {}
    for name, program in PROGRAMS.items():
        print(f"\n## {name} (load average {os.getloadavg()[0]:.1f})", flush=True)
        values |= {(SYSTEM, name, key): each for key, each in (await program()).items()}
    return values


if __name__ == "__main__":
    Console(highlight=False).print(goals_table(asyncio.run(measured()), GOALS))
