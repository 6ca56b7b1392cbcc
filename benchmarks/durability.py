"""The durability settings of a running PostgreSQL."""

from typing import Any

import asyncpg

from flowmesh.storage import DURABLE

SHOWN = ("server_version", *DURABLE)


async def durability(postgres: str) -> dict[str, Any]:
    """Read the settings from the server; both systems create NATS streams with file storage."""
    connection = await asyncpg.connect(postgres)
    try:
        found = {name: await connection.fetchval(f"show {name}") for name in SHOWN}
    finally:
        await connection.close()
    return {"postgres": found, "nats": {"storage": "file"}}
