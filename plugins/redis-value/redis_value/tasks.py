"""Tasks over the connection."""

from typing import Any

from redis.asyncio import Redis


async def get(connection: Redis, input: dict[str, Any]) -> dict[str, Any]:
    """Return the `value` of a `key`, or null."""
    return {"value": await connection.get(input["key"])}


async def put(connection: Redis, input: dict[str, Any]) -> dict[str, Any]:
    """Set the `value` of a `key`, for at most `seconds`."""
    kept = await connection.set(input["key"], input["value"], ex=input.get("seconds"))
    return {"kept": bool(kept)}


async def increment(connection: Redis, input: dict[str, Any]) -> dict[str, Any]:
    """Add `by`, or 1, to a counter."""
    return {"value": await connection.incrby(input["key"], input.get("by", 1))}
