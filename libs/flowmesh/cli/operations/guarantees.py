"""Server settings on which the durability of commits depends.

A configured PostgreSQL is queried; the settings of an embedded one are known.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowmesh.cli.common import CONNECT_TIMEOUT_S

if TYPE_CHECKING:
    from flowmesh.runtime.settings import Settings

UNKNOWN = "unknown"


class QueryFailed(Exception):
    """The server cannot be queried; the message contains no secret."""


@dataclass(frozen=True, slots=True)
class DurabilitySetting:
    """A setting that affects durability, with its value in effect."""

    server: str
    setting: str
    value: str
    source: str
    meaning: str


async def durability_settings(settings: "Settings") -> list[DurabilitySetting]:
    """Return those of a suite with these settings; "unknown" if a query fails."""
    from flowmesh.embedded.postgres import SETTINGS
    from flowmesh.storage import DURABLE

    source = "set by `flowmesh dev`"
    values = {name: SETTINGS[name] for name in DURABLE}
    if settings.postgres:
        try:
            values, source = await query_postgres(settings.postgres), "the server"
        except QueryFailed as error:
            values, source = dict.fromkeys(DURABLE, UNKNOWN), str(error)
    found = [
        DurabilitySetting("PostgreSQL", name, value, source, DURABLE[name])
        for name, value in values.items()
    ]
    events = "events survive a restart; the history in PostgreSQL contains all of them"
    states = "stores no data that must survive a restart"
    return [
        *found,
        DurabilitySetting("NATS", "storage", "file", "set by the suite", events),
        DurabilitySetting("Redis", "persistence", "not needed", "", states),
    ]


async def query_postgres(address: str) -> dict[str, str]:
    """Return the settings in a session of the suite; raise QueryFailed without a connection."""
    import asyncpg

    from flowmesh.storage import durability

    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            connection = await asyncpg.connect(address)
            try:
                return await durability(connection)
            finally:
                connection.terminate()
    except TimeoutError:
        raise QueryFailed(f"no response within {CONNECT_TIMEOUT_S:.0f} s") from None
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise QueryFailed(str(error) or type(error).__name__) from None
