"""What a running PostgreSQL says of its own durability."""

from typing import Any

import asyncpg

from flowmesh.storage import DURABLE

SHOWN = ("server_version", *DURABLE)


async def durability(postgres: str) -> dict[str, Any]:
    """Asked of the server; streams of NATS are made with file storage by both systems."""
    connection = await asyncpg.connect(postgres)
    try:
        found = {name: await connection.fetchval(f"show {name}") for name in SHOWN}
    finally:
        await connection.close()
    return {"postgres": found, "nats": {"storage": "file"}}
