"""Settings of PostgreSQL on which the durability of commits depends."""

from typing import Any

import asyncpg

OFF = "off"
DURABLE = {
    "fsync": "commits are forced to the disk",
    "synchronous_commit": "a commit is confirmed after it is on the disk",
    "full_page_writes": "pages that a crash has partially written are repaired",
}
"""The settings with their meaning; if one is off, a crash may lose commits."""


async def durability(connection: "asyncpg.Connection[Any]") -> dict[str, str]:
    """Return the settings of `DURABLE` in a session of the suite: `on`, `off` or another value.

    A setting that a session can set is never off, independent of the server's default.
    """
    named = "select name, setting from pg_settings where name = any($1::text[])"
    found = dict(await connection.fetch(named, list(DURABLE)))
    if found["synchronous_commit"] == OFF:
        found["synchronous_commit"] = "on"
    return {name: found[name] for name in DURABLE}


def unsafe(settings: dict[str, str]) -> list[str]:
    """Return the settings that are off; only the server's operator can change them."""
    return [name for name, value in settings.items() if value == OFF]
