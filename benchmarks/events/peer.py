"""Appends of the library `eventsourcing` to PostgreSQL, for `benchmarks/events/append.py`.

It runs in an environment of its own. Arguments: host, port, user, password and database of
PostgreSQL, the number of events and of writers. Prints appends per second, each of one event in
a transaction of its own.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

TEXT = "x" * 200


class Written(Aggregate):
    """An aggregate whose every change is an event."""

    @event("Noted")
    def note(self, text: str) -> None:
        self.text = text


def main(address: list[str], *, events: int, writers: int) -> None:
    host, port, user, password, database = address
    app: Application = Application(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": database,
            "POSTGRES_HOST": host,
            "POSTGRES_PORT": port,
            "POSTGRES_USER": user,
            "POSTGRES_PASSWORD": password,
            "POSTGRES_POOL_SIZE": str(writers),
        }
    )

    def write(_: int) -> None:
        written = Written()
        for _ in range(events // writers):
            written.note(TEXT)
            app.save(written)

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))  # connections and tables are warm
        began = time.perf_counter()
        list(pool.map(write, range(writers)))
        print(events / (time.perf_counter() - began))
    app.close()


if __name__ == "__main__":
    address, counts = sys.argv[1:6], sys.argv[6:]
    main(address, events=int(counts[0]), writers=int(counts[1]))
