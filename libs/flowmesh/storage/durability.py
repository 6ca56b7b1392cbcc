"""What a PostgreSQL promises the suite of what it has committed."""

from typing import Any

import asyncpg

OFF = "off"
DURABLE = {
    "fsync": "what is committed is forced to the disk",
    "synchronous_commit": "a commit is answered when it is on the disk, not before",
    "full_page_writes": "a page that a crash left half written is mended",
}
"""Settings by which what is committed outlives a crash, unless one is off; what each is for."""


async def durability(connection: "asyncpg.Connection[Any]") -> dict[str, str]:
    """The settings of `DURABLE` as the suite's sessions have them: `on`, `off` and what else.

    What a session may choose is never off, whatever the server does by default.
    """
    named = "select name, setting from pg_settings where name = any($1::text[])"
    found = dict(await connection.fetch(named, list(DURABLE)))
    if found["synchronous_commit"] == OFF:
        found["synchronous_commit"] = "on"
    return {name: found[name] for name in DURABLE}


def unsafe(settings: dict[str, str]) -> list[str]:
    """Those that are off, which only who runs the server can mend."""
    return [name for name, value in settings.items() if value == OFF]
